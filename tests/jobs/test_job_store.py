"""The queue, case by case, on both databases: leases, attempts, pages and filters."""

from __future__ import annotations

import time

import pytest
from jobs_queue_machine import PROJECT, model_row, new_job
from sqlalchemy import select, update

from modwright.errors import ConflictError, LostLeaseError, NotFoundError
from modwright.jobs.states import Phase, Status
from modwright.storage import tables
from modwright.storage.jobs import JobFilters, JobStore, NewCheckpoint, NewEvent, NewJob

LEASE_S = 60.0
ERROR = {"code": "trainer_died", "message": "the trainer was killed by SIGKILL"}


@pytest.fixture
def store(database):
    """The queue of an empty database."""
    return JobStore(database, max_attempts=3)


def ready(store, database):
    """Let every pause be over."""
    with database.write() as connection:
        connection.execute(update(tables.jobs).values(not_before=0.0))


def names(store, job_id):
    return [(event.name, (event.data or {}).get("status")) for event in store.events(PROJECT, job_id)]


def test_a_job_goes_from_created_to_success(store, database):
    job = store.create(new_job("a", auto_start=False))
    claim = store.claim("ada", LEASE_S)
    assert (claim.job.id, claim.phase, claim.job.status) == (job.id, Phase.VALIDATE, Status.VALIDATING)
    assert store.claim("bob", LEASE_S) is None
    assert store.validated(claim, {"targets": [1]}) is Status.VALIDATED
    assert store.claim("ada", LEASE_S) is None  # it rests until it is started
    started = store.start(PROJECT, job.id)
    assert (started.status, started.phase, started.result) == (Status.QUEUED, Phase.TRAIN, {"targets": [1]})
    claim = store.claim("ada", LEASE_S)
    assert claim.job.status is Status.RUNNING
    assert claim.job.started_at is not None
    store.record(
        claim, [NewEvent("note", "begun")], [NewCheckpoint(1, 0.5), NewCheckpoint(2, 0.4, 0.6, 1e-3, 12)]
    )
    publish = lambda connection: model_row(connection, job.id, "ft:1")  # noqa: E731
    assert store.succeed(claim, "ft:1", publish, trained_tokens=24) is Status.SUCCESS
    done = store.get(PROJECT, job.id)
    assert (done.fine_tuned_model, done.trained_tokens, done.worker) == ("ft:1", 24, None)
    assert done.created_at <= done.started_at <= done.finished_at
    assert names(store, job.id) == [
        ("status-updated", "QUEUED"),
        ("status-updated", "VALIDATING"),
        ("status-updated", "VALIDATED"),
        ("status-updated", "RUNNING"),
        ("note", None),
        ("status-updated", "SUCCESS"),
    ]
    steps = store.checkpoints(PROJECT, job.id)
    assert [step.step_number for step in steps] == [2, 1]
    assert (steps[0].train_loss, steps[0].valid_loss, steps[0].learning_rate, steps[0].tokens) == (
        0.4,
        0.6,
        1e-3,
        12,
    )


def test_a_lease_ends_by_the_databases_clock(store):
    store.create(new_job("a"))
    first = store.claim("ada", 0.3)
    assert store.claim("bob", LEASE_S) is None
    time.sleep(0.2)
    store.heartbeat(first, 0.4)
    time.sleep(0.2)
    assert store.claim("bob", LEASE_S) is None  # prolonged
    time.sleep(0.3)
    second = store.claim("bob", LEASE_S)
    assert second.epoch > first.epoch
    assert second.job.attempts == 2
    for late in (
        lambda: store.heartbeat(first, LEASE_S),
        lambda: store.record(first, [NewEvent("note", "late")]),
        lambda: store.add_checkpoints(first, [NewCheckpoint(1, 0.1)]),
        lambda: store.validated(first, {}),
        lambda: store.retry(first, ERROR),
        lambda: store.release(first),
    ):
        with pytest.raises(LostLeaseError):
            late()
    told = [event for event in store.events(PROJECT, second.job.id) if event.name == "requeued"]
    assert "worker ada was lost" in told[0].message
    assert not store.heartbeat(second, LEASE_S).cancel


def test_attempts_are_capped_and_the_reason_is_kept(store, database):
    job = store.create(new_job("a"))
    for attempt in (1, 2, 3):
        ready(store, database)
        claim = store.claim("ada", LEASE_S)
        assert claim.job.attempts == attempt
        status = store.retry(claim, ERROR)
        assert status is (Status.QUEUED if attempt < 3 else Status.FAILED)
    failed = store.get(PROJECT, job.id)
    assert failed.error["code"] == "trainer_died"
    assert "SIGKILL; given up after 3 attempts" in failed.error["message"]
    assert [event.data["attempt"] for event in store.events(PROJECT, job.id) if event.name == "requeued"] == [
        1,
        2,
    ]


