"""`modwright train` over two processes gives what it gives in one: losses, weights, and what the artifact answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from modwright.data.dataset import read_dataset, write_dataset
from modwright.errors import UsageError
from modwright.pipeline.estimating import estimate
from modwright.pipeline.train import train
from modwright.recipe import load_recipe
from modwright.schema import text_input
from modwright.serving.engine import Engine
from modwright.settings import Settings
from modwright.testing import make_tiny_causal, tiny_causal_recipe, tiny_dataset

TEXTS = [text_input("my silly goose went near the river"), text_input("the quiet garden again")]
FULL = (
    "adapter.method=full",
    "training.epochs=1",
    "training.training_steps=4",
    "validation.method=holdout",
    "validation.keep=last",
)


def train_by_command(work, recipe, processes):
    """Train by command into a folder of that name; return the folder and what was said on standard error."""
    out = work / f"by-{processes}"
    (work / "recipe.toml").write_text(recipe.to_toml())
    arguments = [str(work / "recipe.toml"), f"shards.processes={processes}", "--data", str(work / "data")]
    done = subprocess.run(
        [sys.executable, "-m", "modwright", "train", *arguments, "--out", str(out), "--json"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1_200,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["artifact"] == str(out), "one process says so, once"
    return out, done.stderr


def losses(out):
    lines = (Path(f"{out}-run") / "events.jsonl").read_text().splitlines()
    steps = [event for event in map(json.loads, lines) if event["event"] == "step"]
    assert [event["number"] for event in steps] == list(range(1, len(steps) + 1)), (
        "one process writes the run"
    )
    return np.asarray([event["train_loss"] for event in steps])


def same(one, two, *, loss, weight, score):
    assert len(losses(one)) == 4
    assert np.abs(losses(one) - losses(two)).max() < loss
    weights = [load_file(out / "model" / "model.safetensors") for out in (one, two)]
    assert weights[0].keys() == weights[1].keys()
    assert max(np.abs(weights[0][name] - weights[1][name]).max() for name in weights[0]) < weight
    answers = [Engine.load(out).calibrated(TEXTS).values for out in (one, two)]
    for name, scores in answers[0].items():
        assert np.abs(scores - answers[1][name]).max() < score


def train_here(work, recipe, **settings):
    """Train in this process into a folder of that name, and return it."""
    dataset = read_dataset(work / "data")
    train(recipe, dataset, work / "by-1", Settings(**settings), on_event=lambda event: None)
    return work / "by-1"


def test_a_tiny_llama_is_trained_by_two_as_by_one(tmp_path):
    base = make_tiny_causal(tmp_path / "tiny-llama")
    write_dataset(tiny_dataset(48, held_out=16), tmp_path / "data")
    slow = (
        "optimizer.learning_rate=1e-3",
        "optimizer.head_learning_rate=1e-3",
    )  # AdamW magnifies rounding by its rate
    recipe = tiny_causal_recipe(
        base, *FULL, *slow, "answer.read=head", "training.gradient_checkpointing=true"
    )
    one = train_here(tmp_path, recipe, threads=1)
    two, said = train_by_command(tmp_path, recipe, 2)
    assert "over 2 processes: torchrun --standalone --nproc-per-node 2 -m modwright train" in said
    same(one, two, loss=1e-5, weight=1e-5, score=1e-3)


def test_a_sharded_run_is_not_probed_but_said_what_it_takes(tmp_path):
    base = make_tiny_causal(tmp_path / "tiny-llama")
    recipe = tiny_causal_recipe(base, *FULL, "answer.read=head", "shards.processes=2")
    with pytest.raises(
        UsageError, match=r"2 processes cannot be probed by one; in each it takes about .* GB"
    ):
        estimate(recipe, tiny_dataset(48, held_out=16), Settings(), on_event=lambda event: None)


@pytest.mark.real
def test_smollm2_is_trained_by_two_as_by_one(tmp_path):
    write_dataset(tiny_dataset(24, held_out=8), tmp_path / "data")
    small = (
        "window.max_tokens=32",
        "optimizer.learning_rate=1e-5",
        "training.precision=float32",
        "batches.rows=4",
    )
    recipe = load_recipe("llm", [*FULL, *small, "batches.max_tokens=512", "evaluation.resamples=20"])
    one, _ = train_by_command(tmp_path, recipe, 1)
    two, _ = train_by_command(tmp_path, recipe, 2)
    same(one, two, loss=1e-5, weight=1e-5, score=1e-3)
