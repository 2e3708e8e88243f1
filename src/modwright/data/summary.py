"""What an import or a split made, counted: for people to check before they train."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modwright.data.dataset import Dataset, labels


@dataclass(frozen=True, slots=True)
class LabelCount:
    """A label's rows, by split.

    Attributes:
        label: its name.
        negative: whether it says "nothing wrong".
        positives: split to rows above 0.5.
        unknown: split to rows where nothing is known.
    """

    label: str
    negative: bool
    positives: dict[str, int]
    unknown: dict[str, int]


@dataclass(frozen=True, slots=True)
class TargetCount:
    """A target and its labels."""

    target: str
    kind: str
    labels: tuple[LabelCount, ...]


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What a dataset holds.

    Attributes:
        out: the folder.
        status: `written`, or `unchanged` where the identical dataset was there.
        id: hash of the content.
        rows: split to its number of rows.
        targets: in schema order.
        notes: what was accepted and may surprise.
    """

    out: str
    status: str
    id: str
    rows: dict[str, int]
    targets: tuple[TargetCount, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON-ready data."""
        return dataclasses.asdict(self)


def summarise(dataset: Dataset, notes: Sequence[str], out: str, status: str) -> ImportSummary:
    """Count a dataset's rows and positives."""
    targets = []
    for target in dataset.schema.targets:
        values = {split: labels(frame, target) for split, frame in dataset.splits.items()}
        positives = {
            split: (found > dataset.schema.positive_above).sum(axis=0) for split, found in values.items()
        }
        unknown = {split: np.isnan(found).sum(axis=0) for split, found in values.items()}
        counts = tuple(
            LabelCount(
                label,
                label in target.negative_labels,
                {split: int(found[place]) for split, found in positives.items()},
                {split: int(found[place]) for split, found in unknown.items()},
            )
            for place, label in enumerate(target.labels)
        )
        targets.append(TargetCount(target.name, str(target.kind), counts))
    rows = {split: len(frame) for split, frame in dataset.splits.items()}
    return ImportSummary(out, status, dataset.id, rows, tuple(targets), tuple(notes))
