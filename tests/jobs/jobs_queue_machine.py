"""Workers, owners and lost leases in any order, on a real database: what the queue promises holds after every step."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from sqlalchemy import insert, select, update

from modwright.errors import ConflictError, LostLeaseError
from modwright.jobs.states import TERMINAL, TRANSITIONS, Phase, Status
from modwright.storage import tables
from modwright.storage.jobs import JobStore, Level, NewCheckpoint, NewEvent, NewJob

STEPS = 12
LEASE_S = 1000.0
MAX_ATTEMPTS = 3
MOST_JOBS = 4
PROJECT = "default"


def new_job(twin, *, auto_start=True):
    """A job whose content is one word."""
    return NewJob(PROJECT, "mistral", "fast", {"metadata": {}}, twin, auto_start=auto_start)


def model_row(connection, job_id, model_id):
    """Insert the row of a model, as publishing does."""
    values = {
        "id": model_id,
        "project_id": PROJECT,
        "job_id": job_id,
        "root": "fast",
        "archived": False,
        "artifact_id": "0" * 64,
        "manifest": {},
        "targets": [],
        "created_at": 0.0,
    }
    connection.execute(insert(tables.models).values(**values))


class QueueMachine(RuleBasedStateMachine):
    """Several workers whose claims may be stale at any time; `database` is set by who runs it."""

    database = None
    claims = Bundle("claims")

    @initialize()
    def empty(self):
        with self.database.write() as connection:
            for table in (tables.models, tables.job_events, tables.job_checkpoints, tables.jobs):
                connection.execute(table.delete())
        self.store = JobStore(self.database, max_attempts=MAX_ATTEMPTS)
        self.names = itertools.count()
        self.jobs: list[str] = []
        self.holder: dict[str, tuple[str, int]] = {}  # who may write, as this model of the queue knows it
        self.saved: dict[str, int] = {}  # the step that a killed training goes on from
        self.ended: dict[str, Status] = {}

    @rule(auto_start=st.booleans())
    def create(self, auto_start):
        if len(self.jobs) >= MOST_JOBS:
            return
        twin = f"twin-{next(self.names)}"
        job = self.store.create(new_job(twin, auto_start=auto_start))
        assert job.status is Status.QUEUED
        with pytest.raises(ConflictError):
            self.store.create(new_job(twin))
        self.jobs.append(job.id)

    @rule(target=claims)
    def create_and_train(self):
        """The straight road to a training, so that most of what happens, happens to one."""
        if len(self.jobs) >= MOST_JOBS or self.store.count(Status.QUEUED):
            return multiple()
        self.create(auto_start=True)
        self.store.validated(self.store.claim("ada", LEASE_S), {})
        return self.claim("ada")

    @rule(target=claims, worker=st.sampled_from(("ada", "bob", "cleo")))
    def claim(self, worker):
        claim = self.store.claim(worker, LEASE_S)
        if claim is None:
            return multiple()
        holder = self.holder.get(claim.job.id)
        assert holder is None, f"{claim.job.id} is held by {holder}"
        self.holder[claim.job.id] = (worker, claim.epoch)
        return claim

    @rule(claim=claims)
    def train(self, claim):
        """Take three steps from the saved one, write two of them down, save after the first."""
        if claim.phase is not Phase.TRAIN:
            return
        first = self.saved.get(claim.job.id, 0) + 1
        steps = [
            NewCheckpoint(number, 1.0 / number, tokens=10)
            for number in range(first, min(first + 2, STEPS) + 1)
        ]
        if self._guarded(
            claim, lambda: self.store.record(claim, [NewEvent("note", "a step", Level.INFO)], steps)
        ):
            self.saved[claim.job.id] = min(first, STEPS)

    @rule(claim=claims)
    def beat(self, claim):
        told = []
        if self._guarded(claim, lambda: told.append(self.store.heartbeat(claim, LEASE_S))):
            job = self.store.get(PROJECT, claim.job.id)
            assert told[0].cancel == (job.status is Status.CANCELLATION_REQUESTED)

    @rule(claim=claims, how=st.sampled_from(("done", "done", "fail", "retry", "release", "cancelled")))
    def end(self, claim, how):
        error = {"code": "x", "message": "the trainer died"}
        validates = claim.phase is Phase.VALIDATE
        failed = Status.FAILED_VALIDATION if validates else Status.FAILED
        ways = {
            "done": (lambda: self.store.validated(claim, {"targets": []}))
            if validates
            else (lambda: self._succeed(claim)),
            "fail": lambda: self.store.fail(claim, error, failed),
            "retry": lambda: self.store.retry(claim, error),
            "release": lambda: self.store.release(claim),
            "cancelled": lambda: self.store.cancelled(claim),
        }
        if (
            how == "cancelled"
            and self.store.get(PROJECT, claim.job.id).status is not Status.CANCELLATION_REQUESTED
        ):
            return
        if self._guarded(claim, ways[how]):
            del self.holder[claim.job.id]
            with self.database.write() as connection:  # its pause is over
                connection.execute(update(tables.jobs).values(not_before=0.0))

    def _succeed(self, claim):
        first = self.saved.get(claim.job.id, 0) + 1
        rest = [NewCheckpoint(number, 1.0 / number, tokens=10) for number in range(first, STEPS + 1)]
        self.store.record(claim, checkpoints=rest)
        name = f"ft:{claim.job.id}"
        return self.store.succeed(
            claim,
            name,
            lambda connection: model_row(connection, claim.job.id, name),
            trained_tokens=10 * STEPS,
        )

    @rule(place=st.integers(0, 3 * MOST_JOBS))
    def cancel(self, place):
        if place < len(self.jobs):
            job = self.jobs[place]
            before = self.store.get(PROJECT, job).status
            if before in TERMINAL - {Status.CANCELLED}:
                with pytest.raises(ConflictError):
                    self.store.cancel(PROJECT, job)
            else:
                after = self.store.cancel(PROJECT, job).status
                assert after in (Status.CANCELLED, Status.CANCELLATION_REQUESTED)
                if after is Status.CANCELLED:
                    self.holder.pop(job, None)

    @rule(place=st.integers(0, MOST_JOBS - 1))
    def start(self, place):
        if place < len(self.jobs):
            job = self.jobs[place]
            if self.store.get(PROJECT, job).status is Status.VALIDATED:
                assert self.store.start(PROJECT, job).status is Status.QUEUED
            else:
                with pytest.raises(ConflictError):
                    self.store.start(PROJECT, job)

    @rule(place=st.integers(0, MOST_JOBS - 1))
    def lease_ends(self, place):
        """Time passes: the next claim of anybody takes the job away."""
        if place < len(self.jobs):
            job = self.jobs[place]
            with self.database.write() as connection:
                held = update(tables.jobs).where(tables.jobs.c.id == job, tables.jobs.c.worker.is_not(None))
                connection.execute(held.values(lease_until=1.0))
            self.store.claim("sweeper", LEASE_S, phases=())
            self.holder.pop(job, None)

    def _guarded(self, claim, write) -> bool:
        """Write under a claim: it works if, and only if, the claim is the one that holds; says whether."""
        holds = self.holder.get(claim.job.id) == (claim.worker, claim.epoch)
        before = self._content(claim.job.id)
        if not holds:
            with pytest.raises(LostLeaseError):
                write()
            assert self._content(claim.job.id) == before
            return False
        write()
        return True

    def _content(self, job):
        with self.database.read() as connection:
            row = connection.execute(select(tables.jobs).where(tables.jobs.c.id == job)).one()
            steps = select(tables.job_checkpoints).where(tables.job_checkpoints.c.job_id == job)
            return (
                tuple(row),
                sorted(map(tuple, connection.execute(steps))),
                len(self.store.events(PROJECT, job)),
            )

    @invariant()
    def promises_hold(self):
        for job_id in getattr(self, "jobs", ()):
            job = self.store.get(PROJECT, job_id)
            self._history(job)
            assert (job.worker is not None) == (job_id in self.holder)
            assert job.attempts <= MAX_ATTEMPTS
            if job.status in TERMINAL:
                assert self.ended.setdefault(job_id, job.status) is job.status
                assert job.finished_at is not None
            else:
                assert job_id not in self.ended
            if job.status is Status.SUCCESS:
                numbers = [
                    step.step_number for step in self.store.checkpoints(PROJECT, job_id, newest_first=False)
                ]
                assert numbers == list(range(1, STEPS + 1))
            with self.database.read() as connection:
                models = connection.scalars(
                    select(tables.models.c.id).where(tables.models.c.job_id == job_id)
                ).all()
            assert models == ([job.fine_tuned_model] if job.status is Status.SUCCESS else [])

    def _history(self, job):
        """Every status of the events may follow the one before it; the queue is left and entered in between."""
        shown = [
            event
            for event in self.store.events(PROJECT, job.id)
            if event.name in ("status-updated", "requeued")
        ]
        statuses = [
            Status(event.data["status"]) if "status" in event.data else Status.QUEUED for event in shown
        ]
        assert statuses[0] is Status.QUEUED
        assert sum(status in TERMINAL for status in statuses) == (job.status in TERMINAL)
        for before, after in itertools.pairwise(statuses):
            through_queue = before is Status.VALIDATED and after is Status.RUNNING
            assert after in TRANSITIONS[before] or through_queue, (before, after)
