"""Steps that change how often labels occur among the training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from modwright.data.curate.part import Part
from modwright.data.curate.steps import Choice, Context, column_of
from modwright.data.split import unique_rows
from modwright.errors import UsageError
from modwright.schema import BoolArray, FloatArray, IntArray

_BLOCK_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class Cap:
    """First come, first served: few unflagged rows, and no label above its share of the flagged ones.

    Rows are taken in order. A flagged row is left out when any label it has is full. To the letter the rule of
    the notebook behind `civil-comments-notebook`, with its floating-point comparisons; unflagged rows are those in
    which no label is known to hold.

    Attributes:
        zero_share: share of unflagged rows wanted, in 0..1, relative to all flagged rows (before the cap).
            Higher keeps more of them.
        max_share: most positives of a label, as a share of the flagged rows (before the cap). Lower balances
            more and drops more.
        target: whose labels count; None takes all targets.
    """

    name: ClassVar[str] = "cap"
    random: ClassVar[bool] = False
    zero_share: float = 0.1
    max_share: float = 0.2
    target: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.zero_share < 1 or not 0 <= self.max_share <= 1:
            raise UsageError(
                f"zero_share is {self.zero_share:g} and max_share {self.max_share:g}, expected shares in 0..1, "
                "zero_share below 1"
            )

    def choose(self, part: Part, context: Context) -> Choice:
        """Return the rows that the rule keeps, in their old order."""
        columns = context.flaggable(self.target)
        positive = context.positive(part.values)[:, columns]
        any_flag = positive.any(axis=1)
        flagged, unflagged = np.flatnonzero(any_flag), np.flatnonzero(~any_flag)
        total = len(flagged) / (1 - self.zero_share)
        wanted_zero, wanted = int(total * self.zero_share), int(total * (1 - self.zero_share))
        tried = flagged[:wanted]
        kept, full = _first_come(positive[tried], _limit(wanted, self.max_share))
        why = {"no label holds": max(len(unflagged) - wanted_zero, 0), "flagged, rounded off": 0}
        why["flagged, rounded off"] = len(flagged) - len(tried)
        for place, column in enumerate(columns.tolist()):
            target, label = context.labels[column]
            why[f"{target}/{label} is full"] = int(np.count_nonzero(full == place))
        rows = np.sort(np.concatenate([tried[kept], unflagged[:wanted_zero]]))
        return Choice(rows.astype(np.int64), {reason: number for reason, number in why.items() if number})


def _limit(wanted: int, max_share: float) -> int:
    """Return the most positives n of a label for which n / wanted is not above the share."""
    if not wanted:
        return 0
    limit = int(max_share * wanted)
    while (limit + 1) / wanted <= max_share:
        limit += 1
    while limit and limit / wanted > max_share:
        limit -= 1
    return limit


def _first_come(positive: BoolArray, limit: int) -> tuple[BoolArray, IntArray]:
    """Take rows in order while none of their labels has `limit` positives already.

    Labels only ever fill up, and until the next one does every row without a full label is taken: so there are
    at most L + 1 phases, each without a loop over rows.

    Returns:
        (N,) whether the row is taken, and (N,) the first of its labels that was full, -1 where taken.
    """
    number, width = positive.shape
    taken, full = np.zeros(number, dtype=bool), np.full(number, -1, dtype=np.int64)
    counts = np.zeros(width, dtype=np.int64)
    closed = counts >= limit
    start = 0
    while start < number:
        rest = positive[start : start + _BLOCK_ROWS]
        blocked = np.asarray((rest & closed).any(axis=1))
        end = len(rest)
        for label in np.flatnonzero(~closed).tolist():
            having = np.flatnonzero(rest[:, label] & ~blocked)
            room = int(limit - counts[label])
            if len(having) >= room:
                end = min(end, int(having[room - 1]) + 1)
        phase = slice(start, start + end)
        taken[phase] = ~blocked[:end]
        refused = np.flatnonzero(blocked[:end])
        full[start + refused] = np.argmax(rest[refused] & closed, axis=1)
        counts += rest[:end][~blocked[:end]].sum(axis=0)
        closed = counts >= limit
        start += end
    return taken, full


@dataclass(frozen=True, slots=True)
class Downsample:
    """Fewer rows of the common label combinations, each weighted for those it stands for.

    Every combination of labels is a stratum, drawn from without replacement. A kept row's weight is multiplied
    so that its stratum weighs what it did (Horvitz and Thompson 1952, "A generalization of sampling without
    replacement from a finite universe"): the weighted prevalence of every label stays the natural one.

    Attributes:
        rows: about how many rows stay; a stratum that has rows keeps at least one.
        power: a stratum of n rows gets a share that grows with n to this power, at most n. 1 keeps the
            proportions, 0 gives every combination the same, 0.5 lies between: rare ones are spared.
    """

    name: ClassVar[str] = "downsample"
    random: ClassVar[bool] = True
    rows: int
    power: float = 0.5

    def __post_init__(self) -> None:
        if self.rows < 1 or not 0 <= self.power <= 1:
            raise UsageError(
                f"rows is {self.rows} and power {self.power:g}, expected rows above 0, power in 0..1"
            )

    def choose(self, part: Part, context: Context) -> Choice:
        """Return the drawn rows in their old order, with new weights."""
        if len(part) <= self.rows:
            return Choice(np.arange(len(part)), {})
        kind = combinations(part.values, context)
        sizes = np.bincount(kind)
        quota = _quotas(sizes, self.rows, self.power)
        rank = _rank_in_kind(kind, part.weights <= 0, context.random)
        kept = np.flatnonzero(rank < quota[kind]).astype(np.int64)
        before = np.bincount(kind, weights=part.weights, minlength=len(sizes))
        after = np.bincount(kind[kept], weights=part.weights[kept], minlength=len(sizes))
        factor = np.divide(before, after, out=np.ones(len(sizes)), where=after > 0)
        weights = part.weights[kept] * factor[kind[kept]]
        return Choice(kept, {"not drawn": len(part) - len(kept)}, weights=weights)


def combinations(values: FloatArray, context: Context) -> IntArray:
    """Return the (N,) number of each row's combination of holding, not holding and unknown labels."""
    codes = context.positive(values).astype(np.int64) + 2 * np.isnan(values)
    return unique_rows(codes)[1]


def _rank_in_kind(kind: IntArray, last: BoolArray, random: np.random.Generator) -> IntArray:
    """Return (N,) places 0, 1, … that are dealt at random among the rows of each kind, those that come last after all."""
    shuffled = random.permutation(len(kind))
    order = shuffled[np.lexsort((last[shuffled], kind[shuffled]))]
    sizes = np.bincount(kind)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    rank = np.empty(len(kind), dtype=np.int64)
    rank[order] = np.arange(len(kind)) - starts
    return rank


def _quotas(sizes: IntArray, rows: int, power: float) -> IntArray:
    """Return how many rows of each stratum stay: about `rows` together, at least 1 and at most all of each."""
    wanted = sizes.astype(np.float64) ** power
    low, high = 0.0, float(sizes.max()) / float(wanted.min())
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(wanted * middle, sizes).sum() < rows else (low, middle)
    exact = np.minimum(wanted * high, sizes)
    quota = np.floor(exact + 1e-9).astype(np.int64)
    spare = max(rows - int(quota.sum()), 0)
    most_missed = np.lexsort((np.arange(len(sizes)), quota - exact))[:spare]
    quota[most_missed] += 1
    return np.clip(quota, 1, sizes).astype(np.int64)


@dataclass(frozen=True, slots=True)
class PerLabel:
    """At least a number of positives of every label that has as many, rarest label and combination first.

    Labels are served in the order of their rarity, as iterative stratification does (Sechidis, Tsoumakas and
    Vlahavas 2011, "On the stratification of multi-label data"): what a row brings for other labels counts there,
    so that a common label is often full before its turn. Among a label's rows those of the rarest combination
    come first, equals in random order; rows of which something is unknown come after all that are known, and those of
    which nothing is known do not count as unflagged.

    Attributes:
        count: positives wanted of every label.
        counts: other numbers for labels by name, `label` or `target/label`.
        unflagged: rows wanted in which no label holds; None takes `count`.
    """

    name: ClassVar[str] = "per_label"
    random: ClassVar[bool] = True
    count: int
    counts: dict[str, int] | None = None
    unflagged: int | None = None

    def __post_init__(self) -> None:
        numbers = [self.count, self.unflagged or 0, *(self.counts or {}).values()]
        if min(numbers) < 0:
            raise UsageError(f"a count is {min(numbers)}, expected numbers of rows")

    def choose(self, part: Part, context: Context) -> Choice:
        """Return the chosen rows in their old order."""
        columns = context.flaggable()
        positive = context.positive(part.values)[:, columns]
        unknown = np.isnan(part.values[:, columns])
        wanted = self._wanted(columns, context)
        kind = combinations(part.values, context)
        # What is known first, then the rarest combination, then chance: one order for all labels.
        chance = context.random.permutation(len(part))
        order = np.lexsort((chance, np.bincount(kind)[kind], unknown.sum(axis=1)))
        chosen = np.zeros(len(part), dtype=bool)
        for place in np.argsort(positive.sum(axis=0), kind="stable").tolist():
            having = order[positive[order, place]]
            missing = wanted[int(columns[place])] - int(chosen[having].sum())
            chosen[having[~chosen[having]][: max(missing, 0)]] = True
        flagged: BoolArray = np.asarray(positive.any(axis=1))
        nothing: BoolArray = np.asarray(unknown.all(axis=1))
        none = order[~flagged[order] & ~nothing[order]]
        chosen[none[: self.count if self.unflagged is None else self.unflagged]] = True
        why = {
            "its labels are full": int(np.count_nonzero(~chosen & flagged)),
            "no label holds": int(np.count_nonzero(~chosen & ~flagged & ~nothing)),
            "no label is known": int(np.count_nonzero(~chosen & nothing)),
        }
        return Choice(np.flatnonzero(chosen).astype(np.int64), {key: n for key, n in why.items() if n})

    def _wanted(self, columns: IntArray, context: Context) -> dict[int, int]:
        """Return how many positives each column wants; raises UsageError for a label that is no flag."""
        wanted = dict.fromkeys(columns.tolist(), self.count)
        for label, number in (self.counts or {}).items():
            column = column_of(label, context)
            if column not in wanted:
                raise UsageError(
                    f"counts names '{label}', a negative label",
                    remedy=f"rows without a flag are wanted by unflagged = {number}",
                )
            wanted[column] = number
        return wanted
