"""Jobs as the server answers them, as frozen data; events and steps are oldest first. Times are whole Unix seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from modwright.client.answers import Target, read
from modwright.client.failures import error_of
from modwright.errors import DataError, ModwrightError, TrainingError


class JobStatus(StrEnum):
    """What a job shows."""

    QUEUED = "QUEUED"
    STARTED = "STARTED"
    VALIDATING = "VALIDATING"
    VALIDATED = "VALIDATED"
    RUNNING = "RUNNING"
    FAILED_VALIDATION = "FAILED_VALIDATION"
    FAILED = "FAILED"
    SUCCESS = "SUCCESS"
    CANCELLED = "CANCELLED"
    CANCELLATION_REQUESTED = "CANCELLATION_REQUESTED"

    @property
    def ended(self) -> bool:
        """Return whether nothing changes any more."""
        return self in _ENDED


_ENDED = (JobStatus.SUCCESS, JobStatus.FAILED, JobStatus.FAILED_VALIDATION, JobStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What a job trains with; None was not asked for, and is filled in by validation where the family knows it."""

    training_steps: int | None = None
    epochs: float | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    warmup_fraction: float | None = None
    seq_len: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job will take, once its files are validated.

    Attributes:
        training_steps, epochs: of a dry run; a job has them among its hyperparameters.
        details: of a dry run, what it would train.
    """

    expected_duration_seconds: float | None = None
    cost: float | None = None
    cost_currency: str | None = None
    train_tokens_per_step: int | None = None
    train_tokens: int | None = None
    data_tokens: int | None = None
    estimated_start_time: int | None = None
    training_steps: int | None = None
    epochs: float | None = None
    details: str = ""


@dataclass(frozen=True, slots=True)
class Integration:
    """A tracker that is told of the run; its key is never shown."""

    project: str
    type: str = "wandb"
    name: str | None = None
    run_name: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed, or why a worker gave it back."""

    code: str
    message: str
    where: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a job; `level` is info, warn or error."""

    name: str
    created_at: int
    level: str = "info"
    message: str = ""
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A step of training; `valid_loss` is None where held-out rows were not scored after it."""

    step_number: int
    created_at: int
    train_loss: float
    valid_loss: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job that trains one classifier.

    Attributes:
        auto_start: training follows validation by itself.
        training_files, validation_files: ids.
        fine_tuned_model: the model's id; there from SUCCESS on.
        recipe: what trains here under the model's name.
        user_metadata: of a job made in OpenAI's dialect.
        targets, events, checkpoints: empty in lists.
    """

    id: str
    status: JobStatus
    model: str
    created_at: int
    modified_at: int
    auto_start: bool
    training_files: tuple[str, ...]
    validation_files: tuple[str, ...] = ()
    hyperparameters: Hyperparameters = Hyperparameters()
    fine_tuned_model: str | None = None
    suffix: str | None = None
    integrations: tuple[Integration, ...] = ()
    trained_tokens: int | None = None
    estimate: Estimate = Estimate()
    recipe: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    user_metadata: Mapping[str, str] = field(default_factory=dict)
    error: JobError | None = None
    targets: tuple[Target, ...] = ()
    events: tuple[Event, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()

    @property
    def rests(self) -> bool:
        """Return whether nothing happens by itself any more: it has ended, or waits for `start`."""
        return self.status.ended or (self.status is JobStatus.VALIDATED and not self.auto_start)

    def failure(self) -> ModwrightError | None:
        """Return the error of a job that ended without a model, else None."""
        if not self.status.ended or self.status is JobStatus.SUCCESS:
            return None
        where = f"job {self.id}"
        if self.error is None or self.status is JobStatus.CANCELLED:
            return TrainingError(f"the job is {self.status}", where=where)
        default = DataError if self.status is JobStatus.FAILED_VALIDATION else TrainingError
        told = self.error
        place = f"{where}: {told.where}" if told.where else where
        return error_of(told.code, told.message, where=place, remedy=told.remedy, default=default)


#: Keys of the wire to ours.
_RENAMED = {"classifier_targets": "targets", "metadata": "estimate"}


def read_job(document: Any) -> Job:
    """Return a job, with what happened in it where the answer has that; raises IntegrityError for anything else."""
    if not isinstance(document, Mapping):
        return read(Job, document)
    ours = {_RENAMED.get(key, key): value for key, value in document.items()}
    ours = {key: value for key, value in ours.items() if value is not None}
    if isinstance(ours.get("checkpoints"), Sequence):
        ours["checkpoints"] = [_step(item) for item in reversed(ours["checkpoints"])]
    return read(Job, ours)


def _step(document: Any) -> Any:
    """Return a step with its metrics beside its number; 0.0 stands on the wire for a loss that was not measured."""
    metrics = document.get("metrics") if isinstance(document, Mapping) else None
    if not isinstance(metrics, Mapping):
        return document
    valid_loss = metrics.get("valid_loss")
    return {**document, "train_loss": metrics.get("train_loss"), "valid_loss": valid_loss or None}


def read_estimate(document: Any) -> Estimate:
    """Return what a dry run says; raises IntegrityError for anything else."""
    return read(Estimate, document)
