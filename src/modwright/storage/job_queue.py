"""The queue as workers see it: claim, heartbeat, tell, end. Every write is fenced by worker and epoch.

A claim raises the job's epoch, so that a worker whose lease ended, and whose job was given to another, hits no row and
gets LostLeaseError. Time is the database's: workers on machines of any clock agree on when a lease has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from modwright.errors import LostLeaseError
from modwright.storage.clock import now as present
from modwright.storage.clock import now_expression
from modwright.storage.database import Database
from modwright.storage.job_rows import Claim, Heartbeat, JobRow, Level, NewCheckpoint, NewEvent
from modwright.storage.job_states import CLAIMED, TERMINAL, TRANSITIONS, WORKING, Phase, Status
from modwright.storage.tables import job_checkpoints, job_events, jobs

DEFAULT_MAX_ATTEMPTS = 3
STATUS_UPDATED, REQUEUED = "status-updated", "requeued"
#: Seconds before a job that failed by itself is tried again: this, then twice this, ...
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


class JobQueue:
    """What a worker does with jobs.

    Args:
        database: that holds them.
        max_attempts: claims of a phase after which a job is not queued again.
    """

    def __init__(self, database: Database, *, max_attempts: int = DEFAULT_MAX_ATTEMPTS) -> None:
        self._database = database
        self._max_attempts = max_attempts

    def claim(
        self, worker: str, lease_s: float, phases: Collection[Phase] = frozenset(Phase)
    ) -> Claim | None:
        """Take the next job, validations first, or None; jobs of workers that were lost are queued again before.

        Args:
            worker: a name that no other worker has.
            lease_s: seconds until the job may be taken away, unless a heartbeat comes.
            phases: what this worker does.
        """
        if not self._is_something_due(phases):
            return None
        with self._database.write() as connection:
            now = present(connection)
            self._take_back(connection, now)
            job = self._next(connection, now, phases)
            if job is None:
                return None
            status, epoch = WORKING[job.phase], job.epoch + 1
            values: dict[str, Any] = {
                "status": str(status),
                "worker": worker,
                "epoch": epoch,
                "lease_until": now + lease_s,
                "attempts": job.attempts + 1,
            }
            if job.phase is Phase.TRAIN and job.started_at is None:
                values["started_at"] = now
            self._change(connection, job, now, **values)
            self._log_status(connection, job.id, status, now)
            row = connection.execute(select(jobs).where(jobs.c.id == job.id)).mappings().one()
            return Claim(job_row(row), worker, epoch, job.phase, row["secrets"])

    def heartbeat(self, claim: Claim, lease_s: float) -> Heartbeat:
        """Prolong a lease from now on; says whether the job is to be cancelled."""
        with self._database.write() as connection:
            now = present(connection)
            self._touch(connection, claim, lease_until=now + lease_s)
            query = select(jobs.c.cancel_requested).where(jobs.c.id == claim.job.id)
            return Heartbeat(bool(connection.scalar(query)))

    def record(
        self,
        claim: Claim,
        events: Sequence[NewEvent] = (),
        checkpoints: Sequence[NewCheckpoint] = (),
        *,
        found: Mapping[str, Any] | None = None,
    ) -> None:
        """Add events and checkpoints; a step that is done again replaces itself and all that came after it.

        Args:
            claim: of the job.
            events: in the order in which they happened.
            checkpoints: the steps.
            found: laid over the job's result.
        """
        if not events and not checkpoints and not found:
            return
        with self._database.write() as connection:
            if found:
                job, now = self._own(connection, claim)
                self._touch(connection, claim, result={**job.result, **found})
            else:
                now = present(connection)
                self._touch(connection, claim, modified_at=now)
            self._log(connection, claim.job.id, events, now)
            self._keep_steps(connection, claim.job.id, checkpoints, now)

    def add_events(self, claim: Claim, events: Sequence[NewEvent]) -> None:
        """Add events alone; see `record`."""
        self.record(claim, events=events)

    def add_checkpoints(self, claim: Claim, checkpoints: Sequence[NewCheckpoint]) -> None:
        """Add checkpoints alone; see `record`."""
        self.record(claim, checkpoints=checkpoints)

    def validated(self, claim: Claim, result: Mapping[str, Any], events: Sequence[NewEvent] = ()) -> Status:
        """Keep what validation found; the job rests until it is started, or is queued for training at once."""
        with self._database.write() as connection:
            job, now = self._own(connection, claim)
            self._log(connection, job.id, events, now)
            if job.cancel_requested:
                return self._end(connection, job, now, Status.CANCELLED)
            status = Status.QUEUED if job.auto_start else Status.VALIDATED
            phase = Phase.TRAIN if job.auto_start else Phase.VALIDATE
            free = _free(status, phase, now, attempts=0)
            self._change(connection, job, now, result=dict(result), **free)
            self._log_status(connection, job.id, Status.VALIDATED, now)
            return status

    def succeed(
        self,
        claim: Claim,
        model_id: str,
        publish: Callable[[Connection], object],
        *,
        trained_tokens: int | None = None,
        events: Sequence[NewEvent] = (),
    ) -> Status:
        """End a job with its model: both are there at once. One that was to be cancelled ends CANCELLED, without.

        Args:
            claim: of the job.
            model_id: of the model that `publish` inserts.
            publish: inserts the model's row into this transaction.
            trained_tokens: of all steps.
            events: that belong to it.
        """
        with self._database.write() as connection:
            job, now = self._own(connection, claim)
            self._log(connection, job.id, events, now)
            if job.cancel_requested:
                return self._end(connection, job, now, Status.CANCELLED)
            publish(connection)
            return self._end(
                connection,
                job,
                now,
                Status.SUCCESS,
                fine_tuned_model=model_id,
                trained_tokens=trained_tokens,
            )

    def fail(
        self, claim: Claim, error: Mapping[str, Any], status: Status, events: Sequence[NewEvent] = ()
    ) -> Status:
        """End a job that trying again would not help: FAILED or FAILED_VALIDATION, with what was wrong."""
        with self._database.write() as connection:
            job, now = self._own(connection, claim)
            self._log(connection, job.id, events, now)
            if job.cancel_requested:
                return self._end(connection, job, now, Status.CANCELLED)
            return self._end(connection, job, now, status, error=dict(error))

    def retry(self, claim: Claim, error: Mapping[str, Any], events: Sequence[NewEvent] = ()) -> Status:
        """Queue a job again that failed by no fault of its owner's, a little later; FAILED after too many attempts."""
        with self._database.write() as connection:
            job, now = self._own(connection, claim)
            self._log(connection, job.id, events, now)
            pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** max(0, job.attempts - 1))
            return self._again(connection, job, now, error, now + pause)

    def release(self, claim: Claim, reason: str = "its worker was stopped") -> Status:
        """Give a job back, so that another worker goes on with it at once; it counts as no attempt."""
        with self._database.write() as connection:
            job, now = self._own(connection, claim)
            if job.cancel_requested:
                return self._end(connection, job, now, Status.CANCELLED)
            self._change(connection, job, now, **_free(Status.QUEUED, job.phase, now, job.attempts - 1))
            self._log_requeued(connection, job, reason, now)
            return Status.QUEUED

    def cancelled(self, claim: Claim) -> Status:
        """End a job whose cancellation was requested, now that its worker lets go of it."""
        with self._database.write() as connection:
            job, now = self._own(connection, claim)
            return self._end(connection, job, now, Status.CANCELLED)

    def _is_something_due(self, phases: Collection[Phase]) -> bool:
        """Look without a lock: most polls find nothing and shall hinder nobody."""
        now = now_expression(self._database.engine)
        wanted = [str(phase) for phase in phases]
        due = (jobs.c.status == str(Status.QUEUED)) & (jobs.c.not_before <= now) & jobs.c.phase.in_(wanted)
        lost = jobs.c.status.in_([str(status) for status in CLAIMED]) & (jobs.c.lease_until < now)
        with self._database.read() as connection:
            return connection.execute(select(jobs.c.id).where(or_(due, lost)).limit(1)).first() is not None

    def _take_back(self, connection: Connection, now: float) -> None:
        """Queue, or end, every job whose lease has ended."""
        lost = (
            select(jobs)
            .where(jobs.c.status.in_([str(status) for status in CLAIMED]), jobs.c.lease_until < now)
            .with_for_update(skip_locked=True)
        )
        for row in connection.execute(lost).mappings().all():
            job = job_row(row)
            if job.cancel_requested:
                self._end(connection, job, now, Status.CANCELLED)
                continue
            error = {
                "code": "worker_lost",
                "message": f"worker {job.worker} was lost while the job was {job.status}",
            }
            self._again(connection, job, now, error, now)

    def _next(self, connection: Connection, now: float, phases: Collection[Phase]) -> JobRow | None:
        query = (
            select(jobs)
            .where(
                jobs.c.status == str(Status.QUEUED),
                jobs.c.not_before <= now,
                jobs.c.phase.in_([str(phase) for phase in phases]),
            )
            .order_by(jobs.c.phase.desc(), jobs.c.created_at, jobs.c.id)  # 'validate' before 'train'
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        row = connection.execute(query).mappings().first()
        return None if row is None else job_row(row)

    def _again(
        self, connection: Connection, job: JobRow, now: float, error: Mapping[str, Any], not_before: float
    ) -> Status:
        """Queue a job for another attempt, or end it where there were enough or where nobody wants it any more."""
        if job.cancel_requested:
            return self._end(connection, job, now, Status.CANCELLED)
        if job.attempts >= self._max_attempts:
            told = dict(error) | {"attempts": job.attempts}
            told["message"] = f"{error['message']}; given up after {job.attempts} attempts"
            return self._end(connection, job, now, Status.FAILED, error=told)
        free = _free(Status.QUEUED, job.phase, not_before, job.attempts)
        self._change(connection, job, now, epoch=job.epoch + 1, error=dict(error), **free)
        self._log_requeued(connection, job, str(error["message"]), now)
        return Status.QUEUED

    def _end(self, connection: Connection, job: JobRow, now: float, status: Status, **values: Any) -> Status:
        """End a job for good; its secrets are forgotten, and no late write finds it."""
        assert status in TERMINAL
        ended: dict[str, Any] = {
            "status": str(status),
            "epoch": job.epoch + 1,
            "worker": None,
            "lease_until": None,
            "secrets": None,
            "finished_at": now,
            "error": None,
        }
        self._change(connection, job, now, **(ended | values))
        self._log_status(connection, job.id, status, now)
        return status

    def _change(self, connection: Connection, job: JobRow, now: float, **values: Any) -> None:
        """Change a job that this transaction holds, if it is still as it was read."""
        status = Status(values.get("status", job.status))
        assert status is job.status or status in TRANSITIONS[job.status], f"{job.status} -> {status}"
        statement = (
            update(jobs)
            .where(jobs.c.id == job.id, jobs.c.epoch == job.epoch, jobs.c.status == str(job.status))
            .values(modified_at=now, **values)
        )
        if connection.execute(statement).rowcount != 1:
            raise LostLeaseError("the job was changed by another", where=f"job {job.id}")

    def _touch(self, connection: Connection, claim: Claim, **values: Any) -> None:
        """Change a claimed job's row if it is still this worker's; then nobody else can until the transaction ends."""
        statement = (
            update(jobs)
            .where(jobs.c.id == claim.job.id, jobs.c.epoch == claim.epoch, jobs.c.worker == claim.worker)
            .values(**values)
        )
        if connection.execute(statement).rowcount != 1:
            raise LostLeaseError("the job is no longer this worker's", where=f"job {claim.job.id}")

    def _own(self, connection: Connection, claim: Claim) -> tuple[JobRow, float]:
        """Return a claimed job as it is now, held until the transaction ends, and the time."""
        now = present(connection)
        self._touch(connection, claim, modified_at=now)
        row = connection.execute(select(jobs).where(jobs.c.id == claim.job.id)).mappings().one()
        return job_row(row), now

    def _keep_steps(
        self, connection: Connection, job_id: str, checkpoints: Sequence[NewCheckpoint], now: float
    ) -> None:
        if not checkpoints:
            return
        first = min(one.step_number for one in checkpoints)
        stale = (job_checkpoints.c.job_id == job_id) & (job_checkpoints.c.step_number >= first)
        connection.execute(delete(job_checkpoints).where(stale))
        latest = {one.step_number: one for one in checkpoints}
        rows = [
            {name: getattr(one, name) for name in NewCheckpoint.__slots__}
            | {"job_id": job_id, "created_at": now}
            for one in latest.values()
        ]
        connection.execute(insert(job_checkpoints), rows)

    def _log_status(self, connection: Connection, job_id: str, status: Status, now: float) -> None:
        event = NewEvent(STATUS_UPDATED, f"the job is {status}", Level.INFO, {"status": str(status)})
        self._log(connection, job_id, [event], now)

    def _log_requeued(self, connection: Connection, job: JobRow, reason: str, now: float) -> None:
        data = {"reason": reason, "attempt": job.attempts, "max_attempts": self._max_attempts}
        event = NewEvent(REQUEUED, f"queued again: {reason}", Level.WARN, data)
        self._log(connection, job.id, [event], now)

    def _log(self, connection: Connection, job_id: str, events: Sequence[NewEvent], now: float) -> None:
        rows = [
            {
                "job_id": job_id,
                "created_at": now,
                "name": event.name,
                "level": str(event.level),
                "message": event.message,
                "data": None if event.data is None else dict(event.data),
            }
            for event in events
        ]
        if rows:
            connection.execute(insert(job_events), rows)


def _free(status: Status, phase: Phase, not_before: float, attempts: int) -> dict[str, Any]:
    """Return the columns of a job that nobody holds."""
    return {
        "status": str(status),
        "phase": str(phase),
        "worker": None,
        "lease_until": None,
        "not_before": not_before,
        "attempts": max(0, attempts),
    }


def job_row(row: Mapping[Any, Any]) -> JobRow:
    """Return a row of the table `jobs` as data, without its secrets."""
    values = {name: row[name] for name in JobRow.__slots__}
    values |= {
        "status": Status(row["status"]),
        "phase": Phase(row["phase"]),
        "cancel_requested": bool(row["cancel_requested"]),
        "auto_start": bool(row["auto_start"]),
        "result": row["result"] or {},
    }
    return JobRow(**values)
