"""Uploads over a real socket: broken off, hung up, at once, into a full disk; nothing of a failed one is left."""

import dataclasses
import json
import resource
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from files_server import GOOD, ROWS, jsonl, kept, left, over_socket, upload
from serving_fakes import deployments, served

from modwright.jobs.checking import ProcessChecker
from modwright.jobs.file_summary import FileSummary

HEAD = (
    b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    b"Content-Length: %d\r\n\r\n"
)
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
END = b"\r\n--b--\r\n"
LARGE = jsonl(*ROWS) * 15_000  # 2.1 MB


@pytest.fixture(scope="module")
def checker():
    made = ProcessChecker(parallel=2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory, checker):
    limits = {"max_upload_bytes": 3_000_000, "stall_timeout_s": 1.0}
    with (
        kept(tmp_path_factory.mktemp("kept"), checker) as factory,
        served(deployments(), factory, **limits) as url,
    ):
        yield factory, url


@pytest.fixture
def factory(server):
    made, _ = server
    yield made
    for row in made.files.list("default").rows:
        made.files.delete("default", row.id)


@pytest.fixture
def url(server, factory):
    _, where = server
    return where


def connect(url):
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def wait_for(condition, timeout_s=10):
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@pytest.mark.parametrize("reset", [False, True])
def test_an_upload_that_is_broken_off_leaves_nothing(factory, url, reset):
    with connect(url) as wire:
        wire.sendall(HEAD % 2_500_000 + PART + LARGE[:2_000_000])
        wait_for(lambda: left(factory) == (0, 1))
        if reset:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_for(lambda: left(factory) == (0, 0))
    with over_socket(url) as client:
        assert upload(client).status_code == 200


def test_a_client_that_stops_sending_is_told_and_leaves_nothing(factory, url):
    with connect(url) as wire:
        wire.sendall(HEAD % 2_500_000 + PART + LARGE[:1_000_000])
        answer = wire.recv(65_536)
    assert b"408" in answer.split(b"\r\n")[0]
    wait_for(lambda: left(factory) == (0, 0))


def test_a_client_that_hangs_up_during_the_check_leaves_nothing(factory, url):
    body = PART + LARGE + END
    with connect(url) as wire:
        wire.sendall(HEAD % len(body) + body)
        wait_for(lambda: left(factory) == (0, 1))
    wait_for(lambda: left(factory) == (0, 0))


@pytest.mark.parametrize("announced", [True, False])
def test_an_upload_above_the_limit_is_413_and_leaves_nothing(factory, url, announced):
    body = PART + LARGE * 2 + END

    def pieces():
        for at in range(0, len(body), 65_536):
            yield body[at : at + 65_536]

    kind = {"content-type": "multipart/form-data; boundary=b"}
    with over_socket(url) as client:
        response = client.post("/v1/files", content=body if announced else pieces(), headers=kind)
    assert response.status_code == 413, response.text
    assert "MODWRIGHT_MAX_UPLOAD_BYTES" in response.json()["message"]
    wait_for(lambda: left(factory) == (0, 0))


def test_a_refusal_in_the_middle_of_an_upload_reaches_the_client(factory, url):
    with over_socket(url) as client:
        response = upload(client, LARGE, "a.jsonl.gz", purpose="fine-tune")
    assert response.status_code == 400
    assert "unpack it first" in response.json()["message"]
    assert left(factory) == (0, 0)


def test_a_full_disk_is_507_and_leaves_nothing_and_the_next_upload_works(factory, url):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with over_socket(url) as client:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
        try:
            response = upload(client, LARGE)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert response.status_code == 507, response.text
        assert response.json()["code"] == "storage_full"
        assert response.headers["x-should-retry"] == "false"
        assert left(factory) == (0, 0)
        assert upload(client, LARGE).json()["num_lines"] == 30_000


def test_thirty_uploads_at_once_are_all_kept_and_the_server_answers_meanwhile(factory, url):
    contents = [jsonl({"text": f"goose {n}", "labels": {"moderation": ["insult"]}}) for n in range(15)] * 2

    def send(n):
        with over_socket(url) as client:
            return upload(client, contents[n], f"{n % 15}.jsonl")

    with ThreadPoolExecutor(30) as threads:
        answers = list(threads.map(send, range(30)))
        assert httpx.get(url + "/health").status_code == 200
    assert [answer.status_code for answer in answers] == [200] * 30
    ids = [answer.json()["id"] for answer in answers]
    assert ids[:15] == ids[15:]
    assert left(factory) == (15, 15)
    for n in range(15):
        assert httpx.get(f"{url}/v1/files/{ids[n]}/content").content == contents[n]


class Held:
    """A checker whose checks wait to be released."""

    def __init__(self):
        self.parallel, self.begun, self.release = 1, 0, threading.Event()

    def check(self, content, name, tolerated=0.0):
        self.begun += 1
        assert self.release.wait(20)
        for _ in content:
            pass
        return FileSummary({}, 2, 0, 0)

    def close(self):
        """Nothing to end."""


def test_long_checks_hold_nobody_up_and_end_with_their_clients(factory):
    held = Held()
    made = dataclasses.replace(factory, checker=held)
    with served(deployments(), made) as url, over_socket(url) as client, ThreadPoolExecutor(20) as threads:
        long = [threads.submit(upload, client, GOOD, f"{n}.jsonl") for n in range(15)]
        wait_for(lambda: held.begun == 1 and left(factory) == (0, 15))
        assert client.get("/v1/files").status_code == 200
        assert client.post("/v1/moderations", json={"input": "goose"}).status_code == 200
        assert upload(client, b"x", "a.bin", purpose="user_data").status_code == 200
        with connect(url) as wire:
            body = PART + GOOD + END
            wire.sendall(HEAD % len(body) + body)
            wait_for(lambda: left(factory) == (1, 17))
        wait_for(lambda: left(factory) == (1, 16))  # one that waits for its check
        assert not any(answer.done() for answer in long)
        held.release.set()
        assert [answer.result().status_code for answer in long] == [200] * 15
        assert held.begun == 15


def test_content_streams_back_as_it_was(factory, url):
    with over_socket(url) as client:
        made = upload(client, LARGE).json()
        with client.stream("GET", f"/v1/files/{made['id']}/content") as answer:
            assert answer.headers["content-type"] == "application/octet-stream"
            assert b"".join(answer.iter_raw()) == LARGE
        assert json.loads(client.get("/v1/files").text)["total"] == 1
