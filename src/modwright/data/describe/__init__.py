"""What a dataset holds: counts, lengths, co-occurrence; as data, as an HTML page and as pictures."""

from __future__ import annotations

from modwright.data.describe.counting import describe
from modwright.data.describe.description import (
    Combination,
    Description,
    LabelCounts,
    Lengths,
    SplitCounts,
    TargetCounts,
)

__all__ = [
    "Combination",
    "Description",
    "LabelCounts",
    "Lengths",
    "SplitCounts",
    "TargetCounts",
    "describe",
]
