"""Calls about jobs: what creates one, typed, and how jobs are listed, started and ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, TypedDict

from modwright.client.answers import File, Target
from modwright.client.flow import Flow, Request, Stream, call, pages, path
from modwright.client.job_answers import Estimate, Job, JobStatus, read_estimate, read_job
from modwright.errors import UsageError, nearest

_JOBS = "/v1/fine_tuning/jobs"
_HYPERPARAMETERS = (
    "training_steps",
    "epochs",
    "learning_rate",
    "weight_decay",
    "warmup_fraction",
    "seq_len",
    "batch_size",
    "seed",
)


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """An uploaded file to train on; ``weight`` multiplies its rows' weights in the loss."""

    file_id: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Wandb:
    """A project of Weights & Biases that is told of every step; without ``api_key`` the server's own is used."""

    project: str
    api_key: str | None = field(default=None, repr=False)
    name: str | None = None
    run_name: str | None = None


class JobOptions(TypedDict, total=False):
    """What a job may be asked beside its model and files; what is not given, the recipe says.

    training_steps, epochs, learning_rate (the peak of its schedule), weight_decay, warmup_fraction, seq_len (most tokens
    of a window), batch_size, seed: hyperparameters. targets: declared, with their labels in order; else they are
    collected from the files. recipe: a shipped recipe that trains instead of the one the model's name stands for.
    overrides: dotted keys of the recipe to values. suffix: part of the model's name. auto_start: False lets the validated
    job wait for `start`. invalid_sample_skip_percentage: share of wrong lines, 0 to 0.5, left out instead of failing.
    """

    validation_files: Sequence[str | File]
    training_steps: int | None
    epochs: float | None
    learning_rate: float | None
    weight_decay: float | None
    warmup_fraction: float | None
    seq_len: int | None
    batch_size: int | None
    seed: int | None
    targets: Sequence[Target] | None
    recipe: str | None
    overrides: Mapping[str, Any]
    suffix: str | None
    auto_start: bool
    invalid_sample_skip_percentage: float
    wandb: Wandb | None


class JobFilters(TypedDict, total=False):
    """Which jobs a list shows; times without a zone are of this machine."""

    model: str | None
    status: JobStatus | str | None
    suffix: str | None
    created_after: datetime | None
    created_before: datetime | None
    created_by_me: bool
    wandb_project: str | None
    wandb_name: str | None


TrainingFiles = str | File | TrainingFile | Sequence[str | File | TrainingFile]


def job_document(model: str, training_files: TrainingFiles, options: JobOptions) -> dict[str, Any]:
    """Return the body that creates a job; raises UsageError for an option that there is not."""
    for key in options:
        if key not in JobOptions.__annotations__:
            raise UsageError(
                f"unknown option '{key}' of a job", remedy=nearest(key, JobOptions.__annotations__)
            )
    given = [training_files] if isinstance(training_files, str | File | TrainingFile) else training_files
    asked: dict[str, Any] = {
        "model": model,
        "training_files": [_training_file(item) for item in given],
        "validation_files": [_id(item) for item in options.get("validation_files") or ()],
        "hyperparameters": {
            key: options[key]  # type: ignore[literal-required]
            for key in _HYPERPARAMETERS
            if options.get(key) is not None
        },
        "auto_start": options.get("auto_start", True),
    }
    for key in ("recipe", "overrides", "suffix", "invalid_sample_skip_percentage"):
        if options.get(key):
            asked[key] = options[key]  # type: ignore[literal-required]
    targets, wandb = options.get("targets"), options.get("wandb")
    if targets:
        asked["classifier_targets"] = [asdict(target) for target in targets]
    if wandb is not None:
        told = {key: value for key, value in asdict(wandb).items() if value is not None}
        asked["integrations"] = [{"type": "wandb", **told}]
    return asked


def _training_file(item: str | File | TrainingFile) -> dict[str, Any]:
    return asdict(item) if isinstance(item, TrainingFile) else {"file_id": _id(item)}


def _id(item: str | File) -> str:
    return item.id if isinstance(item, File) else item


def create_job(document: Mapping[str, Any]) -> Flow[Job]:
    """Create a job."""
    return call(Request("POST", _JOBS, document=document, repeatable=False), read_job)


def dry_run(document: Mapping[str, Any]) -> Flow[Estimate]:
    """Say what a job would take; nothing is kept."""
    request = Request("POST", _JOBS, query=(("dry_run", "true"),), document=document, slow=True)
    return call(request, read_estimate)


def list_jobs(filters: JobFilters) -> Stream[Job]:
    """List jobs, newest first; raises UsageError for a filter that there is not."""
    chosen: list[tuple[str, str]] = []
    for key, value in filters.items():
        if key not in JobFilters.__annotations__:
            raise UsageError(
                f"unknown filter '{key}' of jobs", remedy=nearest(key, JobFilters.__annotations__)
            )
        if value is not None and value is not False:
            chosen.append((key, _text(value)))

    def page(after: str | None, limit: int) -> Request:
        behind = [] if after is None else [("after", after)]
        return Request("GET", _JOBS, query=(*chosen, ("limit", str(limit)), *behind))

    return pages(page, read_job, lambda job: job.id)


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone().isoformat()
    return "true" if value is True else str(value)


def get_job(job_id: str) -> Flow[Job]:
    """Show one job with all that happened in it."""
    return call(Request("GET", path("v1", "fine_tuning", "jobs", job_id)), read_job)


def start_job(job_id: str) -> Flow[Job]:
    """Queue a validated job for training."""
    request = Request("POST", path("v1", "fine_tuning", "jobs", job_id, "start"), repeatable=False)
    return call(request, read_job)


def cancel_job(job_id: str) -> Flow[Job]:
    """End a job."""
    return call(Request("POST", path("v1", "fine_tuning", "jobs", job_id, "cancel")), read_job)
