"""A dataset in numbers: the shape of what `describe` returns."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from modwright.schema import Schema


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """A label's rows in a split.

    Attributes:
        label: its name.
        negative: whether it says "nothing wrong".
        positives, negatives, unknown: rows; they sum to the split's.
    """

    label: str
    negative: bool
    positives: int
    negatives: int
    unknown: int

    @property
    def prevalence(self) -> float | None:
        """Return the share of positives among the rows where it is known; None where none is."""
        known = self.positives + self.negatives
        return self.positives / known if known else None


@dataclass(frozen=True, slots=True)
class Combination:
    """Labels that hold together and alone, and in how many rows; no label means nothing flagged."""

    labels: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class TargetCounts:
    """A target in a split.

    Attributes:
        target, kind: as in the schema.
        labels: in schema order.
        flagged: rows with a label that is not negative.
        unflagged: rows without one of which something is known.
        unknown: rows of which nothing is known.
        together: (L, L) rows where both labels hold, in schema order.
        combinations: of all labels, the most frequent first; no more than `MOST_COMBINATIONS`. Rows of which
            nothing is known are of none.
        other_combinations: number of combinations, and rows, that the list leaves out.
    """

    target: str
    kind: str
    labels: tuple[LabelCounts, ...]
    flagged: int
    unflagged: int
    unknown: int
    together: tuple[tuple[int, ...], ...]
    combinations: tuple[Combination, ...]
    other_combinations: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long the judged texts of a split are.

    Attributes:
        unit: `characters` or `tokens`.
        measured: rows it was measured on: all, or a seeded sample.
        quantiles: name such as `median` to a length.
        mean: of the lengths.
        edges, counts: of the histogram; counts[k] rows lie in edges[k] <= length < edges[k + 1].
        over: rows longer than the base takes at once; None without a base.
    """

    unit: str
    measured: int
    quantiles: dict[str, float]
    mean: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    over: int | None = None


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """A split: its rows, its targets in schema order, and its lengths."""

    split: str
    rows: int
    conversations: int
    targets: tuple[TargetCounts, ...]
    lengths: tuple[Lengths, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """A dataset in numbers.

    Attributes:
        id: the dataset's.
        schema: its targets.
        splits: in the dataset's order.
        base: whose tokens were counted, None without.
        max_tokens: that the base takes at once.
    """

    id: str
    schema: Schema
    splits: tuple[SplitCounts, ...]
    base: str | None = None
    max_tokens: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the description as JSON-ready data."""
        data = dataclasses.asdict(self)
        data["schema"] = self.schema.to_json()
        for split, own in zip(data["splits"], self.splits, strict=True):
            for target, counts in zip(split["targets"], own.targets, strict=True):
                for label, found in zip(target["labels"], counts.labels, strict=True):
                    label["prevalence"] = found.prevalence
                left_out, rows = counts.other_combinations
                target["other_combinations"] = {"number": left_out, "rows": rows}
        return data
