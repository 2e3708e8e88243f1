"""Jobs at every point of their life, made by hand with fixed times, so that what is rendered of them can be kept."""

import dataclasses

from modwright.jobs.service import JobDetail
from modwright.jobs.specs import Hyperparameters, Integration, JobSpec, LossFunction, TargetSpec, TrainingFile
from modwright.jobs.states import TERMINAL, Phase, Status
from modwright.storage.job_rows import CheckpointRow, EventRow, JobRow, Level

JOB = "cbe076ac-1f2e-4c53-9d0a-6a5a3c1b2d3e"
MODEL = "ft:classifier:ministral-3b-latest:default:20261122:cbe076ac"
TRAINING, VALIDATION = "8e2706f0-0000-4000-8000-000000000001", "8e2706f0-0000-4000-8000-000000000002"
BEGIN = 1_795_000_000.25
SPEC = JobSpec(
    model="ministral-3b-latest",
    training_files=(TrainingFile(TRAINING),),
    validation_files=(VALIDATION,),
    hyperparameters=Hyperparameters(training_steps=50, learning_rate=5e-5, seed=42),
    targets=(
        TargetSpec("moderation", ("insult", "threat", "safe"), loss_function=LossFunction.MULTI_CLASS),
        TargetSpec("tone", ("kind", "rude")),
    ),
    suffix="goose",
    integrations=(Integration("watch", name="first", run_name="one", entity="us", tags=("a",)),),
    overrides={"head.folds": 3},
    metadata={"team": "geese"},
)
FOUND = {
    "recipe": "balanced",
    "why": "'ministral-3b-latest' stands for the recipe 'balanced' on this server",
    "plan": "trains the recipe 'balanced'",
    "targets": [
        {
            "name": "moderation",
            "labels": ["insult", "threat", "safe"],
            "weight": 1.0,
            "loss_function": "multi_class",
        },
        {"name": "tone", "labels": ["kind", "rude"], "weight": 1.0, "loss_function": "single_class"},
    ],
    "hyperparameters": {
        "training_steps": 50,
        "learning_rate": 5e-5,
        "weight_decay": 0.01,
        "warmup_fraction": 0.1,
        "epochs": 7.2989,
        "seq_len": None,
        "batch_size": 16,
        "seed": 42,
    },
    "metadata": {
        "expected_duration_seconds": 40,
        "cost": 0.02,
        "cost_currency": "EUR",
        "train_tokens_per_step": 2_000,
        "train_tokens": 100_000,
        "data_tokens": 13_700,
        "estimated_start_time": None,
    },
}


def row(status=Status.QUEUED, **changes):
    """Return a job of the given status; what validation found is there once it has happened."""
    checked = status not in (Status.QUEUED, Status.VALIDATING, Status.FAILED_VALIDATION)
    trains = checked and status is not Status.VALIDATED
    values = {
        "id": JOB,
        "project_id": "default",
        "dialect": "mistral",
        "status": status,
        "cancel_requested": status is Status.CANCELLATION_REQUESTED,
        "phase": Phase.TRAIN if trains else Phase.VALIDATE,
        "epoch": 2,
        "lease_until": None,
        "worker": None,
        "attempts": 0,
        "not_before": BEGIN,
        "auto_start": False,
        "model": SPEC.model,
        "suffix": SPEC.suffix,
        "spec": SPEC.to_json(),
        "result": FOUND if checked else {"recipe": "balanced", "why": FOUND["why"]},
        "fine_tuned_model": MODEL if status is Status.SUCCESS else None,
        "trained_tokens": 100_000 if status is Status.SUCCESS else None,
        "error": None,
        "created_by": None,
        "created_at": BEGIN,
        "modified_at": BEGIN + 10,
        "started_at": BEGIN + 5 if trains and status is not Status.QUEUED else None,
        "finished_at": BEGIN + 10 if status in TERMINAL else None,
    }
    return JobRow(**(values | changes))


def detail(job):
    """Return a job with the events of its life so far and, where it trained, 50 steps with two looks."""
    told = [Status.QUEUED] if job.status is Status.QUEUED else [Status.QUEUED, job.status]
    events = [
        EventRow(n, BEGIN + n, "status-updated", Level.INFO, f"the job is {status}", {"status": str(status)})
        for n, status in enumerate(told, start=1)
    ]
    trained = job.status in (Status.RUNNING, Status.SUCCESS)
    events += [EventRow(9, BEGIN + 9, "training-plan", Level.WARN, "trains something else", None)] * trained
    steps = [
        CheckpointRow(
            n, BEGIN + 5 + n / 10, 0.7 - n / 100, 0.6 - n / 200 if n in (25, 50) else None, 5e-5, 2_000
        )
        for n in (50, 49, 25, 1) * trained
    ]
    return JobDetail(job, events, steps)


def lost(status=Status.QUEUED):
    """Return a job that a lost worker gave back."""
    error = {"code": "worker_lost", "message": "worker a was lost while the job was RUNNING"}
    return dataclasses.replace(row(status), error=error)


JOBS = {str(status).lower(): row(status) for status in Status if status is not Status.STARTED} | {
    "failed_validation": row(
        Status.FAILED_VALIDATION,
        error={"code": "invalid_data", "message": "line 3: label is missing", "remedy": "mend it"},
    ),
    "failed": row(Status.FAILED, error={"code": "training_failed", "message": "the loss is no number"}),
    "lost": lost(),
}
