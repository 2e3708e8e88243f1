"""An estimate counts what a run then does, spans how long it takes, and leaves no trace."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from modwright.cli.estimate_view import estimate_lines, size_text
from modwright.errors import DataError
from modwright.pipeline.estimating import estimate
from modwright.pipeline.train import train
from modwright.recipe import load_recipe
from modwright.testing import TINY_SCHEMA, tiny_dataset, tiny_rows
from modwright.training.dealing import planned_runs
from modwright.training.estimate import Estimate, Span
from modwright.training.events import Looked, RunStarted, Step, follow
from modwright.training.peak import forget_peak, peak_memory
from modwright.training.speed import estimate_tuned
from modwright.training.tuned import fit_tuned

SMALL = (
    "window.min_tokens=16",
    "window.max_tokens=16",
    "batches.rows=16",
    "batches.max_tokens=128",
    "training.epochs=2",
    "training.precision=float32",
    "validation.keep=last",
    "validation.folds=2",
    "evaluation.resamples=0",
)


def ignore(*_):
    pass


def seconds_of(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began


def assert_spans(span, took):
    """Hold an estimate to its order of magnitude: how fast this machine is just now is nobody's to promise."""
    assert 0 < span.low <= span.likely <= span.high
    assert span.low / 20 < took < span.high * 20


def tiny_encoder(folder, *overrides):
    return load_recipe("balanced", [f'base.name="{folder}"', *SMALL, *overrides])


@pytest.fixture(scope="module")
def home(tmp_path_factory, tiny_cache, tiny_base, new_home):
    return new_home(tmp_path_factory.mktemp("estimating"))


@pytest.mark.parametrize("method", [pytest.param("folds", marks=pytest.mark.real), "holdout"])
def test_steps_and_tokens_are_those_of_the_run_and_the_time_is_spanned(
    tmp_path, home, tiny_base_folder, method
):
    recipe = tiny_encoder(tiny_base_folder, f"validation.method={method}")
    data, told = tiny_dataset(150), []
    estimated = estimate(recipe, data, home, on_event=ignore)
    took = seconds_of(lambda: train(recipe, data, tmp_path / "model", home, on_event=told.append))
    steps = [event for event in told if isinstance(event, Step)]
    assert estimated.exact
    assert estimated.steps == len(steps)
    assert estimated.tokens == sum(step.tokens for step in steps)
    assert estimated.padded_tokens >= estimated.tokens
    assert (
        estimated.runs
        == sum(isinstance(event, RunStarted) for event in told)
        == (3 if method == "folds" else 1)
    )
    assert estimated.looks == sum(isinstance(event, Looked) for event in told)
    assert estimated.epochs == 2
    assert_spans(estimated.seconds, took)
    assert estimated.memory_bytes > 10e6
    size = sum(path.stat().st_size for path in (tmp_path / "model").rglob("*") if path.is_file())
    assert size / 4 < estimated.disk_bytes < size * 40


def test_the_time_of_a_frozen_run_is_spanned(tmp_path, new_home, recipe):
    settings, data = new_home(tmp_path / "home"), tiny_dataset(150)
    before = {path for path in (tmp_path / "home").rglob("*") if path.is_file()}
    estimated = estimate(recipe, data, settings, on_event=ignore)
    assert {path for path in (tmp_path / "home").rglob("*") if path.is_file()} == before
    told = []
    took = seconds_of(lambda: train(recipe, data, tmp_path / "model", settings, on_event=told.append))
    assert_spans(estimated.seconds, took)
    assert sum(isinstance(event, Step) for event in told) <= estimated.steps
    assert not estimated.exact
    assert estimated.tokens > 1_000
    again = estimate(recipe, data, settings, on_event=ignore)  # embeddings are cached now
    assert again.tokens == estimated.tokens


def test_random_states_are_as_before(home, tiny_base_folder):
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    estimate(tiny_encoder(tiny_base_folder), tiny_dataset(60), home, on_event=ignore)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


def test_runs_that_may_end_early_are_told_as_at_most(home, tiny_base_folder):
    early = estimate(
        tiny_encoder(tiny_base_folder, "validation.patience=1"), tiny_dataset(60), home, on_event=ignore
    )
    best = estimate(
        tiny_encoder(tiny_base_folder, "validation.keep=best"), tiny_dataset(60), home, on_event=ignore
    )
    assert not early.exact
    assert not best.exact
    assert ("steps", f"at most {best.steps:,}") in estimate_lines(best)


def test_data_that_cannot_be_trained_on_fails_as_training_would(home, tiny_base_folder):
    recipe = tiny_encoder(tiny_base_folder)
    rows = tiny_rows(2)
    rows.groups[:] = ["one", "one"]
    with pytest.raises(DataError) as trained:
        follow(fit_tuned(recipe, TINY_SCHEMA, rows, None), ignore)
    with pytest.raises(DataError) as planned:
        planned_runs(recipe, TINY_SCHEMA, rows, None, None)
    with pytest.raises(DataError) as estimated:
        follow(estimate_tuned(recipe, TINY_SCHEMA, rows, None, validation=None, scored_rows=0), ignore)
    assert str(trained.value) == str(planned.value) == str(estimated.value)


def test_an_estimate_reads_well():
    found = Estimate(
        "encoder", 800, 5, 3.0, 720, False, 120_000, 150_000, 20, Span(60, 240.4, 4000), 1_400_000_000, 95_000
    )
    assert estimate_lines(found) == [
        ("family", "encoder"),
        ("rows", "800"),
        ("runs", "5 runs, 3 epochs"),
        ("steps", "at most 720"),
        ("tokens", "at most 120,000 (25% padding on top)"),
        ("looks", "at most 20 at held-out rows"),
        ("duration", "about 4:00, between 1:00 and 1:06:40 (h:mm:ss or m:ss)"),
        ("memory", "about 1.4 GB"),
        ("disk", "about 95 kB, checkpoints included"),
    ]
    assert [size_text(size) for size in (7, 1500, 123e6, 7e15)] == ["7 B", "1.5 kB", "123 MB", "7000.0 TB"]


def test_the_highest_memory_is_the_kernels_figure():
    forget_peak()
    low = peak_memory()
    if low is None:
        pytest.skip("this system does not tell")
    block = np.ones(20_000_000)
    assert peak_memory() - low > block.nbytes * 0.8
