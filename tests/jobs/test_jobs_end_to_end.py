"""Real workers and real trainers, killed in the middle: the job ends once, as it would have ended in peace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modwright.artifact import read_artifact
from modwright.jobs.executors import trainer_environment
from modwright.jobs.preparing import lay_down
from modwright.jobs.specs import Hyperparameters, JobSpec, TrainingFile
from modwright.jobs.states import Status
from modwright.jobs.validating import check_data, plan_of
from modwright.jobs.workspace import Workspace
from modwright.pipeline.train import train
from modwright.storage.artifacts import install
from modwright.storage.jobs import NewJob

SCRIPT = "import sys; from modwright.cli.app import main; sys.argv = ['modwright', *sys.argv[1:]]; main()"


@pytest.fixture
def shop(working_shop):
    """A shop that trains."""
    return working_shop


@pytest.fixture
def start_worker(shop):
    """Start workers as the command line does; those that are left are killed at the end."""
    processes = []

    def start():
        environment = trainer_environment(shop.parts.settings) | {"OMP_NUM_THREADS": "1"}
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, "worker"], env=environment)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def until(what, timeout_s=500.0):
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def trainer_of(worker):
    """Return the process id of a worker's trainer, None while it has none."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
            if int(text.rpartition(")")[2].split()[1]) == worker.pid:
                return int(path.parent.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return None


def in_peace(shop, job, folder):
    """Train the same order without any of the factory, and return the artifact's id."""
    workspace = Workspace(folder)
    spec = JobSpec.from_json(job.spec)
    order = lay_down(workspace, job.project_id, spec, shop.parts.files, shop.parts.blobs, shop.parts.settings)
    dataset = check_data(order, workspace).dataset
    recipe = plan_of(order, dataset, shop.parts.settings).recipe
    return train(
        recipe, dataset, workspace.model, shop.parts.settings, on_event=lambda event: None
    ).artifact.id


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
def test_killed_again_and_again_a_job_ends_as_in_peace(shop, start_worker, tmp_path):
    job = shop.order("tiny-encoder", rows=120, hyperparameters=Hyperparameters(training_steps=60))
    first = start_worker()
    until(lambda: len(shop.steps(job)) >= 6)
    os.kill(trainer_of(first), signal.SIGKILL)  # once the trainer
    until(lambda: shop.told(job, "requeued"))
    until(lambda: shop.job(job).status is Status.RUNNING)
    trainer = until(lambda: trainer_of(first))
    first.kill()  # once the worker, whose trainer dies with it
    first.wait()
    until(
        lambda: (
            not Path(f"/proc/{trainer}").exists() or "(zombie)" in Path(f"/proc/{trainer}/status").read_text()
        )
    )
    second, third = start_worker(), start_worker()
    done = until(lambda: shop.job(job) if shop.job(job).finished_at else None)
    assert done.status is Status.SUCCESS, done.error
    assert len(shop.told(job, "requeued")) == 2
    steps = shop.steps(job)
    assert [step.step_number for step in steps] == list(range(1, 61))
    assert [step.step_number for step in steps if step.valid_loss is not None] == [25, 50, 60]
    assert done.trained_tokens == sum(step.tokens for step in steps)
    assert done.result["hyperparameters"]["training_steps"] == 60
    assert done.fine_tuned_model.startswith("ft:classifier:tiny-encoder:default:")
    model = shop.parts.models.get("default", done.fine_tuned_model)
    install(model.manifest, shop.parts.blobs, tmp_path / "installed")
    assert (
        read_artifact(tmp_path / "installed").id
        == model.artifact_id
        == in_peace(shop, job, tmp_path / "peace")
    )
    until(lambda: not Workspace.of(shop.parts.settings.home, job.id).folder.exists())
    for process in (second, third):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_frozen_job_waits_for_its_start_and_says_what_trains(shop, start_worker):
    job = shop.order(
        "tiny", auto_start=False, hyperparameters=Hyperparameters(training_steps=30, learning_rate=1e-4)
    )
    worker = start_worker()
    until(lambda: shop.job(job).status is Status.VALIDATED)
    found = shop.job(job).result
    assert found["hyperparameters"]["training_steps"] == 30
    assert [target["name"] for target in found["targets"]] == ["moderation", "tone"]
    assert found["metadata"]["expected_duration_seconds"] >= 1
    assert "trains the recipe 'tiny' (family frozen)" in shop.told(job, "training-plan")[0]
    assert "learning_rate" in shop.told(job, "warning")[0]
    shop.parts.jobs.start("default", job.id)
    until(lambda: shop.steps(job))
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.wait(20) == 0
    ended = shop.job(job)
    assert ended.status in (Status.QUEUED, Status.SUCCESS)
    if ended.status is Status.QUEUED:
        start_worker()
        until(lambda: shop.job(job).status is Status.SUCCESS)
    losses = shop.steps(job)
    assert losses[-1].train_loss < losses[0].train_loss
    assert losses[-1].valid_loss is not None


def test_wrong_data_fails_validation_with_its_line(shop, start_worker):
    spec = JobSpec(
        "tiny", (TrainingFile(shop.upload([{"text": "a"}, {"text": 5, "labels": {"moderation": []}}])),)
    )
    job = shop.parts.jobs.create(NewJob("default", "mistral", "tiny", spec.to_json(), spec.twin()))
    start_worker()
    until(lambda: shop.job(job).status is Status.FAILED_VALIDATION)
    assert shop.job(job).error["problems"][0]["line"] == 2
