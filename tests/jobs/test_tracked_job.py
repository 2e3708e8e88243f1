"""A job that asks for Weights & Biases, trained for real with the library offline: it shows the run's name."""

from __future__ import annotations

import threading
import time

import pytest

from modwright.jobs.specs import Hyperparameters, Integration
from modwright.jobs.states import Status
from modwright.jobs.worker import Worker


@pytest.mark.real
def test_the_run_of_a_job_is_named_after_it_and_shown(working_shop, monkeypatch, tmp_path):
    pytest.importorskip("wandb")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    shop = working_shop
    job = shop.order(
        "tiny-encoder",
        rows=40,
        hyperparameters=Hyperparameters(training_steps=4),
        integrations=(Integration("geese"),),
    )
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
    about_decisions = ("operating point ", "review band: ")
    assert [told for told in shop.told(job, "warning") if not told.startswith(about_decisions)] == []
    assert (done.result["wandb_name"], done.result["wandb_url"]) == (f"{job.id}-0", None)
    assert done.result["recipe"] == "tiny-encoder"
