"""Steps that drop rows whose content is another row's, or nearly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from modwright.data.columnar import pl
from modwright.data.curate.part import Part
from modwright.data.curate.steps import Choice, Context
from modwright.data.dataset import content_keys
from modwright.data.near import Likeness, band_keys, comparable, components, near_pairs
from modwright.data.options import DEFAULT_NEAR
from modwright.data.shingles import Unit
from modwright.schema import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class ExactDuplicates:
    """Of rows with the same content (white space and case aside) the first stays.

    Attributes:
        keep: where labels of the same content conflict (known on both sides, and different): `first` keeps the
            first row with its labels, `mean` with the mean of what is known, `drop` keeps none of them.
    """

    name: ClassVar[str] = "exact_duplicates"
    random: ClassVar[bool] = False
    keep: Literal["first", "mean", "drop"] = "first"

    def choose(self, part: Part, context: Context) -> Choice:
        """Return the first row of every content."""
        first, member = _contents(part)
        conflicting = _conflicts(part.values, member)
        why = {"a duplicate": len(part) - len(first)}
        kept = first
        if self.keep == "drop":
            kept = first[~conflicting[member[first]]]
            at_odds = int(np.count_nonzero(conflicting[member]))
            why = {"a duplicate": len(part) - len(kept) - at_odds, "labels conflict": at_odds}
        order = np.sort(kept)
        values = _means(part.values, member)[member[order]] if self.keep == "mean" else None
        details = {"conflicting_contents": int(conflicting.sum())}
        return Choice(order, {reason: n for reason, n in why.items() if n}, values=values, details=details)


def _contents(part: Part) -> tuple[IntArray, IntArray]:
    """Return the first position of every different content, and the (N,) number of each row's content."""
    keys = part.compute(lambda frame: np.array(content_keys(frame), dtype="S16"))
    _, first, member = np.unique(keys, return_index=True, return_inverse=True)
    return first.astype(np.int64), member.astype(np.int64)


def _conflicts(values: FloatArray, member: IntArray) -> BoolArray:
    """Return (C,) whether the rows of a content are known to differ in a label."""
    number = int(member.max()) + 1
    conflicting = np.zeros(number, dtype=bool)
    for column in values.T:
        known = np.flatnonzero(~np.isnan(column))
        lowest, highest = np.full(number, np.inf), np.full(number, -np.inf)
        np.minimum.at(lowest, member[known], column[known])
        np.maximum.at(highest, member[known], column[known])
        conflicting |= lowest < highest
    return conflicting


def _means(values: FloatArray, member: IntArray) -> FloatArray:
    """Return (C, L) the mean of what the rows of a content know of a label, NaN where none does."""
    number = int(member.max()) + 1
    columns = []
    for column in values.T:
        known = ~np.isnan(column)
        sums = np.bincount(member[known], weights=column[known], minlength=number)
        counts = np.bincount(member[known], minlength=number)
        columns.append(np.divide(sums, counts, out=np.full(number, np.nan), where=counts > 0))
    return np.stack(columns, axis=1)


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Rows that are nearly a row kept before them go; equal contents go as well.

    Attributes:
        threshold: least Jaccard similarity of the sets of shingles. Lower drops more.
        unit: what shingles are made of, `characters` or `words`.
        size: units in a shingle. Longer ones make texts look less alike.
    """

    name: ClassVar[str] = "near_duplicates"
    random: ClassVar[bool] = False
    threshold: float = DEFAULT_NEAR
    unit: Unit = Unit.CHARACTERS
    size: int = 5

    def __post_init__(self) -> None:
        likeness = Likeness(self.threshold, self.unit, self.size)
        object.__setattr__(self, "unit", likeness.unit)

    def choose(self, part: Part, context: Context) -> Choice:
        """Return the rows that are unlike every row kept before them."""
        first, _, pairs = _alike(part, Likeness(self.threshold, self.unit, self.size))
        kept = _greedy(len(first), pairs)
        why = {"a duplicate": len(part) - len(first), "nearly a duplicate": int(np.count_nonzero(~kept))}
        return Choice(first[kept], {reason: n for reason, n in why.items() if n})


def near_groups(part: Part, likeness: Likeness) -> IntArray:
    """Return (N,) group numbers: rows whose contents are equal or near-duplicates, over any chain, share one."""
    first, member, pairs = _alike(part, likeness)
    return components(len(first), pairs)[member]


def _alike(part: Part, likeness: Likeness) -> tuple[IntArray, IntArray, IntArray]:
    """Return the first positions of the C different contents, ascending, each row's content, and near pairs."""
    by_key, member = _contents(part)
    order = np.argsort(by_key)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    first = by_key[order]
    keys = part.compute(lambda frame: band_keys(comparable(frame), likeness))[first]

    def texts(some: IntArray) -> pl.Series:
        return comparable(part.take(first[some]))

    return first, rank[member].astype(np.int64), near_pairs(keys, texts, likeness)


def _greedy(number: int, pairs: IntArray) -> BoolArray:
    """Return (N,) whether a text stays: unless it is like one before it that stays."""
    kept = np.ones(number, dtype=bool)
    for earlier, later in sorted(pairs.tolist(), key=lambda pair: (pair[1], pair[0])):
        if kept[earlier]:
            kept[later] = False
    return kept
