"""What a worker makes of what a trainer says and of what happens meanwhile; the trainer is scripted."""

from __future__ import annotations

import dataclasses
import queue
import threading
import time

import pytest
from sqlalchemy import update

from modwright.api.schemas.job_bodies import job_body
from modwright.jobs.job_run import JobRun
from modwright.jobs.lines import Failed, Note, TrackedRun, TrainingStep, Validated
from modwright.jobs.specs import Integration
from modwright.jobs.states import Phase, Status
from modwright.jobs.workspace import Workspace
from modwright.storage import tables

RESULT = {"targets": [], "metadata": {}}


class Scripted:
    """An executor whose trainer says what it is told to; it is also that trainer."""

    def __init__(self):
        self.said = queue.Queue()
        self.code = None
        self.command = None
        self.started = threading.Event()

    def say(self, *lines):
        for line in lines:
            self.said.put(line if isinstance(line, str) else line.to_text() + "\n")

    def leave(self, code=0):
        self.code = code
        self.said.put(None)

    def start(self, command):
        self.command = command
        self.started.set()
        return self

    def lines(self):
        while (line := self.said.get()) is not None:
            yield line

    def poll(self):
        return self.code

    def wait(self):
        return self.code

    def kill(self):
        if self.code is None:
            self.leave(-9)


@pytest.fixture
def trainer(shop):
    return Scripted()


@pytest.fixture
def work(shop, trainer):
    """Claim the next job and work on it in a thread, which returns (thread, statuses, stopping)."""

    def begin():
        claim = shop.parts.jobs.claim("ada", shop.parts.settings.lease_s)
        stopping, ended = threading.Event(), []
        run = JobRun(dataclasses.replace(shop.parts, executor=trainer), claim, stopping)
        thread = threading.Thread(target=lambda: ended.append(run.run()))
        thread.start()
        return thread, ended, stopping

    return begin


def test_validation_is_kept_and_files_are_laid_down_verified(shop, trainer, work):
    job = shop.order(auto_start=False)
    trainer.say(Note("training-plan", "trains it"), Validated(RESULT))
    trainer.leave()
    thread, ended, _ = work()
    thread.join(20)
    assert ended == [Status.VALIDATED]
    assert shop.job(job).result == RESULT
    assert shop.told(job, "training-plan") == ["trains it"]
    workspace = Workspace.of(shop.parts.settings.home, job.id)
    order = workspace.read_order()
    assert [(file.name, file.split) for file in order.files] == [
        ("train.jsonl", "train"),
        ("held.jsonl", "validation"),
    ]
    assert len((workspace.folder / order.files[0].path).read_text().splitlines()) == 90
    assert trainer.command.phase is Phase.VALIDATE
    environment = trainer.command.environment
    assert environment["MODWRIGHT_HOME"] == str(shop.parts.settings.home)
    assert not {"MODWRIGHT_DATABASE", "MODWRIGHT_SECRET_KEY", "MODWRIGHT_STORAGE"} & environment.keys()


@pytest.mark.parametrize(
    ("failed", "status"),
    [
        (
            Failed("invalid_data", "3 problems", problems=({"line": 4},), of_input=True),
            Status.FAILED_VALIDATION,
        ),
        (Failed("training_failed", "the loss is nan"), Status.FAILED),
        (Failed("source_unavailable", "the hub is away", retry=True), Status.QUEUED),
    ],
)
def test_a_failure_ends_the_job_or_is_tried_again(shop, trainer, work, failed, status):
    job = shop.order()
    trainer.say(failed)
    trainer.leave()
    thread, ended, _ = work()
    thread.join(20)
    assert ended == [status]
    error = shop.job(job).error
    assert (error["code"], error["message"]) == (failed.code, failed.message)
    assert Workspace.of(shop.parts.settings.home, job.id).folder.exists() == (status is Status.QUEUED)


def test_a_killed_trainers_last_words_do_no_harm(shop, trainer, work):
    job = shop.order()
    trainer.say(Note("note", "well"), '{"line": "note", "name": "no', "")
    trainer.leave(-9)
    thread, ended, _ = work()
    thread.join(20)
    assert ended == [Status.QUEUED]
    assert "killed by SIGKILL" in shop.job(job).error["message"]
    assert shop.told(job, "note") == ["well"]


