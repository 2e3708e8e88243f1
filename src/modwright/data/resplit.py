"""Splits a dataset's training rows into parts: whole groups, labels spread evenly, other splits untouched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modwright.data.columnar import pl
from modwright.data.dataset import (
    Dataset,
    content_keys,
    groups,
    holds,
    labels,
    make_dataset,
    read_dataset,
    write_dataset,
)
from modwright.data.options import DEFAULT_FRACTIONS, TRAIN
from modwright.data.split import merge_groups, split_groups
from modwright.data.summary import ImportSummary, summarise
from modwright.errors import DataError, UsageError, nearest


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """Everything `split_dataset` needs.

    Attributes:
        source: folder of a dataset; its split `train` (or its only one) is dealt out.
        out: folder of the new dataset.
        fractions: part to its share of the rows.
        seed: same seed, same parts.
        group: column whose equal values must stay together, beside prompts and duplicates.
        replace: whether another dataset in `out` may be replaced.
    """

    source: Path
    out: Path
    fractions: Mapping[str, float]
    seed: int = 0
    group: str | None = None
    replace: bool = False


def parse_fractions(text: str) -> dict[str, float]:
    """Read `train=0.8,test=0.2`; raises UsageError."""
    fractions: dict[str, float] = {}
    for part in text.split(","):
        name, equals, share = part.strip().partition("=")
        try:
            if not equals or not name or name in fractions:
                raise ValueError
            fractions[name] = float(share)
        except ValueError:
            raise UsageError(
                f"--fractions holds {part!r}, expected NAME=SHARE, each name once",
                remedy=f"such as --fractions {DEFAULT_FRACTIONS}",
            ) from None
    return fractions


def split_dataset(options: SplitOptions) -> ImportSummary:
    """Write a dataset whose training rows are dealt into parts; raises as `resplit`, `write_dataset` do."""
    before = read_dataset(options.source)
    dataset = resplit(before, options.fractions, options.seed, options.group)
    unchanged = holds(options.out, dataset.id)
    write_dataset(dataset, options.out, replace=options.replace)
    kept = [name for name in dataset.splits if name not in options.fractions]
    notes = [f"the split '{name}' is kept as it was" for name in kept]
    return summarise(dataset, notes, str(options.out), "unchanged" if unchanged else "written")


def resplit(dataset: Dataset, fractions: Mapping[str, float], seed: int, group: str | None = None) -> Dataset:
    """Deal the rows of the split `train` (or of the only one) into parts; the other splits are kept.

    Rows of one prompt or conversation, exact duplicates (white space and case aside) and rows with the same
    value in `group` stay together.

    Raises:
        DataError: a part would be empty, or there are no training rows.
        UsageError: fractions that make no sense, a part that is a split already, an unknown column.
    """
    name = next(iter(dataset.splits)) if len(dataset.splits) == 1 else TRAIN
    if name not in dataset.splits:
        raise DataError(f"found the splits {', '.join(dataset.splits)}, expected one called '{TRAIN}'")
    for part in fractions:
        if part in dataset.splits and part != name:
            raise UsageError(
                f"the dataset already has a split '{part}'",
                remedy="give the parts other names with --fractions",
            )
    frame = dataset.splits[name]
    values = np.concatenate([labels(frame, target) for target in dataset.schema.targets], axis=1)
    parts = split_groups(_row_groups(frame, group), values, fractions, seed)
    for part, rows in parts.items():
        if not len(rows):
            raise DataError(
                f"the part '{part}' would be empty: {len(frame)} rows do not make enough groups",
                remedy="give it a larger share, or fewer parts",
            )
    splits = {part: frame[rows] for part, rows in parts.items()}
    splits |= {other: kept for other, kept in dataset.splits.items() if other != name}
    step = {"step": "split", "fractions": dict(fractions), "seed": seed, "group": group, "from": dataset.id}
    steps = [*dataset.provenance.get("steps", []), step]
    return make_dataset(dataset.schema, splits, {**dataset.provenance, "steps": steps})


def _row_groups(frame: pl.DataFrame, column: str | None) -> list[str]:
    own = groups(frame)
    if column is None:
        return own
    if column not in frame.columns:
        raise UsageError(
            f"--group names '{column}', which is not a column", remedy=nearest(column, frame.columns)
        )
    values = frame[column].cast(pl.String).to_list()
    pairs = zip(values, content_keys(frame), strict=True)
    return merge_groups(
        own, [f"content-{key}" if value is None else f"value-{value}" for value, key in pairs]
    )
