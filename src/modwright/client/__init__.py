"""The Python client of the HTTP API, synchronous and asynchronous, over httpx.

`flow` has what goes over the wire without any input or output: each call is a generator that yields requests and pauses
and is given replies. `sync` and `asynchronous` only carry those out, so that both clients do the same.
"""

from modwright.client.answers import (
    ApiKey,
    Classification,
    File,
    FileSummary,
    FoundTarget,
    Health,
    Model,
    Moderation,
    ModerationResult,
    NewApiKey,
    Target,
    TargetResult,
)
from modwright.client.asynchronous import AsyncClient
from modwright.client.job_answers import (
    Checkpoint,
    Estimate,
    Event,
    Hyperparameters,
    Integration,
    Job,
    JobError,
    JobStatus,
)
from modwright.client.job_calls import JobFilters, JobOptions, TrainingFile, Wandb
from modwright.client.sync import Client
from modwright.client.watching import Update

__all__ = [
    "ApiKey",
    "AsyncClient",
    "Checkpoint",
    "Classification",
    "Client",
    "Estimate",
    "Event",
    "File",
    "FileSummary",
    "FoundTarget",
    "Health",
    "Hyperparameters",
    "Integration",
    "Job",
    "JobError",
    "JobFilters",
    "JobOptions",
    "JobStatus",
    "Model",
    "Moderation",
    "ModerationResult",
    "NewApiKey",
    "Target",
    "TargetResult",
    "TrainingFile",
    "Update",
    "Wandb",
]