def test_steps_are_written_while_the_trainer_works(shop, trainer, work):
    job = shop.order()
    trainer.say(TrainingStep(1, 0.5), TrainingStep(2, 0.4, valid_loss=0.6, tokens=7))
    thread, _, stopping = work()
    deadline = time.monotonic() + 20
    while len(shop.steps(job)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    stopping.set()
    thread.join(20)


def test_a_worker_that_is_stopped_gives_its_job_back_at_once(shop, trainer, work):
    job = shop.order()
    thread, ended, stopping = work()
    assert trainer.started.wait(20)
    stopping.set()
    thread.join(20)
    assert ended == [Status.QUEUED]
    assert trainer.code == -9
    assert (shop.job(job).attempts, shop.job(job).worker) == (0, None)
    assert shop.parts.jobs.claim("bob", 60.0).job.id == job.id


def test_cancelling_kills_the_trainer_and_leaves_nothing(shop, trainer, work):
    job = shop.order()
    thread, ended, _ = work()
    assert trainer.started.wait(20)
    assert shop.parts.jobs.cancel("default", job.id).status is Status.CANCELLATION_REQUESTED
    thread.join(20)
    assert ended == [Status.CANCELLED]
    assert trainer.code == -9
    assert not Workspace.of(shop.parts.settings.home, job.id).folder.exists()


def test_a_lost_lease_kills_the_trainer_and_nothing_late_is_kept(shop, trainer, work):
    job = shop.order()
    thread, ended, _ = work()
    assert trainer.started.wait(20)
    with shop.parts.jobs._database.write() as connection:  # another worker took it
        connection.execute(update(tables.jobs).values(worker="bob", epoch=tables.jobs.c.epoch + 1))
    trainer.say(TrainingStep(1, 0.5), Note("note", "late"))
    thread.join(20)
    assert ended == [None]
    assert trainer.code == -9
    assert shop.steps(job) == ()
    assert shop.told(job, "note") == []
    assert shop.job(job).worker == "bob"


def test_a_file_that_was_deleted_fails_the_job_with_a_word(shop, trainer, work):
    job = shop.order()
    shop.parts.files.delete("default", shop.job(job).spec["validation_files"][0])
    thread, ended, _ = work()
    thread.join(20)
    assert ended == [Status.FAILED_VALIDATION]
    assert "was deleted after the job was created" in shop.job(job).error["message"]


def test_a_trackers_key_goes_to_the_trainer_alone_by_its_environment(shop, trainer, work):
    secrets = shop.parts.sealer.seal('{"wandb": "k-123"}')
    wandb = (Integration("mine", entity="us", tags=("a", "b")),)
    job = shop.order("tiny-encoder", secrets=secrets, integrations=wandb)
    shop.parts.jobs.validated(shop.parts.jobs.claim("bob", 60.0), RESULT)
    thread, _, stopping = work()
    assert trainer.started.wait(20)
    environment = trainer.command.environment
    assert (environment["WANDB_API_KEY"], environment["WANDB_ENTITY"], environment["WANDB_TAGS"]) == (
        "k-123",
        "us",
        "a,b",
    )
    assert "k-123" not in (trainer.command.workspace / "order.json").read_text()
    stopping.set()
    thread.join(20)
    shop.parts.jobs.cancel("default", job.id)


def test_a_trackers_settings_of_the_server_go_to_the_jobs_that_ask_for_it(shop, trainer, work, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "the server's")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:1")
    for asked, expected in (((Integration("mine"),), "the server's"), ((), None)):
        trainer.started.clear()
        job = shop.order("tiny-encoder", integrations=asked, seed=len(asked))
        shop.parts.jobs.validated(shop.parts.jobs.claim("bob", 60.0), RESULT)
        thread, _, stopping = work()
        assert trainer.started.wait(20)
        environment = trainer.command.environment
        assert environment.get("WANDB_API_KEY") == expected
        assert ("WANDB_BASE_URL" in environment) is bool(asked)
        stopping.set()
        thread.join(20)
        shop.parts.jobs.cancel("default", job.id)
        trainer.code, trainer.said = None, queue.Queue()


def test_where_a_tracker_shows_the_run_is_part_of_the_job_at_once(shop, trainer, work):
    job = shop.order("tiny-encoder", integrations=(Integration("mine", run_name="asked"),))
    shop.parts.jobs.validated(shop.parts.jobs.claim("bob", 60.0), RESULT)
    thread, _, stopping = work()
    assert trainer.started.wait(20)
    assert trainer.command.environment["WANDB_NAME"] == "asked"
    (shown,) = job_body(shop.job(job))["integrations"]
    assert (shown["run_name"], shown["url"]) == ("asked", None)
    trainer.say(TrackedRun("wandb", "brave-goose-1", "https://wandb.ai/us/mine/runs/1"))
    deadline = time.monotonic() + 20
    while "wandb_url" not in shop.job(job).result:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert shop.job(job).result.items() >= RESULT.items()
    (shown,) = job_body(shop.job(job))["integrations"]
    assert (shown["run_name"], shown["url"]) == ("brave-goose-1", "https://wandb.ai/us/mine/runs/1")
    stopping.set()
    thread.join(20)
    shop.parts.jobs.cancel("default", job.id)
