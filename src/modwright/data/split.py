"""Splits and folds that keep groups whole and spread labels evenly; numpy only.

Groups that look alike (same size, same label counts) are interchangeable, so they are dealt out in bulk: each
part gets its share of every kind of group, and what is left over goes where it is missed most, rarest label
first (iterative stratification). That keeps the cost in the number of kinds, not of rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from modwright.errors import DataError, UsageError
from modwright.schema import POSITIVE_ABOVE, FloatArray, IntArray

#: The part that must see every label, where one has this name; else the first.
_FAVOURED = "train"
_SUM_TOLERANCE = 1e-6


def split_groups(
    groups: Sequence[Hashable], labels: FloatArray, fractions: Mapping[str, float], seed: int
) -> dict[str, IntArray]:
    """Deal rows into named parts; rows of one group stay together.

    Args:
        groups: (N,) group keys.
        labels: (N, L) values in 0..1, NaN unknown; above 0.5 counts as positive.
        fractions: part name to its share of the rows; they sum to 1.
        seed: same seed, same parts.

    Returns:
        Part name to ascending row numbers; every row is in exactly one part. The part `train` (else the
        first) gets at least one positive and one negative of every label that has one.

    Raises:
        UsageError: fractions that are not above 0 or do not sum to 1, or shapes that do not fit.
    """
    names = list(fractions)
    shares = np.array([float(fractions[name]) for name in names])
    if not names or not np.all(shares > 0) or abs(float(shares.sum()) - 1.0) > _SUM_TOLERANCE:
        raise UsageError(f"fractions are {dict(fractions)}, expected shares above 0 that sum to 1")
    favoured = names.index(_FAVOURED) if _FAVOURED in names else 0
    parts = _deal(groups, labels, shares / shares.sum(), seed, favoured)
    return {name: np.flatnonzero(parts == part).astype(np.int64) for part, name in enumerate(names)}


def folds(groups: Sequence[Hashable], labels: FloatArray, k: int, seed: int) -> IntArray:
    """Return the (N,) fold number 0..k-1 of every row; groups stay together, labels are spread evenly.

    Raises:
        UsageError: k below 2, or shapes that do not fit.
        DataError: fewer than k groups.
    """
    if k < 2:
        raise UsageError(f"k is {k}, expected at least 2 folds")
    number = len(set(groups))
    if number < k:
        raise DataError(f"found {number} groups of rows, expected at least {k}", remedy="use fewer folds")
    return _deal(groups, labels, np.full(k, 1.0 / k), seed, None)


def merge_groups(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Join two groupings: rows that share a key in either of them share a key in the result, transitively."""
    left, right = (
        np.unique(np.asarray(keys, dtype=object), return_inverse=True)[1].astype(np.int64)
        for keys in (first, second)
    )
    return [f"joined-{key}" for key in joined_groups(left, right).tolist()]


def joined_groups(left: IntArray, right: IntArray) -> IntArray:
    """Join two groupings by (N,) numbers of at least 0, as `merge_groups` does."""
    left, right = (np.unique(keys, return_inverse=True)[1].astype(np.int64) for keys in (left, right))
    component = left
    while True:
        by_right = np.full(len(component), len(component), dtype=np.int64)
        np.minimum.at(by_right, right, component)
        spread = by_right[right]
        by_left = np.full(len(component), len(component), dtype=np.int64)
        np.minimum.at(by_left, left, spread)
        settled: IntArray = by_left[left]
        if np.array_equal(settled, component):
            return settled
        component = settled


def _deal(
    groups: Sequence[Hashable], labels: FloatArray, shares: FloatArray, seed: int, favoured: int | None
) -> IntArray:
    """Return the (N,) part of every row."""
    labels = np.asarray(labels, dtype=np.float64)
    if labels.ndim != 2 or len(labels) != len(groups):
        raise UsageError(f"labels have shape {labels.shape}, expected ({len(groups)}, L)")
    if not len(groups):
        return np.zeros(0, dtype=np.int64)
    member, counts = _group_counts(groups, labels)
    dealer = _Dealer(counts, shares, seed)
    if favoured is not None:
        dealer.show_everything(favoured)
    dealer.deal()
    return dealer.part_of_group[member]


