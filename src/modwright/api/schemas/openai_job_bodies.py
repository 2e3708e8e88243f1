"""Jobs, events and checkpoints as OpenAI's clients read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field, RootModel

from modwright.api.schemas.job_bodies import (
    DryRunBody,
    JobBody,
    JobDetailBody,
    finite,
    integration_body,
    starts_at,
)
from modwright.api.schemas.openai_jobs import BASE_LEARNING_RATE
from modwright.errors import RequestError
from modwright.jobs.specs import JobSpec
from modwright.jobs.states import TERMINAL, Status
from modwright.storage.job_rows import CheckpointRow, EventRow, JobRow

STATUS: dict[Status, str] = {
    Status.QUEUED: "queued",
    Status.VALIDATED: "queued",
    Status.VALIDATING: "validating_files",
    Status.STARTED: "running",
    Status.RUNNING: "running",
    Status.SUCCESS: "succeeded",
    Status.FAILED: "failed",
    Status.FAILED_VALIDATION: "failed",
    Status.CANCELLED: "cancelled",
    Status.CANCELLATION_REQUESTED: "cancelled",
}


class OpenAIJobBody(BaseModel):
    """A job in OpenAI's shape."""

    id: str
    object: str
    created_at: int
    finished_at: int | None
    model: str
    fine_tuned_model: str | None
    organization_id: str
    status: str
    training_file: str
    validation_file: str | None
    hyperparameters: dict[str, Any]
    result_files: list[str]
    seed: int
    trained_tokens: int | None
    estimated_finish: int | None
    integrations: list[dict[str, Any]]
    metadata: dict[str, str]
    method: dict[str, Any]
    error: dict[str, Any] | None


class JobAnswer(RootModel[JobBody | OpenAIJobBody | DryRunBody]):
    """A job in the shape of who asks, or what a dry run says."""


class JobDetailAnswer(RootModel[JobDetailBody | OpenAIJobBody]):
    """A job in the shape of who asks."""


class JobListAnswer(BaseModel):
    """A page of jobs in the shape of who asks, newest first."""

    object: str
    data: list[JobBody | OpenAIJobBody]
    total: int
    has_more: bool
    first_id: str | None
    last_id: str | None


class OpenAIEvent(BaseModel):
    """Something that happened."""

    id: str
    object: str
    created_at: int
    level: str
    message: str
    type: str
    data: dict[str, Any] | None


class OpenAIEventList(BaseModel):
    """A page of events, newest first."""

    object: str
    data: list[OpenAIEvent]
    has_more: bool
    first_id: str | None
    last_id: str | None


class OpenAICheckpoint(BaseModel):
    """One step of training."""

    id: str
    object: str
    created_at: int
    fine_tuning_job_id: str
    fine_tuned_model_checkpoint: str = Field(
        description="The finished model at the last step; empty else: only that one is kept."
    )
    step_number: int
    metrics: dict[str, float | None]


class OpenAICheckpointList(BaseModel):
    """A page of steps, newest first."""

    object: str
    data: list[OpenAICheckpoint]
    has_more: bool
    first_id: str | None
    last_id: str | None


def openai_job_body(job: JobRow) -> dict[str, Any]:
    """Return a job as every call of OpenAI's clients shows it."""
    spec = JobSpec.from_json(job.spec)
    hyperparameters = _hyperparameters(job)
    return {
        "id": job.id,
        "object": "fine_tuning.job",
        "created_at": int(job.created_at),
        "finished_at": None if job.finished_at is None else int(job.finished_at),
        "model": job.model,
        "fine_tuned_model": job.fine_tuned_model,
        "organization_id": job.project_id,
        "status": STATUS[job.status],
        "training_file": spec.training_files[0].file_id,
        "validation_file": spec.validation_files[0] if spec.validation_files else None,
        "hyperparameters": hyperparameters,
        "result_files": [],
        "seed": spec.hyperparameters.seed or 0,
        "trained_tokens": job.trained_tokens,
        "estimated_finish": _estimated_finish(job),
        "integrations": [integration_body(item, job.result) for item in spec.integrations],
        "metadata": dict(spec.metadata),
        "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
        "error": _error(job),
    }


