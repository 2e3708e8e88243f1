"""Watching a job: asked now and then, what is new of it is told, until it rests."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from modwright.client.flow import Flow, Item, Patience, Pause, Stream
from modwright.client.job_answers import Checkpoint, Event, Job, JobStatus
from modwright.client.job_calls import get_job
from modwright.errors import UnavailableError, UsageError

#: Seconds for which a server that cannot be reached is waited for.
PATIENCE_S = 120.0
#: Seconds between two looks.
EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Update:
    """What is new of a job.

    Attributes:
        job: as it is now.
        events: that happened since the last update, oldest first.
        checkpoints: steps since then; after a worker was lost, steps that are done again come again where their losses
            are others.
    """

    job: Job
    events: tuple[Event, ...]
    checkpoints: tuple[Checkpoint, ...]


class Watcher:
    """Tells what is new from one look at a job to the next."""

    def __init__(self) -> None:
        self._events = 0
        self._steps: dict[int, tuple[float, float | None]] = {}
        self._last: Job | None = None

    def look(self, job: Job) -> Update | None:
        """Return what is new since the last look; None where nothing is."""
        before, self._last = self._last, replace(job, modified_at=0)
        if self._last == before:
            return None
        events = job.events[self._events :]
        steps = tuple(step for step in job.checkpoints if self._steps.get(step.step_number) != _losses(step))
        self._events = len(job.events)
        self._steps = {step.step_number: _losses(step) for step in job.checkpoints}
        return Update(job, events, steps)


def _losses(step: Checkpoint) -> tuple[float, float | None]:
    """Return what of a step is news: not when it was done."""
    return step.train_loss, step.valid_loss


def watch_job(job_id: str, every_s: float = EVERY_S, patience_s: float = PATIENCE_S) -> Stream[Update]:
    """Give an update whenever something is new, at first of all that was, until the job rests."""
    if not every_s > 0:
        raise UsageError(f"every_s is {every_s:g}, expected more than 0")
    watcher, patience = Watcher(), Patience(patience_s, every_s)
    while True:
        job = yield from patience.attempt(lambda: get_job(job_id))
        update = watcher.look(job)
        if update is not None:
            yield Item(update)
        if job.rests:
            return
        yield Pause(every_s)


def wait_for_job(
    job_id: str,
    timeout_s: float | None = None,
    every_s: float = EVERY_S,
    patience_s: float = PATIENCE_S,
) -> Flow[Job]:
    """Return a job once it rests; raises what it failed of, and UnavailableError where it takes longer."""
    began, patience = time.monotonic(), Patience(patience_s, every_s)
    while True:
        job = yield from patience.attempt(lambda: get_job(job_id))
        if job.rests:
            break
        if timeout_s is not None and time.monotonic() - began + every_s > timeout_s:
            raise UnavailableError(
                f"job {job_id} is still {JobStatus(job.status)} after {timeout_s:g} s", retry_after_s=every_s
            )
        yield Pause(every_s)
    failure = job.failure()
    if failure is not None:
        raise failure
    return job