def _group_counts(groups: Sequence[Hashable], labels: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the (N,) group of each row and the (G, 1 + 2L) counts: rows, positives, known negatives."""
    numbers: dict[Hashable, int] = {}
    member = np.fromiter((numbers.setdefault(group, len(numbers)) for group in groups), np.int64, len(groups))
    positive = labels > POSITIVE_ABOVE
    negative = ~positive & ~np.isnan(labels)
    columns = [np.ones(len(member)), *positive.T, *negative.T]
    counts = [np.bincount(member, weights=column, minlength=len(numbers)) for column in columns]
    return member, np.stack(counts, axis=1).astype(np.int64)


def unique_rows(counts: IntArray) -> tuple[IntArray, IntArray]:
    """Return the first row of each kind of row and the (G,) kind of every row, faster than unique by axis."""
    code = np.zeros(len(counts), dtype=np.int64)
    room = 1
    for column in counts.T:
        radix = int(column.max()) + 1
        if room * radix >= 2**62:
            values, code = np.unique(code, return_inverse=True)
            room = len(values)
        code = code * radix + column
        room *= radix
    _, first, kind = np.unique(code, return_index=True, return_inverse=True)
    return first.astype(np.int64), kind.astype(np.int64)


class _Dealer:
    """Deals groups to parts, and knows what each part still misses.

    Groups with equal counts are one kind; those of a kind wait in seeded random order.
    """

    def __init__(self, counts: IntArray, shares: FloatArray, seed: int) -> None:
        self.shares = shares
        first, kind_of_group = unique_rows(counts)
        self.kinds = counts[first]
        shuffled = np.random.default_rng(seed).permutation(len(counts))
        order = shuffled[np.argsort(kind_of_group[shuffled], kind="stable")]
        self.waiting = np.split(order, np.cumsum(np.bincount(kind_of_group))[:-1])
        self.missing = np.outer(shares, counts.sum(axis=0))  # (parts, 1 + 2L)
        self.part_of_group = np.full(len(counts), -1, dtype=np.int64)
        self.rarity = np.argsort(counts.sum(axis=0), kind="stable")
        # The rarest thing in a kind decides where its groups go, and when.
        rank = np.where(self.kinds[:, self.rarity] > 0, np.arange(len(self.rarity)), len(self.rarity))
        self.decisive = self.rarity[rank.min(axis=1)]
        self.turn = np.lexsort((-self.kinds[:, 0], rank.min(axis=1))).tolist()

    def give(self, kind: int, part: int, number: int) -> None:
        """Give the next groups of a kind to a part."""
        self.part_of_group[self.waiting[kind][:number]] = part
        self.waiting[kind] = self.waiting[kind][number:]
        self.missing[part] -= number * self.kinds[kind]

    def show_everything(self, part: int) -> None:
        """Give the part one group, the smallest, of each label's positives and negatives it has not seen."""
        seen = np.zeros(self.kinds.shape[1], dtype=bool)
        for column in self.rarity.tolist():
            having = np.flatnonzero(self.kinds[:, column])
            if len(having) and not seen[column]:
                kind = int(having[np.argmin(self.kinds[having, 0])])
                self.give(kind, part, 1)
                seen |= self.kinds[kind] > 0

    def deal(self) -> None:
        """Deal everything that waits: shares of each kind in bulk, then the rest where it is missed most."""
        for kind in self.turn:
            bulk = np.floor(len(self.waiting[kind]) * self.shares + 1e-9).astype(int)
            for part, number in enumerate(bulk.tolist()):
                self.give(kind, part, number)
        for kind in self.turn:
            while len(self.waiting[kind]):
                decisive = self.missing[:, self.decisive[kind]].round(6)
                self.give(kind, int(np.lexsort((self.missing[:, 0], decisive))[-1]), 1)
