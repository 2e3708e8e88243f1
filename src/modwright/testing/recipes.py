"""Shipped recipes with everything made small."""

from __future__ import annotations

import json
from pathlib import Path

from modwright.recipe import CausalRecipe, EncoderRecipe, FrozenRecipe, load_recipe


def tiny_recipe(base: Path | str = "tiny", *overrides: str) -> FrozenRecipe:
    """Return the recipe `fast` with that base and everything small; `overrides` as on the command line."""
    small = (
        f"bases=[{{name={json.dumps(str(base))}, layers=[0, 1]}}]",
        "window.min_tokens=16",
        "window.max_tokens=16",
        "head.c=[1.0, 16.0]",
        "head.gamma=[0.5]",
        "head.folds=3",
        "head.max_landmarks=100",
        "training.training_steps=60",
        "evaluation.resamples=20",
    )
    recipe = load_recipe("fast", [*small, *overrides])
    assert isinstance(recipe, FrozenRecipe)
    return recipe


def tiny_encoder_recipe(base: Path | str = "tiny", *overrides: str) -> EncoderRecipe:
    """Return the recipe `balanced` with that base and everything small; `overrides` as on the command line."""
    small = (
        f"base.name={json.dumps(str(base))}",
        "window.min_tokens=16",
        "window.max_tokens=16",
        "optimizer.learning_rate=1e-3",
        "optimizer.head_learning_rate=1e-2",
        "training.epochs=3",
        "training.precision=float32",
        "batches.rows=8",
        "validation.folds=2",
        "evaluation.resamples=20",
    )
    recipe = load_recipe("balanced", [*small, *overrides])
    assert isinstance(recipe, EncoderRecipe)
    return recipe


def tiny_causal_recipe(base: Path | str = "tiny", *overrides: str) -> CausalRecipe:
    """Return the recipe `llm` with that base and everything small; `overrides` as on the command line."""
    small = (
        f"base.name={json.dumps(str(base))}",
        'prompt.instructions="judge [{labels}]"',
        'prompt.separator="\\n<cut>\\n"',
        'prompt.text="{text}"',
        'prompt.answer="so:"',
        'prompt.question="{label}"',
        "adapter.rank=4",
        "window.min_tokens=16",
        "window.max_tokens=16",
        "optimizer.learning_rate=1e-2",
        "optimizer.head_learning_rate=1e-2",
        "training.epochs=3",
        "training.precision=float32",
        "batches.rows=8",
        "evaluation.resamples=20",
    )
    recipe = load_recipe("llm", [*small, *overrides])
    assert isinstance(recipe, CausalRecipe)
    return recipe
