"""Legends of drawings whose names are users' own: each is shown as it is, whatever it begins with or holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: What is drawn, and its name.
Key = tuple[Any, str]


def legend(axes: Any, keys: Sequence[Key], **how: Any) -> None:
    """Write a frame's legend; `how` goes to matplotlib.

    matplotlib leaves out names that begin with '_' and reads '$' as a formula, so names are set afterwards.
    """
    made = axes.legend([drawn for drawn, _ in keys], [str(place) for place in range(len(keys))], **how)
    for text, (_, name) in zip(made.get_texts(), keys, strict=True):
        text.set_parse_math(False)
        text.set_text(name)
