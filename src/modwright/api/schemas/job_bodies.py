"""A job as Mistral's clients read it: what they need, never null where they count on a value, and our own keys beside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from modwright.jobs.service import JobDetail
from modwright.jobs.specs import Integration, JobSpec
from modwright.jobs.states import Phase, Status
from modwright.storage.job_rows import CheckpointRow, EventRow, JobRow

_HYPERPARAMETERS = ("training_steps", "learning_rate", "weight_decay", "warmup_fraction", "epochs", "seq_len")
#: What a job will take, filled in by validation; the client's own types, so that strangers are not passed on.
_METADATA = (
    "expected_duration_seconds",
    "cost",
    "cost_currency",
    "train_tokens_per_step",
    "train_tokens",
    "data_tokens",
    "estimated_start_time",
)


class JobBody(BaseModel):
    """A job in Mistral's shape."""

    id: str
    object: str
    job_type: str
    auto_start: bool
    model: str
    status: str
    created_at: int
    modified_at: int
    training_files: list[str]
    validation_files: list[str]
    hyperparameters: dict[str, float | None]
    fine_tuned_model: str | None
    suffix: str | None
    integrations: list[dict[str, Any]]
    trained_tokens: int | None
    metadata: dict[str, float | str | None]
    recipe: str | None = Field(description="What trains here under the model's name.")
    overrides: dict[str, Any]
    user_metadata: dict[str, str] = Field(description="The `metadata` of a job made in OpenAI's dialect.")
    error: dict[str, Any] | None = Field(description="Why it failed: code, message, remedy.")


class JobEvent(BaseModel):
    """Something that happened."""

    name: str
    created_at: int
    data: dict[str, Any] | None
    level: str
    message: str


class JobCheckpoint(BaseModel):
    """One step of training."""

    step_number: int
    created_at: int
    metrics: dict[str, float] = Field(
        description="`valid_loss` is 0.0 where the held-out rows were not scored after this step."
    )


class JobDetailBody(JobBody):
    """A job with its targets, its events (oldest first) and its steps (newest first)."""

    classifier_targets: list[dict[str, Any]]
    events: list[JobEvent]
    checkpoints: list[JobCheckpoint]


class DryRunBody(BaseModel):
    """What a job would take; nothing was kept."""

    object: str
    job_type: str
    deprecated: bool
    details: str
    epochs: float | None
    training_steps: int | None
    expected_duration_seconds: int | None
    cost: float | None
    cost_currency: str | None
    train_tokens_per_step: int | None
    train_tokens: int | None
    data_tokens: int | None
    estimated_start_time: int | None


def job_body(job: JobRow) -> dict[str, Any]:
    """Return a job as `create` and `list` show it."""
    spec = JobSpec.from_json(job.spec)
    return {
        "id": job.id,
        "object": "job",
        "job_type": "classifier",
        "auto_start": job.auto_start,
        "model": job.model,
        "status": str(job.status),
        "created_at": int(job.created_at),
        "modified_at": int(job.modified_at),
        "training_files": [file.file_id for file in spec.training_files],
        "validation_files": list(spec.validation_files),
        "hyperparameters": _hyperparameters(job),
        "fine_tuned_model": job.fine_tuned_model,
        "suffix": job.suffix,
        "integrations": [integration_body(item, job.result) for item in spec.integrations],
        "trained_tokens": job.trained_tokens,
        "metadata": _metadata(job),
        "recipe": job.result.get("recipe"),
        "overrides": dict(spec.overrides),
        "user_metadata": dict(spec.metadata),
        "error": finite(job.error),
    }


def job_detail_body(detail: JobDetail) -> dict[str, Any]:
    """Return a job as `get`, `start` and `cancel` show it."""
    return {
        **job_body(detail.job),
        "classifier_targets": targets_body(detail.job),
        "events": [_event(event) for event in detail.events],
        "checkpoints": [_checkpoint(step) for step in detail.checkpoints],
    }


def list_body(data: list[dict[str, Any]], total: int, *, has_more: bool) -> dict[str, Any]:
    """Return a page in a shape that both dialects' clients read."""
    return {
        "object": "list",
        "data": data,
        "total": total,
        "has_more": has_more,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }


def dry_run_body(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job would take, from what its validation would put into its result."""
    hyperparameters = found.get("hyperparameters", {})
    return {
        "object": "job.metadata",
        "job_type": "classifier",
        "deprecated": True,
        "details": str(found.get("details") or found.get("plan") or "nothing was kept"),
        "epochs": finite(hyperparameters.get("epochs")),
        "training_steps": hyperparameters.get("training_steps"),
        **metadata_body(found.get("metadata", {})),
    }


def metadata_body(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job will take with every key a client knows, whole numbers where it counts on them."""
    known = {key: finite(found.get(key)) for key in _METADATA}
    whole = {key for key, value in known.items() if isinstance(value, float) and key != "cost"}
    return known | {key: round(known[key]) for key in whole}


def targets_body(job: JobRow) -> list[dict[str, Any]]:
    """Return the targets that validation found, else the declared ones whose kind is known; may be empty."""
    found = job.result.get("targets")
    if found is None:
        found = [item for item in job.spec.get("targets") or () if item["loss_function"] is not None]
    keys = ("name", "labels", "weight", "loss_function")
    return [{key: item[key] for key in keys} for item in found]


def integration_body(integration: Integration, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return an integration as both dialects' clients read it; its key is not known here."""
    wandb = {
        "project": integration.project,
        "name": integration.name,
        "entity": integration.entity,
        "tags": list(integration.tags),
    }
    return {
        "type": integration.type,
        "project": integration.project,
        "name": integration.name,
        "run_name": result.get("wandb_name") or integration.run_name,
        "url": result.get("wandb_url"),
        "wandb": wandb,
    }


def finite(value: Any) -> Any:
    """Return the value with None for every number in it that JSON does not have."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _hyperparameters(job: JobRow) -> dict[str, Any]:
    """Return what was asked for, and over it what validation filled in."""
    known = {**job.spec["hyperparameters"]}
    known.update(
        {key: value for key, value in job.result.get("hyperparameters", {}).items() if value is not None}
    )
    return {key: finite(known.get(key)) for key in _HYPERPARAMETERS}


def _metadata(job: JobRow) -> dict[str, Any]:
    known = metadata_body(job.result.get("metadata", {}))
    return known | {"cost": known["cost"] or 0.0, "estimated_start_time": starts_at(job)}


def starts_at(job: JobRow) -> int | None:
    """Return when training began, or from when it could; None before a job is queued for it."""
    if job.started_at is not None:
        return int(job.started_at)
    waits = job.phase is Phase.TRAIN and job.status is Status.QUEUED
    return int(max(job.modified_at, job.not_before)) if waits else None


def _event(event: EventRow) -> dict[str, Any]:
    return {
        "name": event.name,
        "created_at": int(event.created_at),
        "data": finite(event.data),
        "level": str(event.level),
        "message": event.message,
    }


def _checkpoint(step: CheckpointRow) -> dict[str, Any]:
    # The client's notebooks leave steps out whose valid_loss is 0, and would draw a null.
    return {
        "step_number": step.step_number,
        "created_at": int(step.created_at),
        "metrics": {
            "train_loss": finite(step.train_loss) or 0.0,
            "valid_loss": finite(step.valid_loss) or 0.0,
            "valid_mean_token_accuracy": 0.0,
        },
    }
