"""Jobs as their owners see them: created, listed, started, cancelled, with events and checkpoints.

`JobStore` is the whole of the queue: `job_queue.JobQueue`, its lower half, is what workers call. Every change is one
short transaction, and each status changes only as `job_states` allows.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, insert, select

from modwright.errors import ConflictError, NotFoundError
from modwright.storage.clock import now
from modwright.storage.job_queue import JobQueue, job_row
from modwright.storage.job_rows import (
    CheckpointRow,
    Claim,
    EventRow,
    Heartbeat,
    JobFilters,
    JobRow,
    Level,
    NewCheckpoint,
    NewEvent,
    NewJob,
)
from modwright.storage.job_states import UNFINISHED, Phase, Status
from modwright.storage.tables import UNFINISHED as BARS_TWIN
from modwright.storage.tables import job_checkpoints, job_events, jobs, projects

__all__ = [
    "CheckpointRow",
    "Claim",
    "EventRow",
    "Heartbeat",
    "JobFilters",
    "JobRow",
    "JobStore",
    "Level",
    "NewCheckpoint",
    "NewEvent",
    "NewJob",
]

#: What is not there and what is another project's look alike.
_UNKNOWN = "list the jobs, and name one of them"


class JobStore(JobQueue):
    """Every job of every project."""

    def create(self, new: NewJob) -> JobRow:
        """Queue a job for validation.

        Raises:
            ConflictError: an unfinished job of the project is the same.
            NotFoundError: there is no such project.
        """
        with self._database.write() as connection:
            self._hold_project(connection, new.project_id)
            self._refuse_twin(connection, new)
            at = now(connection)
            identity = str(uuid.uuid4())  # its first characters tell models apart, so they cannot be a time's
            values = {
                "id": identity,
                "project_id": new.project_id,
                "dialect": new.dialect,
                "status": str(Status.QUEUED),
                "cancel_requested": False,
                "phase": str(Phase.VALIDATE),
                "epoch": 0,
                "attempts": 0,
                "not_before": at,
                "auto_start": new.auto_start,
                "model": new.model,
                "suffix": new.suffix,
                "spec": dict(new.spec),
                "twin": new.twin,
                "result": dict(new.result),
                "secrets": new.secrets,
                "created_by": new.created_by,
                "created_at": at,
                "modified_at": at,
            }
            connection.execute(insert(jobs).values(**values))
            self._log_status(connection, identity, Status.QUEUED, at)
            return self._read(connection, new.project_id, identity)

    def get(self, project_id: str, job_id: str) -> JobRow:
        """Return a job; raises NotFoundError where the project has none of that id."""
        with self._database.read() as connection:
            return self._read(connection, project_id, job_id)

    def list(
        self,
        project_id: str,
        filters: JobFilters | None = None,
        *,
        page: int = 0,
        page_size: int = 100,
        after: str | None = None,
    ) -> tuple[tuple[JobRow, ...], int]:
        """Return a page of jobs, newest first, and how many there are on all pages.

        Args:
            project_id: whose.
            filters: which of them.
            page: from 0.
            page_size: jobs of a page.
            after: id of a job: the page begins behind it, whatever `page` says.

        Raises:
            NotFoundError: the project has no job `after`.
        """
        chosen = [jobs.c.project_id == project_id, *_conditions(filters or JobFilters())]
        with self._database.read() as connection:
            total = connection.scalar(select(func.count()).select_from(jobs).where(*chosen)) or 0
            query = select(jobs).where(*chosen).order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
            if after is None:
                query = query.offset(page * page_size)
            else:
                last = self._read(connection, project_id, after)
                query = query.where(_behind(last))
            rows = connection.execute(query.limit(page_size)).mappings()
            return tuple(job_row(row) for row in rows), int(total)

    def start(self, project_id: str, job_id: str) -> JobRow:
        """Queue a validated job for training, at once; raises ConflictError in every other state."""
        with self._database.write() as connection:
            job = self._held(connection, project_id, job_id)
            if job.status is not Status.VALIDATED:
                raise ConflictError(
                    f"the job is {job.status}, expected {Status.VALIDATED}",
                    where=f"job {job_id}",
                    remedy="wait until it is validated" if job.phase is Phase.VALIDATE else "create another",
                )
            at = now(connection)
            self._change(
                connection,
                job,
                at,
                status=str(Status.QUEUED),
                phase=str(Phase.TRAIN),
                attempts=0,
                not_before=at,
            )
            return self._read(connection, project_id, job_id)

    def cancel(self, project_id: str, job_id: str) -> JobRow:
        """End a job that no worker holds; ask the worker to let go of one that is held. Asking again changes nothing.

        Raises:
            ConflictError: it has ended otherwise.
        """
        with self._database.write() as connection:
            job = self._held(connection, project_id, job_id)
            if job.status in (Status.CANCELLED, Status.CANCELLATION_REQUESTED):
                return job
            if job.status not in UNFINISHED:
                raise ConflictError(f"the job is {job.status} already", where=f"job {job_id}")
            at = now(connection)
            held = job.worker is not None and job.lease_until is not None and job.lease_until >= at
            if held:
                status = Status.CANCELLATION_REQUESTED
                self._change(connection, job, at, cancel_requested=True, status=str(status))
                self._log_status(connection, job_id, status, at)
            else:
                self._end(connection, job, at, Status.CANCELLED)
            return self._read(connection, project_id, job_id)

    def events(
        self,
        project_id: str,
        job_id: str,
        *,
        after: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> tuple[EventRow, ...]:
        """Return a job's events, oldest first or newest first, those behind the event `after` in that order."""
        key = job_events.c.id
        query = select(job_events).where(job_events.c.job_id == job_id)
        query = _paged(query, key, after, limit, newest_first)
        with self._database.read() as connection:
            self._read(connection, project_id, job_id)
            found = connection.execute(query).mappings()
            return tuple(_event(row) for row in found)

    def checkpoints(
        self,
        project_id: str,
        job_id: str,
        *,
        after: int | None = None,
        limit: int | None = None,
        newest_first: bool = True,
    ) -> tuple[CheckpointRow, ...]:
        """Return a job's steps, newest first or oldest first, those behind the step `after` in that order."""
        key = job_checkpoints.c.step_number
        query = select(job_checkpoints).where(job_checkpoints.c.job_id == job_id)
        query = _paged(query, key, after, limit, newest_first)
        with self._database.read() as connection:
            self._read(connection, project_id, job_id)
            found = connection.execute(query).mappings()
            return tuple(
                CheckpointRow(**{name: row[name] for name in CheckpointRow.__slots__}) for row in found
            )

    def count(self, *statuses: Status) -> int:
        """Return how many jobs of all projects are in one of these states, in any without one."""
        query = select(func.count()).select_from(jobs)
        if statuses:
            query = query.where(jobs.c.status.in_([str(status) for status in statuses]))
        with self._database.read() as connection:
            return int(connection.scalar(query) or 0)

    def unfinished_among(self, job_ids: Sequence[str]) -> set[str]:
        """Return those of some jobs that have not ended: what a worker keeps of them on its disk is still needed."""
        unfinished = [str(status) for status in UNFINISHED]
        query = select(jobs.c.id).where(jobs.c.id.in_(list(job_ids)), jobs.c.status.in_(unfinished))
        with self._database.read() as connection:
            return set(connection.scalars(query))

    def _hold_project(self, connection: Connection, project_id: str) -> None:
        """Let nobody else create a job of the project until this transaction ends."""
        query = select(projects.c.id).where(projects.c.id == project_id).with_for_update(key_share=True)
        if connection.scalar(query) is None:
            raise NotFoundError(f"no project '{project_id}'")

    def _refuse_twin(self, connection: Connection, new: NewJob) -> None:
        query = select(jobs.c.id, jobs.c.status).where(
            jobs.c.project_id == new.project_id, jobs.c.twin == new.twin, jobs.c.status.in_(BARS_TWIN)
        )
        twin = connection.execute(query).first()
        if twin is not None:
            raise ConflictError(
                f"the job {twin.id} is the same and is {twin.status}",
                remedy="wait for it, cancel it, or change this one",
            )

    def _read(self, connection: Connection, project_id: str, job_id: str) -> JobRow:
        return self._one(connection, project_id, job_id, select(jobs))

    def _held(self, connection: Connection, project_id: str, job_id: str) -> JobRow:
        """Return a job that nobody else changes until this transaction ends."""
        return self._one(connection, project_id, job_id, select(jobs).with_for_update())

    def _one(self, connection: Connection, project_id: str, job_id: str, query: Select[Any]) -> JobRow:
        query = query.where(jobs.c.id == job_id, jobs.c.project_id == project_id)
        row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFoundError(f"no job '{job_id}'", remedy=_UNKNOWN)
        return job_row(row)


