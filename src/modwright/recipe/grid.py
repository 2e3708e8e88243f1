"""A grid on the command line: `epochs=1,2,3` means three runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product

from modwright.errors import RecipeError

#: One value of a grid: a number, a truth value or a bare word. A list in brackets or a quoted text is one value.
_VALUE = re.compile(r"[\w.+-]+")
_MOST_RUNS = 1_000


def expand(overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the overrides of every run of a grid, the last key varying fastest; one run where nothing is listed.

    Raises:
        RecipeError: more than 1,000 runs.
    """
    choices = [_choices(override) for override in overrides]
    runs = 1
    for some in choices:
        runs *= len(some)
    if runs > _MOST_RUNS:
        raise RecipeError(f"the grid has {runs:,} runs", where="overrides", remedy=f"at most {_MOST_RUNS:,}")
    return list(product(*choices))


def varied(overrides: Sequence[str]) -> tuple[str, ...]:
    """Return the keys that a grid varies."""
    return tuple(override.partition("=")[0].strip() for override in overrides if len(_choices(override)) > 1)


def _choices(override: str) -> list[str]:
    key, equals, text = override.partition("=")
    values = [value.strip() for value in text.split(",")]
    if not equals or len(values) < 2 or not all(_VALUE.fullmatch(value) for value in values):
        return [override]
    return [f"{key}={value}" for value in dict.fromkeys(values)]
