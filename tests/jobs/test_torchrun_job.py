"""A job whose recipe shares a model among processes: torchrun's agent is its trainer, and one process speaks for all."""

from __future__ import annotations

import threading
import time

import pytest

from modwright.artifact import read_artifact
from modwright.jobs.executors import TorchrunExecutor
from modwright.jobs.specs import Hyperparameters
from modwright.jobs.states import Phase, Status
from modwright.jobs.worker import Worker, open_parts
from modwright.schema import text_input
from modwright.serving.engine import Engine
from modwright.settings import Settings
from modwright.storage.artifacts import install
from modwright.testing import make_tiny_causal, tiny_causal_recipe

FULL = ("adapter.method=full", "answer.read=head", "shards.processes=2", "evaluation.resamples=0")


@pytest.fixture
def sharing(shop, tmp_path, monkeypatch):
    """A shop with a name for the recipe of a tiny Llama that two processes train in full."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    recipe = tmp_path / "shared.toml"
    recipe.write_text(tiny_causal_recipe(make_tiny_causal(tmp_path / "tiny-llama"), *FULL).to_toml())
    settings = Settings(home=tmp_path / "home", threads=1, job_aliases={"shared": str(recipe)})
    return type(shop)(open_parts(settings))


@pytest.mark.real
def test_a_job_is_trained_by_two_processes_to_its_model(sharing, tmp_path, monkeypatch):
    shop, started, start = sharing, [], TorchrunExecutor.start
    monkeypatch.setattr(
        TorchrunExecutor, "start", lambda self, command: started.append(command.phase) or start(self, command)
    )
    job = shop.order("shared", rows=32, hyperparameters=Hyperparameters(training_steps=4))
    worker = Worker(shop.parts)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        deadline = time.monotonic() + 500
        while shop.job(job).finished_at is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        worker.stop()
        thread.join()
    done = shop.job(job)
    assert done.status is Status.SUCCESS, done.error
    assert (done.result["processes"], started) == (2, [Phase.TRAIN]), "one process looks at the files"
    steps = shop.steps(job)
    assert [step.step_number for step in steps] == [1, 2, 3, 4], "each is told once, by one process"
    assert steps[-1].valid_loss is not None
    assert done.trained_tokens == sum(step.tokens for step in steps) > 0
    model = shop.parts.models.get("default", done.fine_tuned_model)
    install(model.manifest, shop.parts.blobs, tmp_path / "model")
    assert read_artifact(tmp_path / "model").id == model.artifact_id
    scores = Engine.load(tmp_path / "model", threads=1).calibrated([text_input("my silly goose")])
    assert {"moderation", "tone"} == set(scores.values)
