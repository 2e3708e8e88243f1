"""One claimed job, from its files to its end: the trainer is watched, what it says is kept, its artifact published.

The trainer never speaks to the database; this does, and each of its writes is fenced by the claim. When the lease is
lost nothing more is written and the trainer is killed. A database that is away is waited for: the trainer goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from modwright.errors import (
    ConflictError,
    InputError,
    IntegrityError,
    LostLeaseError,
    ModwrightError,
    NotFoundError,
    StorageError,
    StorageFullError,
)
from modwright.jobs.executors import (
    Executor,
    LocalExecutor,
    Running,
    TorchrunExecutor,
    TrainerCommand,
    trainer_environment,
)
from modwright.jobs.lines import Failed, Line, Note, TrackedRun, Trained, TrainingStep, Validated, read_line
from modwright.jobs.naming import model_id
from modwright.jobs.preparing import lay_down
from modwright.jobs.specs import JobSpec
from modwright.jobs.states import TERMINAL, Phase, Status
from modwright.jobs.workspace import Workspace
from modwright.settings import Settings
from modwright.storage.artifacts import publish
from modwright.storage.blobs import Blobs
from modwright.storage.files import FileStore
from modwright.storage.jobs import Claim, JobStore, NewCheckpoint, NewEvent
from modwright.storage.models import ModelStore, NewModel
from modwright.storage.secrets import Sealer

#: What a trainer says is written down this often.
FLUSH_S = 0.5
#: A cancellation is seen no later than this.
_MOST_BETWEEN_BEATS_S = 2.0
_PAUSE_S = 0.5
_FLUSHED_LINES = 5_000
#: The operator's own, which a job that asks for the tracker is trained with; its key where the job has none.
_OF_WANDB = "WANDB_"
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Parts:
    """What every run of a worker uses."""

    settings: Settings
    jobs: JobStore
    files: FileStore
    blobs: Blobs
    models: ModelStore
    sealer: Sealer
    executor: Executor | None = None


class _StoppedError(Exception):
    """The worker is told to stop."""


class _CancelledError(Exception):
    """The job is to be cancelled."""


class Heart:
    """Prolongs a claim from a thread of its own; `cancel` and `lost` are set by what it hears."""

    def __init__(self, jobs: JobStore, claim: Claim, lease_s: float) -> None:
        self.cancel, self.lost = threading.Event(), threading.Event()
        self._jobs, self._claim, self._lease_s = jobs, claim, lease_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heart {claim.job.id[:8]}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        pause = min(self._lease_s / 3.0, _MOST_BETWEEN_BEATS_S)
        while not self._stop.wait(pause):
            try:
                if self._jobs.heartbeat(self._claim, self._lease_s).cancel:
                    self.cancel.set()
            except LostLeaseError:
                self.lost.set()
                return
            except StorageError:
                continue  # the database is away; whoever is first when it is back goes on


class JobRun:
    """A claim being worked on.

    Args:
        parts: of the worker.
        claim: of the job.
        stopping: set when the worker is to stop: the job is given back.
    """

    def __init__(self, parts: Parts, claim: Claim, stopping: threading.Event) -> None:
        self._parts, self._claim, self._stopping = parts, claim, stopping
        self._workspace = Workspace.of(parts.settings.home, claim.job.id)
        self._events: list[NewEvent] = []
        self._steps: list[NewCheckpoint] = []
        self._found: dict[str, object] = {}
        self._outcome: Validated | Trained | Failed | None = None

    def run(self) -> Status | None:
        """Work until the phase has ended; returns the status it left the job in, None where the lease was lost."""
        jobs, claim = self._parts.jobs, self._claim
        self._heart = Heart(jobs, claim, self._parts.settings.lease_s)
        status: Status | None
        try:
            status = self._insist(self._finish())
        except _CancelledError:
            status = self._insist(lambda: jobs.cancelled(claim))
        except _StoppedError:
            status = self._given_back()
        except LostLeaseError:
            return None
        except ModwrightError as error:  # of the store: its disk is full, or published files went again
            told = _told(error)
            status = self._insist(lambda: jobs.retry(claim, told, self._events))
        finally:
            self._heart.stop()
        if status in TERMINAL:
            shutil.rmtree(self._workspace.folder, ignore_errors=True)
        return status

    def _finish(self) -> Callable[[], Status]:
        """Do the work and return the write that ends it."""
        jobs, claim = self._parts.jobs, self._claim
        try:
            code = self._train()
            return self._end_of(code)
        except (LostLeaseError, StorageError):
            raise
        except (InputError, NotFoundError) as error:
            told = _told(error)
            return lambda: jobs.fail(claim, told, self._failed(of_input=True), self._events)
        except (ModwrightError, OSError) as error:
            told = _told(error)
            return lambda: jobs.retry(claim, told, self._events)

    def _train(self) -> int:
        """Run the trainer to its end, keeping what it says; return its exit code."""
        running = self._start()
        said: queue.Queue[str | None] = queue.Queue()
        reader = threading.Thread(target=_read_all, args=(running, said), daemon=True)
        reader.start()
        try:
            while self._take(said):
                self._look_up()
                self._flush()
            return running.wait()
        finally:
            running.kill()
            reader.join()

    def _start(self) -> Running:
        job, parts = self._claim.job, self._parts
        self._insist(
            lambda: lay_down(
                self._workspace,
                job.project_id,
                JobSpec.from_json(job.spec),
                parts.files,
                parts.blobs,
                parts.settings,
            )
        )
        processes = int(job.result.get("processes", 1))
        executor = parts.executor or (TorchrunExecutor(processes) if processes > 1 else LocalExecutor())
        environment = trainer_environment(parts.settings, self._tracker_environment())
        return executor.start(TrainerCommand(self._claim.phase, self._workspace.folder, environment))

    def _tracker_environment(self) -> dict[str, str]:
        """Return what a tracker's library reads of its environment: the key goes no other way."""
        integrations = JobSpec.from_json(self._claim.job.spec).integrations
        if not integrations or self._claim.phase is Phase.VALIDATE:
            return {}
        one = integrations[0]
        own = {name: value for name, value in os.environ.items() if name.startswith(_OF_WANDB)}
        named = one.run_name or one.name or f"{self._claim.job.id}-0"
        told = {"WANDB_ENTITY": one.entity, "WANDB_TAGS": ",".join(one.tags), "WANDB_NAME": named}
        if self._claim.secrets is not None:
            keys = json.loads(self._parts.sealer.open(self._claim.secrets))
            told["WANDB_API_KEY"] = keys.get(one.type)
        return own | {key: value for key, value in told.items() if value}

    def _take(self, said: queue.Queue[str | None]) -> bool:
        """Gather what is said for a while; returns False when the trainer has said all."""
        until = time.monotonic() + FLUSH_S
        while (left := until - time.monotonic()) > 0 and len(self._steps) < _FLUSHED_LINES:
            try:
                text = said.get(timeout=left)
            except queue.Empty:
                return True
            if text is None:
                return False
            with contextlib.suppress(IntegrityError):  # the last words of a killed process
                self._hear(read_line(text))
        return True

    def _hear(self, line: Line) -> None:
        if isinstance(line, Note):
            self._events.append(line.event())
        elif isinstance(line, TrainingStep):
            self._steps.append(line.checkpoint())
        elif isinstance(line, TrackedRun):
            self._found |= line.result()
        elif isinstance(line, (Validated, Trained, Failed)):
            self._outcome = line

    def _look_up(self) -> None:
        """Raise where the work is to end: the lease is lost, the job cancelled, the worker stopped."""
        if self._heart.lost.is_set():
            raise LostLeaseError("the job is no longer this worker's", where=f"job {self._claim.job.id}")
        if self._heart.cancel.is_set():
            raise _CancelledError
        if self._stopping.is_set():
            raise _StoppedError

    def _flush(self) -> None:
        """Write down what was said; where the database is away it is kept for later."""
        try:
            self._record()
        except StorageError:
            return

    def _record(self) -> None:
        self._parts.jobs.record(self._claim, self._events, self._steps, found=self._found)
        self._events, self._steps, self._found = [], [], {}

    def _end_of(self, code: int) -> Callable[[], Status]:
        """Return the write that ends the phase after a trainer has left with a code."""
        jobs, claim, outcome = self._parts.jobs, self._claim, self._outcome
        if self._steps or self._found:
            self._insist(self._record)
        events = tuple(self._events)
        if code == 0 and isinstance(outcome, Validated):
            result = dict(outcome.result)
            return lambda: jobs.validated(claim, result, events)
        if code == 0 and isinstance(outcome, Trained):
            return self._publishing(outcome, events)
        if code == 0 and isinstance(outcome, Failed):
            error = outcome.error()
            if outcome.retry:
                return lambda: jobs.retry(claim, error, events)
            status = self._failed(of_input=outcome.of_input)
            return lambda: jobs.fail(claim, error, status, events)
        died = {"code": "trainer_died", "message": f"the trainer {_died(code)}"}
        return lambda: jobs.retry(claim, died, events)

    def _publishing(self, trained: Trained, events: tuple[NewEvent, ...]) -> Callable[[], Status]:
        """Put the artifact into blobs, and return the write that makes it a model together with the job's success."""
        job, parts = self._claim.job, self._parts
        manifest = self._insist(lambda: publish(Path(trained.folder), parts.blobs))
        name = model_id(job.model, job.project_id, job.id, job.created_at, job.suffix)

        def succeed(name: str) -> Status:
            model = NewModel(
                id=name,
                project_id=job.project_id,
                root=job.model,
                artifact_id=trained.artifact_id,
                manifest=manifest,
                targets=trained.targets,
                job_id=job.id,
            )

            def insert(connection: Connection) -> object:
                return parts.models.insert(connection, model)

            tokens = trained.trained_tokens
            return parts.jobs.succeed(self._claim, name, insert, trained_tokens=tokens, events=events)

        def end() -> Status:
            try:
                return succeed(name)
            except ConflictError:  # the few characters of another job's id are the same: more of them differ
                return succeed(f"{name}-{job.id[9:18]}")

        return end

    def _failed(self, *, of_input: bool) -> Status:
        validates = self._claim.phase is Phase.VALIDATE
        return Status.FAILED_VALIDATION if validates and of_input else Status.FAILED

    def _insist(self, write: Callable[[], Result]) -> Result:
        """Do what needs the store, again and again while it is away; raises where the work is to end meanwhile."""
        while True:
            try:
                return write()
            except StorageFullError:
                raise
            except StorageError:
                if self._heart.lost.is_set() or self._stopping.wait(_PAUSE_S):
                    raise LostLeaseError("the store is away", where=f"job {self._claim.job.id}") from None

    def _given_back(self) -> Status | None:
        """Give the job back; where the store is away its lease ends by itself."""
        try:
            return self._parts.jobs.release(self._claim)
        except (StorageError, LostLeaseError):
            return None


def _read_all(running: Running, said: queue.Queue[str | None]) -> None:
    try:
        for line in running.lines():
            said.put(line)
    finally:
        said.put(None)


def _died(code: int) -> str:
    if code >= 0:
        return f"left with {code} and no outcome"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _told(error: ModwrightError | OSError) -> dict[str, object]:
    if isinstance(error, ModwrightError):
        return {
            "code": error.code,
            "message": error.message,
            "where": error.where,
            "remedy": error.remedy,
        }
    return {
        "code": "worker_failed",
        "message": f"the worker failed: {type(error).__name__}: {error.strerror}",
    }