def _event(row: Mapping[Any, Any]) -> EventRow:
    values = {name: row[name] for name in EventRow.__slots__}
    return EventRow(**(values | {"level": Level(row["level"])}))


def _behind(last: JobRow) -> ColumnElement[bool]:
    """Say which jobs come after one in a list of the newest first."""
    same = (jobs.c.created_at == last.created_at) & (jobs.c.id < last.id)
    return (jobs.c.created_at < last.created_at) | same


def _conditions(filters: JobFilters) -> list[ColumnElement[bool]]:
    tracker = jobs.c.spec["integrations"][0]
    equal: list[tuple[Any, Any]] = [
        (jobs.c.model, filters.model),
        (jobs.c.status, filters.status),
        (jobs.c.suffix, filters.suffix),
        (jobs.c.created_by, filters.created_by),
        (tracker["project"].as_string(), filters.wandb_project),
        (tracker["name"].as_string(), filters.wandb_name),
        *((jobs.c.spec["metadata"][key].as_string(), value) for key, value in filters.metadata.items()),
    ]
    found = [column == str(value) for column, value in equal if value is not None]
    if filters.without_metadata:
        metadata = jobs.c.spec["metadata"].as_string()
        found.append(metadata.is_(None) | (metadata == "{}"))
    if filters.created_after is not None:
        found.append(jobs.c.created_at > filters.created_after)
    if filters.created_before is not None:
        found.append(jobs.c.created_at < filters.created_before)
    return found


def _paged(
    query: Select[Any], key: Any, after: int | None, limit: int | None, newest_first: bool
) -> Select[Any]:
    if after is not None:
        query = query.where(key < after if newest_first else key > after)
    query = query.order_by(key.desc() if newest_first else key.asc())
    return query if limit is None else query.limit(limit)
