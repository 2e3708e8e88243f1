"""The whole OpenAPI document against the server that gives it: real SQLite, a real key, nothing mocked."""

import importlib.util
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
import uvicorn

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("serving", "api")]

from factory_fakes import made_app, made_factory, made_objects, new_key  # noqa: E402

from modwright.api.connections import deadline_protocol  # noqa: E402

COMMAND = Path(sys.executable).with_name("schemathesis")
# What a schema cannot say (the last turn holds a text, a file's lines are records, one of two keys) is refused with 400
# or 422; that such a refusal is one of the declared answers, in their one shape, is checked all the same.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "401", "403", "404", "409", "422"]
"""
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("schemathesis") is None, reason="schemathesis is not installed"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with a file, a job, a model and keys; gives its URL and the headers of one with every scope."""
    settings, factory = made_factory(tmp_path_factory.mktemp("home"))
    app = made_app(settings, factory, ttl_s=3.0)
    _, headers = new_key(factory)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(app, http=deadline_protocol(30.0), ws="none", log_level="error")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    with httpx.Client(base_url=url, timeout=60) as asked:
        made_objects(asked, factory, headers)
    yield url, headers
    running.should_exit = True
    thread.join(20)


@pytest.mark.parametrize("phases", ["coverage", "fuzzing,stateful"])
def test_the_server_does_what_its_document_says(server, phases, tmp_path):
    url, headers = server
    (tmp_path / "config.toml").write_text(CONFIG)
    command = [COMMAND, "--config-file", "config.toml", "run", f"{url}/openapi.json"]
    limits = ["--max-examples", "4", "--seed", "1", "--phases", phases, "--continue-on-failure"]
    key = ["--header", f"Authorization: {headers['authorization']}"]
    done = subprocess.run(
        [*command, *limits, *key, "--no-color", "--warnings", "off"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