def event_body(event: EventRow) -> dict[str, Any]:
    """Return an event; its id is what `after` takes."""
    return {
        "id": f"{EVENT}{event.id}",
        "object": "fine_tuning.job.event",
        "created_at": int(event.created_at),
        "level": str(event.level),
        "message": event.message,
        "type": "message",
        "data": finite(event.data),
    }


def checkpoint_body(job: JobRow, step: CheckpointRow, last: int | None) -> dict[str, Any]:
    """Return a step of a job; ``last`` is the number of the step that made the finished model."""
    train, valid = finite(step.train_loss), finite(step.valid_loss)
    model = job.fine_tuned_model if step.step_number == last else None
    return {
        "id": f"{CHECKPOINT}{job.id}-{step.step_number}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": int(step.created_at),
        "fine_tuning_job_id": job.id,
        "fine_tuned_model_checkpoint": model or "",
        "step_number": step.step_number,
        "metrics": {
            "step": step.step_number,
            "train_loss": train,
            "train_mean_token_accuracy": None,
            "valid_loss": valid,
            "valid_mean_token_accuracy": None,
            "full_valid_loss": valid,
            "full_valid_mean_token_accuracy": None,
        },
    }


#: What ids of events and steps begin with.
EVENT, CHECKPOINT = "ftevent-", "ftckpt-"


def number_after(cursor: str | None, prefix: str) -> int | None:
    """Return the number at the end of an id that `after` names; raises RequestError for no such id."""
    if cursor is None:
        return None
    digits = cursor.removeprefix(prefix)
    if cursor.startswith(prefix) and digits.isascii() and digits.isdecimal() and len(digits) <= 18:
        return int(digits)
    raise RequestError(
        f"'{cursor[:100]}' is no id of this list", where="after", remedy="give the last id you have"
    )


def cursor_page(data: Sequence[dict[str, Any]], limit: int) -> dict[str, Any]:
    """Return a page of what was asked for with one more than the limit; `has_more` always says whether it ends."""
    shown = list(data[:limit])
    return {
        "object": "list",
        "data": shown,
        "has_more": len(data) > limit,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
    }


def _hyperparameters(job: JobRow) -> dict[str, Any]:
    known = {**job.spec["hyperparameters"]}
    known.update(
        {key: value for key, value in job.result.get("hyperparameters", {}).items() if value is not None}
    )
    epochs, rate = finite(known.get("epochs")), finite(known.get("learning_rate"))
    return {
        "n_epochs": "auto" if epochs is None else max(1, round(epochs)),
        "batch_size": known.get("batch_size") or "auto",
        "learning_rate_multiplier": "auto" if rate is None else float(f"{rate / BASE_LEARNING_RATE:.12g}"),
    }


def _estimated_finish(job: JobRow) -> int | None:
    takes = finite(job.result.get("metadata", {}).get("expected_duration_seconds"))
    begins = starts_at(job)
    if takes is None or begins is None or job.status in TERMINAL:
        return None
    return int(begins + takes)


def _error(job: JobRow) -> dict[str, Any] | None:
    """Return why a job failed; one that a lost worker gave back has an error too, and has not failed."""
    if STATUS[job.status] != "failed":
        return None
    told = job.error or {}
    at_files = job.status is Status.FAILED_VALIDATION
    return {
        "code": "invalid_training_file" if at_files else str(told.get("code", "server_error")),
        "message": _message(told),
        "param": "training_file" if at_files else None,
    }


def _message(error: Mapping[str, Any]) -> str:
    """Return in one text what Mistral's dialect shows in several: the message, its place, the first wrong line."""
    parts = [str(error[key]) for key in ("where", "message") if error.get(key)]
    for problem in list(error.get("problems") or ())[:1]:
        parts += [str(problem[key]) for key in ("where", "message") if problem.get(key)]
    remedy = f" ({error['remedy']})" if error.get("remedy") else ""
    return (": ".join(parts) or "the job failed") + remedy
