"""A recipe's values as parameters of an estimator: `recipe__head__folds` is `head.folds`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modwright.errors import RecipeError, UsageError
from modwright.recipe import Recipe, load_recipe

PREFIX = "recipe__"
Overrides = Mapping[str, Any] | Sequence[str]


def resolve(recipe: Any, overrides: Any) -> Recipe:
    """Return the recipe with its overrides.

    Raises:
        RecipeError: no such recipe, an unknown key or a bad value.
        UsageError: the overrides are neither a mapping nor a list of `key=value`.
    """
    return load_recipe(str(recipe), lines(overrides))


def lines(overrides: Any) -> list[str]:
    """Return overrides as on the command line: a list of `key=value`."""
    if isinstance(overrides, Mapping):
        return [f"{key}={_toml(value)}" for key, value in overrides.items()]
    if isinstance(overrides, Sequence) and not isinstance(overrides, str):
        return [str(line) for line in overrides]
    raise UsageError(f"overrides are {overrides!r}", remedy="give {'head.folds': 10} or ['head.folds=10']")


def overridden(overrides: Any, changes: Mapping[str, Any]) -> list[str]:
    """Return overrides with some parameters changed; `changes` are keyed `head__folds`."""
    keys = {name.replace("__", "."): value for name, value in changes.items()}
    kept = [line for line in lines(overrides) if line.partition("=")[0].strip() not in keys]
    return [*kept, *(f"{key}={_toml(value)}" for key, value in keys.items())]


def flat(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's values by parameter name, tables taken apart; what it does not state is left out."""
    return dict(
        _flat(PREFIX[:-2], recipe.model_dump(mode="json", exclude_none=True, exclude={"family", "data"}))
    )


def _flat(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for key, below in value.items() for pair in _flat(f"{name}__{key}", below)]
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return [pair for place, item in enumerate(value) for pair in _flat(f"{name}__{place}", item)]
    return [(name, value)]


def _toml(value: Any) -> str:
    """Return a value as TOML; scikit-learn's searches hand over numpy's numbers, too."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str | bool | int | float):
        return json.dumps(value, ensure_ascii=False)
    raise RecipeError(
        f"found {value!r} of type {type(value).__name__}", remedy="give a number, text, list or table"
    )
