"""What the queue gives and takes: jobs, claims, events, checkpoints; plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from modwright.storage.job_states import Phase, Status


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be created.

    Attributes:
        project_id: whose it is.
        dialect: that it came in.
        model: as asked for.
        spec: JSON-ready, canonical, without secrets.
        twin: hash of what makes the job; two unfinished ones of a project never share it.
        auto_start: whether training follows validation by itself.
        result: JSON-ready: what is known before validation.
        secrets: sealed.
    """

    project_id: str
    dialect: str
    model: str
    spec: Mapping[str, Any]
    twin: str
    auto_start: bool = True
    suffix: str | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    secrets: str | None = field(default=None, repr=False)
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as it is; times are Unix seconds by the database's clock.

    Attributes:
        epoch: how often it was claimed or taken away; a worker's writes hold only under its own.
        attempts: claims of this phase so far, without those that were given back.
        result: what validation found: targets, hyperparameters, metadata, recipe, plan.
        error: {code, message, where, remedy, ...} of a job that failed.
    """

    id: str
    project_id: str
    dialect: str
    status: Status
    cancel_requested: bool
    phase: Phase
    epoch: int
    lease_until: float | None
    worker: str | None
    attempts: int
    not_before: float
    auto_start: bool
    model: str
    suffix: str | None
    spec: Mapping[str, Any]
    result: Mapping[str, Any]
    fine_tuned_model: str | None
    trained_tokens: int | None
    error: Mapping[str, Any] | None
    created_by: str | None
    created_at: float
    modified_at: float
    started_at: float | None
    finished_at: float | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's hold on a job: `job` as it was claimed; every write under it names worker and epoch."""

    job: JobRow
    worker: str
    epoch: int
    phase: Phase
    secrets: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The answer to a heartbeat: whether the job is to be cancelled."""

    cancel: bool


class Level(StrEnum):
    """How much an event matters."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something that happened in a job, for people; never a text of the data."""

    name: str
    message: str
    level: Level = Level.INFO
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class EventRow:
    """A stored event; ids grow."""

    id: int
    created_at: float
    name: str
    level: Level
    message: str
    data: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class NewCheckpoint:
    """A step of training with its losses; `valid_loss` where it was measured, `tokens` of this step alone."""

    step_number: int
    train_loss: float | None
    valid_loss: float | None = None
    learning_rate: float | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A stored step."""

    step_number: int
    created_at: float
    train_loss: float | None
    valid_loss: float | None
    learning_rate: float | None
    tokens: int | None


@dataclass(frozen=True, slots=True)
class JobFilters:
    """Which jobs a list shows; None leaves a filter out. Times are Unix seconds."""

    model: str | None = None
    status: Status | None = None
    suffix: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    created_by: str | None = None
    wandb_project: str | None = None
    wandb_name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    without_metadata: bool = False
