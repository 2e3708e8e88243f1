"""Attacks by headers, depth and patience; each is refused and harms nobody else."""

import contextlib
import http.client
import json
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi.testclient import TestClient
from serving_fakes import FailingClassifier, deployments, settings

from modwright.api.app import create_app
from modwright.api.connections import deadline_protocol

PATH = "/v1/moderations"
QUICK = {"stall_timeout_s": 0.4, "max_request_s": 1.2}


@pytest.fixture(scope="module")
def url():
    """A real server that waits less long than usual."""
    listener = socket.create_server(("127.0.0.1", 0))
    classifier = FailingClassifier()
    app = create_app(deployments(classifier, **QUICK), settings(**QUICK))
    config = uvicorn.Config(app, http=deadline_protocol(0.4), ws="none", log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield urlsplit(f"http://127.0.0.1:{listener.getsockname()[1]}")
    classifier.release.set()
    server.should_exit = True
    thread.join(10)


def connect(url):
    return socket.create_connection((url.hostname, url.port), timeout=10)


def head(*lines):
    first = [f"POST {PATH} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    return "\r\n".join([*first, *lines, "", ""]).encode()


def answer(raw):
    response = http.client.HTTPResponse(raw)
    response.begin()
    return response, json.loads(response.read())


def drip(raw, pieces, pause_s):
    """Send pieces until the server hangs up; returns the seconds that took."""
    started = time.monotonic()
    with contextlib.suppress(OSError):
        for piece in pieces:
            raw.sendall(piece)
            time.sleep(pause_s)
    return time.monotonic() - started


def test_a_connection_that_says_nothing_is_hung_up_on(url):
    with connect(url) as raw:
        started = time.monotonic()
        assert raw.recv(100) == b""
        assert 0.2 < time.monotonic() - started < 3


@pytest.mark.parametrize("first", [b"", head()[:-2]], ids=["from the first byte", "header by header"])
def test_a_head_that_drips_is_hung_up_on(url, first):
    with connect(url) as raw:
        raw.sendall(first)
        assert drip(raw, (b"x-%d: y\r\n" % n if first else head()[n : n + 1] for n in range(100)), 0.05) < 3


def test_a_dripping_head_after_a_whole_request_is_hung_up_on(url):
    body = b'{"input": "a"}'
    with connect(url) as raw:
        raw.sendall(head(f"Content-Length: {len(body)}") + body)
        assert answer(raw)[0].status == 200
        assert drip(raw, (head()[n : n + 1] for n in range(100)), 0.05) < 3


def test_a_body_that_stops_coming_is_408(url):
    with connect(url) as raw:
        raw.sendall(head("Content-Length: 100") + b'{"input"')
        response, told = answer(raw)
        assert (response.status, told["code"], told["type"]) == (
            408,
            "request_timeout",
            "invalid_request_error",
        )
        assert response.getheader("connection") == "close"
        assert raw.recv(10) == b""


def test_a_body_that_drips_is_408_in_the_end(url):
    with connect(url) as raw:
        raw.sendall(head("Content-Length: 100000"))
        assert drip(raw, (b" " for _ in range(100)), 0.05) > 1
        response, told = answer(raw)
    assert (response.status, told["code"]) == (408, "request_timeout")
    assert "1.2 s" in told["message"]


def test_a_whole_request_that_takes_too_long_is_503(url):
    body = b'{"input": "hang"}'
    with connect(url) as raw:
        raw.sendall(head(f"Content-Length: {len(body)}") + body)
        response, told = answer(raw)
    assert (response.status, told["code"]) == (503, "unavailable")
    assert int(response.getheader("retry-after")) >= 1


def test_many_headers_are_431_and_large_ones_refused(url):
    with TestClient(create_app(deployments(), settings(max_headers=20))) as asked:
        assert asked.get("/v1/models").status_code == 200
        refused = asked.get("/v1/models", headers=[(f"x-{n}", "a") for n in range(20)])
        repeated = asked.get("/v1/models", headers=[("cookie", "a")] * 5000)
    assert (refused.status_code, refused.json()["code"]) == (431, "too_many_headers")
    assert repeated.status_code == 431
    with connect(url) as raw:
        with contextlib.suppress(OSError):
            raw.sendall(head("x-large: " + "a" * 1_000_000))
        with contextlib.suppress(OSError):
            assert raw.recv(100).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("times", [17, 5_000, 1_000_000])
def test_depth_is_refused_however_deep(opening, times):
    closing = {"[": "]", '{"a":': "}", '[{"a":': "}]"}[opening]
    body = '{"input": ' + opening * times + "1" + closing * times + "}"
    with TestClient(create_app(deployments(), settings(max_json_depth=16))) as asked:
        refused = asked.post(PATH, content=body, headers={"content-type": "application/json"})
        assert refused.status_code == 400
        assert "deeper than 16" in refused.json()["message"]
        assert asked.post(PATH, json={"input": "a"}).status_code == 200


def test_uploads_may_be_larger_than_other_bodies():
    with TestClient(create_app(deployments(), settings(max_body_bytes=1000, max_upload_bytes=2000))) as asked:
        for prefix in ("", "/mistral", "/openai"):
            assert asked.post(f"{prefix}/v1/moderations", content=b"a" * 1001).status_code == 413
            assert asked.post(f"{prefix}/v1/files", content=b"a" * 1001).status_code == 404  # it has no files
            assert asked.post(f"{prefix}/v1/files", content=b"a" * 2001).status_code == 413
            assert asked.post(f"{prefix}/v1/files/", content=b"a" * 1001).status_code == 413
