"""Two gloo processes and a tiny Llama: what one process computes, and what remains when they are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sharded_worker

from modwright.errors import IntegrityError, UsageError
from modwright.pipeline.torchrun import joined, shows, torchrun_line
from modwright.recipe import load_recipe

WORKER = Path(sharded_worker.__file__)
LAUNCH = (
    "import sys; from modwright.pipeline.torchrun import launch; from modwright.errors import ModwrightError\n"
    "try: launch(sys.argv[2:], 2, program=[sys.argv[1]])\n"
    "except ModwrightError as error: print(error.code, error, file=sys.stderr); sys.exit(error.exit_code)"
)
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def start(out, *cases):
    """Start two workers."""
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(WORKER), str(out), *cases],
        env=os.environ | ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, expected=0):
    out, err = process.communicate(timeout=240)
    assert process.returncode == expected, err
    return out, err


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same training in one process and in two, each half of it gone on with by the other number."""
    out = tmp_path_factory.mktemp("runs")
    sharded_worker.main(out, ["plain", "half"])
    finish(start(out, "plain", "checkpointing", "half", "other-half", "undisturbed"))
    sharded_worker.main(out, ["other-half"])
    return out


def figures(runs, name):
    return np.load(runs / f"{name}.npz")


@pytest.mark.parametrize("name", ["plain-2", "checkpointing-2"])
def test_losses_weights_and_scores_are_those_of_one_process(runs, name):
    one, two = figures(runs, "plain-1"), figures(runs, name)
    assert np.array_equal(one["losses"][:, 0], np.arange(1, 9))
    assert np.abs(one["losses"] - two["losses"]).max() < 1e-5
    assert np.abs(one["losses"][0, 1] - one["losses"][-1, 1]) > 0.05, (
        "nothing was learnt, so nothing was compared"
    )
    assert np.abs(one["weights"] - two["weights"]).max() < 1e-5
    assert np.abs(one["scores"] - two["scores"]).max() < 1e-5


@pytest.mark.parametrize("processes", [1, 2])
def test_another_number_of_processes_goes_on(runs, processes):
    whole, half = figures(runs, "plain-1"), figures(runs, f"other-half-{processes}")
    assert half["losses"][:, 0].tolist() == [5, 6, 7, 8]
    assert np.abs(whole["losses"][4:] - half["losses"]).max() < 1e-5
    assert np.abs(whole["weights"] - half["weights"]).max() < 1e-5


def test_checkpoints_are_safetensors_and_json_of_every_process(runs):
    names = sorted(path.name for path in (runs / "store-2" / "step-00000008").iterdir())
    assert names == [
        "checkpoint.json",
        "state-00000-of-00002.safetensors",
        "state-00001-of-00002.safetensors",
        "state.json",
    ]


def test_a_missing_piece_is_an_error_that_lists_the_others(runs, tmp_path):
    from modwright.training.pieces import read_pieces

    there = runs / "store-2" / "step-00000008" / "state-00001-of-00002.safetensors"
    (tmp_path / there.name).hardlink_to(there)
    with pytest.raises(IntegrityError, match="of every process, found state-00001-of-00002"):
        read_pieces(tmp_path, "state", {})


@pytest.mark.real
def test_kills_change_nothing(runs, tmp_path):
    _, err = finish(start(tmp_path, "killed=3"), expected=1)
    assert "process 1 of 2" in err
    assert "SIGKILL" in err
    assert "goes on from the last checkpoint" in err
    agent = start(tmp_path, "killed")
    said = [agent.stdout.readline() for _ in range(2)]
    assert said == ["step 3\n", "step 4\n"], "went on from the checkpoint after step 2"
    workers = children(agent.pid)
    assert len(workers) == 2
    agent.send_signal(signal.SIGKILL)
    agent.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    finish(start(tmp_path, "killed"))
    undisturbed, resumed = figures(runs, "undisturbed"), figures(tmp_path, "killed")
    assert np.array_equal(undisturbed["weights"], resumed["weights"])
    assert np.array_equal(undisturbed["scores"], resumed["scores"])
    last = len(resumed["losses"])
    assert np.array_equal(undisturbed["losses"][-last:], resumed["losses"])


def test_an_error_of_ours_is_told_once_with_its_exit_code(tmp_path):
    _, err = finish(start(tmp_path, "fails"), expected=2)
    assert err.count("nothing of the kind") == 1
    assert "invalid_recipe recipe, here: nothing of the kind (give another)" in err


def children(pid):
    """Pids of the Python programs that a process has started; the workers are those that run ours."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == pid and WORKER.name.encode() in command:
            found.append(int(status.parent.name))
    return found


def wait_until(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.05)


def test_the_line_to_run_by_hand():
    line = torchrun_line(["train", "my recipe.toml", "--out", "model"], 8)
    start = "torchrun --standalone --nproc-per-node 8 -m modwright"
    assert line == f"{start} train 'my recipe.toml' --out model"


def test_another_number_of_processes_than_the_recipe_asks_for_is_an_error(monkeypatch):
    recipe = load_recipe("llm", ["shards.processes=2"])
    with pytest.raises(UsageError, match="there is 1 process, the recipe asks for 2"):
        joined(recipe)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert not shows()
    with pytest.raises(UsageError, match="there are 4 processes, the recipe asks for 2"):
        joined(recipe)
    with pytest.raises(UsageError, match="only the family 'causal' is sharded"):
        joined(load_recipe("balanced"))


def test_one_process_is_joined_by_nobody():
    assert joined(load_recipe("balanced")).world == 1
    assert shows()
