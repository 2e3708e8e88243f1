"""`modwright serve` as a process: where it listens, what it says, how it stops."""

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

from modwright.cli.serve import Ready, ServeOptions, curl_line, listen, loopback, serve
from modwright.errors import NotFoundError, UsageError

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
def test_it_listens_nowhere_but_on_loopback(host):
    with pytest.raises(UsageError, match="not a loopback address") as caught:
        serve(ServeOptions(host=host))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("host", "address"), [("localhost", "127.0.0.1"), ("::1", "::1"), ("127.9.9.9", "127.9.9.9")]
)
def test_loopback_has_several_names(host, address):
    assert loopback(host) == address


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