def test_each_phase_has_its_own_attempts_and_a_given_back_job_has_lost_none(store, database):
    store.create(new_job("a"))
    for _ in range(5):
        assert store.release(store.claim("ada", LEASE_S)) is Status.QUEUED
    assert store.retry(store.claim("ada", LEASE_S), ERROR) is Status.QUEUED
    ready(store, database)
    assert store.validated(store.claim("ada", LEASE_S), {}) is Status.QUEUED
    assert store.claim("ada", LEASE_S).job.attempts == 1


def test_a_failed_job_waits_longer_each_time(store):
    job = store.create(new_job("a"))
    claim = store.claim("ada", LEASE_S)
    store.retry(claim, ERROR)
    waiting = store.get(PROJECT, job.id)
    assert 0.5 < waiting.not_before - waiting.modified_at <= 1.0
    assert store.claim("ada", LEASE_S) is None


def test_twins_are_refused_while_one_is_unfinished(store):
    job = store.create(new_job("same"))
    with pytest.raises(ConflictError, match=job.id):
        store.create(new_job("same"))
    store.cancel(PROJECT, job.id)
    again = store.create(new_job("same"))
    claim = store.claim("ada", LEASE_S)
    assert store.cancel(PROJECT, again.id).status is Status.CANCELLATION_REQUESTED
    store.create(new_job("same"))  # whoever changes one's mind need not wait for a worker
    assert store.heartbeat(claim, LEASE_S).cancel
    assert store.cancelled(claim) is Status.CANCELLED


def test_a_job_that_is_to_be_cancelled_never_succeeds(store):
    job = store.create(new_job("a"))
    store.validated(store.claim("ada", LEASE_S), {})
    claim = store.claim("ada", LEASE_S)
    store.cancel(PROJECT, job.id)
    inserted = []
    assert store.succeed(claim, "ft:1", inserted.append) is Status.CANCELLED
    assert inserted == []
    assert store.get(PROJECT, job.id).fine_tuned_model is None
    assert store.cancel(PROJECT, job.id).status is Status.CANCELLED  # asking again changes nothing


def test_cancelling_ends_a_job_whose_worker_is_gone_at_once(store):
    job = store.create(new_job("a"))
    claim = store.claim("ada", 0.05)
    time.sleep(0.1)
    assert store.cancel(PROJECT, job.id).status is Status.CANCELLED
    with pytest.raises(LostLeaseError):
        store.validated(claim, {})


def test_a_success_is_whole_or_not_at_all(store, database):
    job = store.create(new_job("a"))
    store.validated(store.claim("ada", LEASE_S), {})
    claim = store.claim("ada", LEASE_S)

    def breaks(connection):
        model_row(connection, job.id, "ft:1")
        raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError):
        store.succeed(claim, "ft:1", breaks)
    assert store.get(PROJECT, job.id).status is Status.RUNNING
    with database.read() as connection:
        assert connection.execute(select(tables.models)).all() == []


def test_a_step_that_is_done_again_replaces_all_behind_it(store):
    job = store.create(new_job("a"))
    store.validated(store.claim("ada", LEASE_S), {})
    claim = store.claim("ada", LEASE_S)
    store.add_checkpoints(claim, [NewCheckpoint(number, 1.0) for number in range(1, 8)])
    store.add_checkpoints(claim, [NewCheckpoint(4, 0.5), NewCheckpoint(5, 0.5)])
    found = store.checkpoints(PROJECT, job.id, newest_first=False)
    assert [(step.step_number, step.train_loss) for step in found] == [
        (1, 1.0),
        (2, 1.0),
        (3, 1.0),
        (4, 0.5),
        (5, 0.5),
    ]


def test_secrets_go_to_the_worker_alone_and_are_forgotten_at_the_end(store, database):
    sealed = NewJob(PROJECT, "mistral", "fast", {}, "a", secrets="sealed-words")
    job = store.create(sealed)
    assert "sealed-words" not in repr(sealed) + repr(job) + repr(store.get(PROJECT, job.id))
    claim = store.claim("ada", LEASE_S)
    assert claim.secrets == "sealed-words"
    assert "sealed-words" not in repr(claim)
    store.fail(claim, ERROR, Status.FAILED_VALIDATION)
    with database.read() as connection:
        assert connection.scalar(select(tables.jobs.c.secrets)) is None


