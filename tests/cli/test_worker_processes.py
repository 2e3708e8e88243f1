"""Workers beside a server: as many as asked for, again after a death, none left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modwright.cli.worker_processes import WorkerProcesses, worker_command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def wait_for(condition, seconds=10):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def runs(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_there_are_as_many_as_asked_for_and_none_afterwards():
    with WorkerProcesses(3, SLEEP) as workers:
        wait_for(lambda: len(workers.pids()) == 3)
        pids = workers.pids()
    assert not any(map(runs, pids))


def test_none_is_none():
    with WorkerProcesses(0, SLEEP) as workers:
        assert workers.pids() == []


def test_one_that_is_killed_is_followed_by_another_and_the_others_stay(capfd):
    with WorkerProcesses(2, SLEEP, first_pause_s=0.05) as workers:
        wait_for(lambda: len(workers.pids()) == 2)
        victim, other = workers.pids()
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: victim not in workers.pids() and len(workers.pids()) == 2)
        assert other in workers.pids()
    assert "a worker ended with -9; another starts in 0.05 s" in capfd.readouterr().err


def test_one_that_dies_at_once_is_started_less_and_less_often(tmp_path):
    log = tmp_path / "log"
    with WorkerProcesses(1, ["sh", "-c", f"echo x >> {log}; exit 3"], first_pause_s=0.3):
        time.sleep(2.0)
    assert 2 <= len(log.read_text().split()) <= 4  # at 0, 0.3, 0.9, 2.1 s


def test_one_that_does_not_listen_is_killed(monkeypatch):
    monkeypatch.setattr("modwright.cli.worker_processes._STOP_S", 0.5)
    deaf = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"]
    with WorkerProcesses(1, deaf) as workers:
        wait_for(workers.pids)
        (pid,) = workers.pids()
        time.sleep(0.5)
    assert not runs(pid)


def test_a_server_that_is_killed_leaves_no_worker_behind():
    child = (
        "import os, time; from modwright.cli.tied import tie; tie(os.getppid()); "
        "print(os.getpid(), flush=True); time.sleep(60)"
    )
    parent = (
        f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    with process.stdout:
        pid = int(process.stdout.readline())
        assert runs(pid)
        process.kill()
        process.wait()
        wait_for(lambda: not runs(pid), seconds=5)


def test_a_worker_is_this_program_tied_to_this_process():
    command = worker_command()
    command[-1] = "--version"
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("modwright ")
