"""`modwright serve` as a process: where it listens, what it says, how it stops."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from modwright.cli.keys import create_key
from modwright.cli.serve import Ready, ServeOptions, curl_line, listen, listening_address, serve
from modwright.errors import NotFoundError, UsageError
from modwright.settings import load_settings

SCRIPT = Path(__file__).parents[1] / "e2e" / "clients" / "serve_fake.py"


@pytest.fixture
def start():
    started = []

    def starter(*arguments):
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *arguments], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, json.loads(process.stdout.readline())

    yield starter
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def ask(url, text):
    body = json.dumps({"model": "goose", "input": text}).encode()
    request = urllib.request.Request(f"{url}/v1/moderations", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.loads(response.read())


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The home of the servers of a test, not there yet."""
    monkeypatch.setenv("MODWRIGHT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


ABSENT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name in {names!r} else found(name, *more)
"""


@contextlib.contextmanager
def served(*arguments, workers="0", **environment):
    """Run `modwright serve`; gives what it says once it is ready, and its process id."""
    code = "from modwright.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", *arguments, "--port", "0", "--json"]
    environment = {**os.environ, "MODWRIGHT_JOB_WORKERS": workers, **environment}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    with process:
        try:
            line = process.stdout.readline()
            assert line, f"it ended with {process.wait(10)}"
            yield json.loads(line) | {"pid": process.pid}
        finally:
            process.terminate()
            process.wait(30)


def status(url, headers):
    body = json.dumps({"model": "goose", "input": "a"}).encode()
    request = urllib.request.Request(
        f"{url}/v1/classifications", body, {"content-type": "application/json"} | headers
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=20)
    caught.value.close()
    return caught.value.code


def get(url):
    with urllib.request.urlopen(url, timeout=20) as response:
        return response.read()


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def children(parent, word):
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            inner = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().decode().split("\0")
            if inner[1] == str(parent) and inner[0] != "Z" and word in command:
                found.append(int(folder.name))
    return found


def processes(home):
    """Return the processes whose MODWRIGHT_HOME is a folder, but for this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            variables = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
            alive = (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            if f"MODWRIGHT_HOME={home}" in variables and alive and folder.name != str(os.getpid()):
                found.append(int(folder.name))
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_it_says_where_it_listens_and_answers_there(start, host):
    _, ready = start(host)
    assert ready["event"] == "ready"
    assert ready["models"] == ["goose"]
    assert not ready["url"].endswith(":0")
    assert ask(ready["url"], "silly goose goose")["results"][0]["flagged"] is True


def test_a_request_under_way_is_answered_before_it_stops(start):
    process, ready = start()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(ask(ready["url"], "slow goose")))
    asking.start()
    asking.join(0.4)
    process.send_signal(signal.SIGTERM)
    asking.join(15)
    assert answers[0]["model"] == "goose"
    assert process.wait(15) == 0
    assert process.stdout.read() == "ended\n"
    with pytest.raises(OSError, match="refused"):
        ask(ready["url"], "goose")


def test_it_goes_on_where_nobody_reads_what_it_says():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen([sys.executable, str(SCRIPT), "127.0.0.1", str(port)], stdout=writer)
    os.close(writer)
    try:
        assert answered(f"http://127.0.0.1:{port}", "silly goose goose")["results"][0]["flagged"] is True
        process.terminate()
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()


def answered(url, text, timeout_s=30):
    """Ask until there is an answer."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            return ask(url, text)
        except urllib.error.URLError:
            assert time.monotonic() < end
            time.sleep(0.1)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "", "127.0.0.1.example.org", "fe80::1"]
)
def test_without_a_key_it_listens_nowhere_but_on_loopback(host, home):
    with pytest.raises(UsageError, match="not a loopback address") as caught:
        serve(ServeOptions(host=host))
    assert caught.value.exit_code == 2
    assert not home.exists(), "to refuse, nothing is made"


def test_with_a_key_it_listens_elsewhere_and_asks_everyone_for_it(home):
    settings = load_settings()
    _, secret = create_key(settings, "first", scopes="classify")
    assert listening_address("0.0.0.0", settings) == "0.0.0.0"
    with pytest.raises(UsageError, match="give an IP address"):
        listening_address("example.org", settings)
    for arguments in ((), ("--no-jobs",)):
        with served("--host", "0.0.0.0", *arguments) as ready:
            url = ready["url"].replace("0.0.0.0", "127.0.0.1")
            assert status(url, {}) == 401
            assert status(url, {"authorization": f"Bearer {secret}"}) == 404  # it has no model


def test_one_command_starts_everything_and_a_kill_ends_everything(home):
    """API, database and worker; the worker is followed by another when it is killed."""
    with served(workers="1") as ready:
        assert any("1 worker train" in note for note in ready["notes"])
        assert any("no key exists" in note for note in ready["notes"])
        assert (home / "modwright.db").exists()
        assert json.loads(get(f"{ready['url']}/v1/files"))["data"] == []
        (worker,) = wait_for(lambda: children(ready["pid"], "worker"))
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: children(ready["pid"], "worker") not in ([], [worker]))
        os.kill(ready["pid"], signal.SIGKILL)
        wait_for(lambda: not processes(home))


def test_without_jobs_nothing_is_kept(home):
    with served("--no-jobs") as ready:
        assert ready["notes"] == ["no key exists: anyone on this machine may ask for anything"]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{ready['url']}/v1/files")
    assert not home.exists()


def test_a_machine_without_what_trains_takes_jobs_for_others(home, tmp_path):
    """[serve] alone: the server starts, says so, cannot check files, and runs no worker."""
    names = ("torch", "transformers", "polars", "onnx", "sklearn")
    (tmp_path / "sitecustomize.py").write_text(ABSENT.format(names=names))  # for its subprocesses too
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with served(workers="1", PYTHONPATH=path) as ready:
        assert any("the extra 'train' is missing" in note for note in ready["notes"])
        body = (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{}\r\n--b--\r\n'
        )
        headers = {"content-type": "multipart/form-data; boundary=b"}
        request = urllib.request.Request(f"{ready['url']}/v1/files", body, headers)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=60)
        assert caught.value.code == 501
        assert "modwright[data]" in json.loads(caught.value.read())["message"]


@pytest.mark.parametrize(
    ("host", "address"), [("localhost", "127.0.0.1"), ("::1", "::1"), ("127.9.9.9", "127.9.9.9")]
)
def test_loopback_has_several_names(host, address):
    assert listening_address(host, load_settings({})) == address


def test_a_taken_port_is_told_before_anything_loads():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            UsageError, match=rf"cannot listen on 127\.0\.0\.1 port {port}: Address already in use"
        ):
            serve(ServeOptions(artifacts=("/nonexistent",), port=port))


def test_a_missing_artifact_is_told_and_the_port_is_free_again():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NotFoundError):
        serve(ServeOptions(artifacts=("/nonexistent",), port=port))
    listen("127.0.0.1", port).close()


def test_the_line_it_prints_is_a_command_that_works(start):
    _, ready = start()
    line = curl_line(Ready(ready["url"], ("goose",)))
    answer = subprocess.run(["sh", "-c", line + " -sf"], capture_output=True, timeout=20, check=True)
    assert json.loads(answer.stdout)["model"] == "goose"


def test_without_the_extra_it_says_what_to_install():
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("fastapi", "starlette", "uvicorn", "onnxruntime"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Refuse())
from modwright.cli.serve import ServeOptions, serve
from modwright.errors import MissingExtraError
try:
    serve(ServeOptions(port=0))
except MissingExtraError as error:
    print(error)
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "pip install 'modwright[serve]'" in told.stdout
    assert "uvicorn is missing" in told.stdout
