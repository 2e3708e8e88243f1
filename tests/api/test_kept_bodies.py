"""A body is made once for each state of its job, however many ask; never an old one is shown."""

import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from job_server import JobServer

from modwright.api.kept_bodies import KeptBodies
from modwright.storage.job_rows import NewCheckpoint, NewEvent


@pytest.fixture
def server(tmp_path):
    server = JobServer(tmp_path)
    yield server
    server.close()


def test_every_change_of_a_job_is_seen_at_once(server):
    job = server.create(training_files=[server.file()], auto_start=False)
    seen = [server.get(job["id"])]
    server.validate()
    seen.append(server.get(job["id"]))
    server.post(job["id"], "/start")
    seen.append(server.get(job["id"]))
    claim = server.claim("train")
    for step in range(1, 6):
        server.jobs.add_checkpoints(claim, [NewCheckpoint(step, 1.0)])
        seen.append(server.get(job["id"]))
        assert [one["step_number"] for one in seen[-1]["checkpoints"]] == list(range(step, 0, -1))
        time.sleep(0.002)  # SQLite's clock tells milliseconds
    server.jobs.add_events(claim, [NewEvent("note", "honk")])
    assert server.get(job["id"])["events"][-1]["message"] == "honk"
    server.post(job["id"], "/cancel")
    assert server.get(job["id"])["status"] == "CANCELLATION_REQUESTED"
    server.jobs.cancelled(claim)
    assert server.get(job["id"])["status"] == "CANCELLED"
    assert [one["status"] for one in seen[:4]] == ["QUEUED", "VALIDATED", "QUEUED", "RUNNING"]


def test_one_state_is_rendered_once_for_all(server):
    row = server.jobs.get("default", server.create(training_files=[server.file()])["id"])
    made, kept = [], KeptBodies()

    def make(job):
        made.append(job.modified_at)
        time.sleep(0.05)
        return b"body"

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: kept.body(row, make), range(40))) == {b"body"}
    assert len(made) == 1
    kept.body(dataclasses.replace(row, modified_at=row.modified_at + 0.001), make)
    assert len(made) == 2


def test_what_is_kept_is_bounded(server):
    row = server.jobs.get("default", server.create(training_files=[server.file()])["id"])
    kept, made = KeptBodies(max_bytes=100), []

    def ask(name, size):
        return kept.body(dataclasses.replace(row, id=name), lambda job: made.append(job.id) or b"x" * size)

    for name, size in (
        ("a", 40),
        ("b", 40),
        ("a", 40),
        ("c", 40),
        ("a", 40),
        ("b", 40),
        ("d", 101),
        ("d", 101),
    ):
        assert len(ask(name, size)) == size
    assert made == ["a", "b", "c", "b", "d", "d"]


def test_a_body_that_fails_is_not_kept_and_holds_nobody_up(server):
    row = server.jobs.get("default", server.create(training_files=[server.file()])["id"])
    kept = KeptBodies()
    with pytest.raises(ZeroDivisionError):
        kept.body(row, lambda _: bytes([1 // 0]))
    thread = threading.Thread(target=kept.body, args=(row, lambda _: b"a"))
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_one_job_s_body_holds_up_nobody_else_s(server):
    row = server.jobs.get("default", server.create(training_files=[server.file()])["id"])
    other = dataclasses.replace(row, id="another")
    kept, made = KeptBodies(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(kept.body, row, lambda _: made.wait(20) and b"slow")
        while not kept.is_making(row.id):
            time.sleep(0.001)
        assert kept.body(other, lambda _: b"quick") == b"quick"
        assert not slow.done()
        made.set()
        assert slow.result(20) == b"slow"
    assert not kept.is_making(row.id)
