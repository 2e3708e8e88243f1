"""What only a real server on a real socket shows."""

import http.client
import json
import socket
import time
from urllib.parse import urlsplit

import pytest
from serving_fakes import FailingClassifier, deployments, served

LIMIT = 100_000
PATH = "/v1/moderations"


@pytest.fixture
def classifier():
    return FailingClassifier()


@pytest.fixture
def running(classifier):
    made = deployments(classifier, max_body_bytes=LIMIT)
    with served(made, max_body_bytes=LIMIT) as url:
        yield urlsplit(url), made


def connect(url):
    return socket.create_connection((url.hostname, url.port), timeout=10)


def send(raw, *pieces, pause_s=0.0):
    """Send pieces until the server refuses them; returns how many bytes went out."""
    sent = 0
    try:
        for piece in pieces:
            raw.sendall(piece)
            sent += len(piece)
            time.sleep(pause_s)
    except OSError:
        pass
    return sent


def read(raw):
    response = http.client.HTTPResponse(raw)
    response.begin()
    return response, json.loads(response.read())


def head(*lines):
    return "\r\n".join(
        [f"POST {PATH} HTTP/1.1", "Host: x", "Content-Type: application/json", *lines, "", ""]
    ).encode()


def ask(url, text="hi"):
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    connection.request("POST", PATH, json.dumps({"input": text}), {"content-type": "application/json"})
    return connection.getresponse().status


def test_an_announced_large_body_is_refused_before_it_is_sent(running):
    url, _ = running
    with connect(url) as raw:
        raw.sendall(head("Content-Length: 999999999999"))
        response, body = read(raw)
    assert (response.status, body["code"]) == (413, "body_too_large")
    assert "100000 bytes" in body["message"]
    assert ask(url) == 200


def test_a_stream_is_refused_at_the_limit_and_not_read_to_its_end(running):
    url, _ = running
    piece = b"%x\r\n%s\r\n" % (10_000, b"a" * 10_000)
    with connect(url) as raw:
        raw.sendall(head("Transfer-Encoding: chunked"))
        send(raw, *[piece] * 11)
        response, body = read(raw)
        assert (response.status, body["code"]) == (413, "body_too_large")
        assert send(raw, *[piece] * 2000, pause_s=0.0002) < 2000 * len(piece)
    assert ask(url) == 200


@pytest.mark.parametrize("length", ["5", "-1", "x", "60"])
def test_a_lying_content_length_harms_nobody(running, length):
    url, _ = running
    with connect(url) as raw:
        raw.settimeout(3)
        raw.sendall(head(f"Content-Length: {length}") + b'{"input": "hi"}')
        raw.shutdown(socket.SHUT_WR)
        answer = raw.recv(65536)
    assert not answer or b" 400 " in answer.split(b"\r\n")[0]
    assert ask(url) == 200


def test_one_connection_takes_request_after_request(running):
    url, _ = running
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    for status, body in ((200, {"input": "a"}), (400, {"inpt": "a"}), (200, {"input": ["a", "b"]})):
        connection.request("POST", PATH, json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        assert response.status == status
        response.read()


def test_a_client_that_hangs_up_is_not_judged(running, classifier):
    url, made = running
    queue = next(iter(made))._batcher._queue
    with connect(url) as holding, connect(url) as leaving:
        for raw, text in ((holding, "hang"), (leaving, "never judged")):
            content = json.dumps({"input": text}).encode()
            raw.sendall(head(f"Content-Length: {len(content)}") + content)
            wait_for(lambda: classifier.batches)
        wait_for(lambda: queue.waiting_cost)
        leaving.close()
        wait_for(lambda: not queue.waiting_cost)
        classifier.release.set()
        assert read(holding)[0].status == 200
    assert ["never judged"] not in classifier.batches
    assert ask(url) == 200


def wait_for(condition):
    deadline_s = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