def test_validations_come_first_and_a_slot_may_do_nothing_else(store):
    store.create(new_job("long"))
    store.validated(store.claim("ada", LEASE_S), {})
    late = store.create(new_job("late"))
    assert store.claim("ada", LEASE_S, {Phase.VALIDATE}).job.id == late.id
    assert store.claim("ada", LEASE_S, {Phase.VALIDATE}) is None
    assert store.claim("ada", LEASE_S, {Phase.TRAIN}).phase is Phase.TRAIN


def test_lists_are_paged_and_filtered(store):
    made = []
    for number in range(5):
        spec = {
            "integrations": [{"type": "wandb", "project": f"p{number % 2}", "name": "n"}] if number else [],
            "metadata": {"team": "red" if number < 2 else "blue"},
        }
        model = "fast" if number < 3 else "balanced"
        job = NewJob(PROJECT, "mistral", model, spec, f"t{number}", suffix=f"s{number}", created_by="key-1")
        made.append(store.create(job).id)
    newest = made[::-1]
    page, total = store.list(PROJECT)
    assert ([job.id for job in page], total) == (newest, 5)
    assert [job.id for job in store.list(PROJECT, page=1, page_size=2)[0]] == newest[2:4]
    assert [job.id for job in store.list(PROJECT, page_size=2, after=newest[1])[0]] == newest[2:4]
    assert store.list(PROJECT, after=newest[-1])[0] == ()

    def found(**filters):
        jobs, total = store.list(PROJECT, JobFilters(**filters))
        assert total == len(jobs)
        return {made.index(job.id) for job in jobs}

    assert found(model="fast") == {0, 1, 2}
    assert found(suffix="s4") == {4}
    assert found(status=Status.QUEUED) == {0, 1, 2, 3, 4}
    assert found(status=Status.RUNNING) == set()
    assert found(created_by="key-1") == {0, 1, 2, 3, 4}
    assert found(created_by="key-2") == set()
    assert found(wandb_project="p0") == {2, 4}
    assert found(wandb_name="n", wandb_project="p1") == {1, 3}
    assert found(metadata={"team": "red"}) == {0, 1}
    assert found(metadata={"team": "red", "other": "x"}) == set()
    assert found(without_metadata=True) == set()
    for number, spec in enumerate(({"metadata": {}}, {}), start=5):
        made.append(store.create(NewJob(PROJECT, "mistral", "without", spec, f"t{number}")).id)
    assert found(without_metadata=True) == {5, 6}
    assert found(without_metadata=True, model="fast") == set()
    middle = store.get(PROJECT, made[2]).created_at
    assert found(created_after=middle) <= {3, 4, 5, 6}
    assert found(created_before=middle) <= {0, 1}


def test_events_and_steps_come_by_cursor_in_both_orders(store):
    job = store.create(new_job("a"))
    claim = store.claim("ada", LEASE_S)
    store.record(
        claim, [NewEvent("note", str(n)) for n in range(4)], [NewCheckpoint(n, 0.1) for n in range(1, 5)]
    )
    events = store.events(PROJECT, job.id)
    assert [event.id for event in events] == sorted(event.id for event in events)
    newest = store.events(PROJECT, job.id, newest_first=True, limit=2)
    assert [event.message for event in newest] == ["3", "2"]
    assert store.events(PROJECT, job.id, newest_first=True, after=newest[-1].id)[0].message == "1"
    assert [step.step_number for step in store.checkpoints(PROJECT, job.id, after=3)] == [2, 1]
    forward = store.checkpoints(PROJECT, job.id, after=3, newest_first=False)
    assert [step.step_number for step in forward] == [4]


def test_another_projects_job_is_not_there(store, database):
    job = store.create(new_job("a"))
    with database.write() as connection:
        values = {"id": "other", "name": "other", "created_at": 0.0}
        connection.execute(tables.projects.insert().values(**values))
    for ask in (store.get, store.start, store.cancel, store.events, store.checkpoints):
        with pytest.raises(NotFoundError):
            ask("other", job.id)
    assert store.list("other") == ((), 0)
    with pytest.raises(NotFoundError):
        store.list("other", after=job.id)
    with pytest.raises(NotFoundError):
        store.create(NewJob("nobody", "mistral", "fast", {}, "a"))
    assert store.get(PROJECT, job.id).status is Status.QUEUED
