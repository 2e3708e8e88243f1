"""How long a window is: what the recipe says, of the lengths of the training texts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from modwright.models.windows import SingleLabelRule, WindowRule
from modwright.recipe import WindowRecipe
from modwright.schema import IntArray

_MULTIPLE = 8


def window_rule(window: WindowRecipe, lengths: Sequence[int] | IntArray, most: int) -> WindowRule:
    """Return the rule whose windows hold the recipe's share of texts whole.

    Args:
        window: of the recipe.
        lengths: tokens of each training text, special ones included.
        most: tokens that the base takes.
    """
    wanted = float(np.quantile(lengths, window.quantile)) if len(lengths) else float(window.min_tokens)
    rounded = math.ceil(wanted / _MULTIPLE) * _MULTIPLE
    most = min(window.max_tokens, most)
    return WindowRule(
        max(min(rounded, most), min(window.min_tokens, most)),
        window.overlap,
        SingleLabelRule(window.single_label),
        tuple(window.edges),
    )
