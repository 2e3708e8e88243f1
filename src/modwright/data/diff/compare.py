"""Compares two datasets."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from modwright.data.assemble import label_column
from modwright.data.columnar import pl
from modwright.data.dataset import Dataset
from modwright.data.diff.matching import Matches, match_rows
from modwright.data.diff.results import DatasetDiff, LabelChange, Rate, RowChanges
from modwright.data.tables import INPUT_COLUMNS
from modwright.schema import BoolArray, FloatArray, Schema, Target


class _Side:
    """One dataset, its splits' columns end to end."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.frames = list(dataset.splits.values())
        self.names = list(dataset.splits)
        self.ends = np.cumsum([len(frame) for frame in self.frames])
        known = {*INPUT_COLUMNS, *label_names(dataset.schema)}
        self.types = {
            name: str(dtype)
            for frame in self.frames
            for name, dtype in frame.schema.items()
            if name not in known
        }

    def column(self, name: str) -> pl.Series:
        """Return (N,) values of a column, null in splits without it."""
        parts = [
            frame[name] if name in frame.columns else pl.Series(name, [None] * len(frame))
            for frame in self.frames
        ]
        types = {part.dtype for part in parts} - {pl.Null}
        dtype = next(iter(types)) if len(types) == 1 else pl.String
        return pl.concat([part.cast(dtype) for part in parts])

    def values(self, name: str) -> FloatArray:
        """Return (N,) numbers, NaN unknown."""
        return self.column(name).cast(pl.Float64).fill_null(np.nan).to_numpy()

    def splits_of(self, rows: Any) -> Any:
        """Return (M,) the place of the split of each row."""
        return np.searchsorted(self.ends, rows, side="right")


def diff_datasets(before: Dataset, after: Dataset, show: int = 0) -> DatasetDiff:
    """Say what changed from one dataset to another, by joins over columns.

    Args:
        before: the earlier one.
        after: the later one.
        show: rows to give as examples of every kind of change; ids and label values, never texts.
    """
    one, other = _Side(before), _Side(after)
    shared = [name for name in label_names(before.schema) if name in label_names(after.schema)]
    matches = match_rows(before.splits, after.splits, shared)
    labels, touched = _label_changes(one, other, matches)
    rows = _row_changes(one, other, matches, touched)
    return DatasetDiff(
        before=before.id,
        after=after.id,
        schema=(*_schema_changes(before.schema, after.schema), *_renamed(one, other, matches)),
        columns=_column_changes(one, other),
        rows=rows,
        labels=labels,
        sources=_sources(before, after),
        steps=_steps(before, after),
        examples=_examples(one, other, matches, touched, show) if show else {},
    )


def label_names(schema: Schema) -> list[str]:
    """Return the label columns of a schema."""
    return [label_column(target, label) for target in schema.targets for label in target.labels]


def _schema_changes(before: Schema, after: Schema) -> list[str]:
    words = [f"target '{name}' is gone" for name in before.names if name not in after.names]
    words += [f"target '{name}' is new" for name in after.names if name not in before.names]
    common = [name for name in before.names if name in after.names]
    if common != [name for name in after.names if name in before.names]:
        words.append(f"the targets are in another order: {', '.join(after.names)}")
    for name in common:
        words += [
            f"target '{name}': {word}" for word in _target_changes(before.target(name), after.target(name))
        ]
    if before.positive_above != after.positive_above:
        words.append(f"a label holds above {after.positive_above:g}, before above {before.positive_above:g}")
    return words


def _target_changes(before: Target, after: Target) -> list[str]:
    words = [f"label '{label}' is gone" for label in before.labels if label not in after.labels]
    words += [f"label '{label}' is new" for label in after.labels if label not in before.labels]
    kept = [label for label in after.labels if label in before.labels]
    if kept != [label for label in before.labels if label in after.labels]:
        words.append(f"the labels are in another order: {', '.join(after.labels)}")
    if before.kind is not after.kind:
        words.append(f"is {after.kind}, was {before.kind}")
    if set(before.negative_labels) != set(after.negative_labels):
        shown = [", ".join(target.negative_labels) or "none" for target in (after, before)]
        words.append(f"the negative labels are {shown[0]}, were {shown[1]}")
    return words


def _renamed(one: _Side, other: _Side, matches: Matches) -> list[str]:
    """Say which label that is gone has, row for row, the values of one that is new."""
    words = []
    for target in one.dataset.schema.targets:
        if target.name not in other.dataset.schema.names or not len(matches.before):
            continue
        later = other.dataset.schema.target(target.name)
        new = {
            label: other.values(label_column(later, label))[matches.after]
            for label in later.labels
            if label not in target.labels
        }
        for label in target.labels:
            if label in later.labels or not new:
                continue
            values = one.values(label_column(target, label))[matches.before]
            alike = [name for name, found in new.items() if np.array_equal(values, found, equal_nan=True)]
            if len(alike) == 1 and np.nansum(values) > 0:
                words.append(f"target '{target.name}': label '{label}' seems to be called '{alike[0]}' now")
    return words


def _column_changes(one: _Side, other: _Side) -> tuple[str, ...]:
    words = [f"column '{name}' is gone" for name in one.types if name not in other.types]
    words += [f"column '{name}' is new" for name in other.types if name not in one.types]
    words += [
        f"column '{name}' holds {other.types[name]}, held {dtype}"
        for name, dtype in one.types.items()
        if name in other.types and other.types[name] != dtype
    ]
    common = [
        [name for name in side.types if name in one.types and name in other.types] for side in (one, other)
    ]
    if common[0] != common[1]:
        words.append("the other columns are in another order")
    return tuple(words)


def _label_changes(one: _Side, other: _Side, matches: Matches) -> tuple[tuple[LabelChange, ...], BoolArray]:
    """Return the changes of every label, and (N,) which pairs have any."""
    touched = np.zeros(len(matches.before), dtype=bool)
    schemas = [side.dataset.schema for side in (other, one)]
    pairs = dict.fromkeys(
        (target.name, label) for schema in schemas for target in schema.targets for label in target.labels
    )
    changes = []
    for target, label in pairs:
        name = f"{target}/{label}"
        there = [name in label_names(side.dataset.schema) for side in (one, other)]
        values = [side.values(name) if held else None for side, held in zip((one, other), there, strict=True)]
        rates = [
            {} if found is None else _rates(side, found)
            for side, found in zip((one, other), values, strict=True)
        ]
        counts = (0, 0, 0, 0, 0)
        if values[0] is not None and values[1] is not None:
            bounds = one.dataset.schema.positive_above, other.dataset.schema.positive_above
            counts, changed = _changes(values[0][matches.before], values[1][matches.after], bounds)
            touched |= changed
        changes.append(LabelChange(target, label, *counts, before=rates[0], after=rates[1]))
    return tuple(changes), touched


def _changes(
    before: FloatArray, after: FloatArray, bounds: tuple[float, float]
) -> tuple[tuple[int, int, int, int, int], BoolArray]:
    """Return rows turned on, off, shifted, learned, forgotten; and (N,) which changed at all."""
    known = ~np.isnan(before), ~np.isnan(after)
    both = known[0] & known[1]
    with np.errstate(invalid="ignore"):
        held = before > bounds[0], after > bounds[1]
        on, off = both & ~held[0] & held[1], both & held[0] & ~held[1]
        shifted = both & (before != after) & (held[0] == held[1])
    learned, forgotten = ~known[0] & known[1], known[0] & ~known[1]
    kinds = (on, off, shifted, learned, forgotten)
    counted = tuple(int(kind.sum()) for kind in kinds)
    return (counted[0], counted[1], counted[2], counted[3], counted[4]), np.logical_or.reduce(kinds)


def _rates(side: _Side, values: FloatArray) -> dict[str, Rate]:
    bound = side.dataset.schema.positive_above
    parts = np.split(values, side.ends[:-1])
    return {
        name: Rate(int((part > bound).sum()), int((~np.isnan(part)).sum()))
        for name, part in zip(side.names, parts, strict=True)
    }


def _row_changes(one: _Side, other: _Side, matches: Matches, touched: BoolArray) -> RowChanges:
    from_split, to_split = one.splits_of(matches.before), other.splits_of(matches.after)
    places = {name: place for place, name in enumerate(other.names)}
    translated = np.array([places.get(name, -1) for name in one.names], dtype=np.int64)
    stays = translated[from_split] == to_split
    common = [name for name in one.types if name in other.types]
    columns = {name: int(_differs(one, other, matches, name).sum()) for name in common}
    return RowChanges(
        before={name: len(frame) for name, frame in one.dataset.splits.items()},
        after={name: len(frame) for name, frame in other.dataset.splits.items()},
        same=int((~matches.renumbered & ~matches.edited).sum()),
        added=_counted(other, matches.added),
        removed=_counted(one, matches.removed),
        moved=_moved(one, other, from_split[~stays], to_split[~stays]),
        renumbered=int(matches.renumbered.sum()),
        edited=int(matches.edited.sum()),
        relabelled=int(touched.sum()),
        reweighted=int(_differs(one, other, matches, "weight").sum()),
        regrouped=int(_differs(one, other, matches, "group").sum()),
        columns={name: rows for name, rows in columns.items() if rows},
        reordered=tuple(
            name
            for place, name in enumerate(one.names)
            if bool(np.any(np.diff(matches.after[stays & (from_split == place)]) < 0))
        ),
    )


def _counted(side: _Side, rows: Any) -> dict[str, int]:
    counts = np.bincount(side.splits_of(rows), minlength=len(side.names)).tolist()
    return {name: count for name, count in zip(side.names, counts, strict=True) if count}


def _moved(one: _Side, other: _Side, from_split: Any, to_split: Any) -> dict[tuple[str, str], int]:
    pairs, counts = np.unique(np.stack([from_split, to_split]), axis=1, return_counts=True)
    return {
        (one.names[start], other.names[end]): count
        for (start, end), count in zip(pairs.T.tolist(), counts.tolist(), strict=True)
    }


def _differs(one: _Side, other: _Side, matches: Matches, name: str) -> BoolArray:
    """Return (N,) which pairs have another value in a column."""
    before, after = one.column(name), other.column(name)
    if before.dtype != after.dtype:
        before, after = before.cast(pl.String), after.cast(pl.String)
    return before.gather(matches.before).ne_missing(after.gather(matches.after)).to_numpy()


def _sources(before: Dataset, after: Dataset) -> tuple[str, ...]:
    """Say which files only one of the two was made from, told apart by their bytes."""
    known = [
        {(source.get("split"), source.get("sha256")): source for source in side.provenance.get("sources", [])}
        for side in (before, after)
    ]
    words = [f"no longer from {_source(source)}" for key, source in known[0].items() if key not in known[1]]
    return tuple(
        words + [f"now from {_source(source)}" for key, source in known[1].items() if key not in known[0]]
    )


def _source(source: dict[str, Any]) -> str:
    return f"{source.get('file')} ({source.get('split')}, {source.get('rows', 0):,} rows)"


def _steps(before: Dataset, after: Dataset) -> tuple[str, ...]:
    """Say which steps follow those that both have gone through."""
    one, other = (side.provenance.get("steps", []) for side in (before, after))
    common = 0
    while common < min(len(one), len(other)) and one[common] == other[common]:
        common += 1
    words = [f"without the step {_step(step)}" for step in one[common:]]
    return tuple(words + [f"with the step {_step(step)}" for step in other[common:]])


def _step(step: dict[str, Any]) -> str:
    """Name a step with its plain parameters."""
    shown = {
        key: value
        for key, value in step.items()
        if key != "step" and isinstance(value, str | int | float | bool)
    }
    return " ".join([str(step.get("step")), *(f"{key}={json.dumps(value)}" for key, value in shown.items())])


def _examples(
    one: _Side, other: _Side, matches: Matches, touched: BoolArray, show: int
) -> dict[str, list[dict[str, Any]]]:
    """Return a few rows of every kind of change."""
    names = [np.array(side.names, dtype=object) for side in (one, other)]
    moved = names[0][one.splits_of(matches.before)] != names[1][other.splits_of(matches.after)]
    kinds: dict[str, BoolArray] = {
        "relabelled": touched,
        "moved": moved,
        "renumbered": matches.renumbered,
        "edited": matches.edited,
    }
    found = {
        kind: [_pair(one, other, matches, int(at)) for at in np.flatnonzero(which)[:show]]
        for kind, which in kinds.items()
    }
    found["removed"] = [{"before": _shown(one, int(row))} for row in matches.removed[:show]]
    found["added"] = [{"after": _shown(other, int(row))} for row in matches.added[:show]]
    return {kind: rows for kind, rows in found.items() if rows}


def _pair(one: _Side, other: _Side, matches: Matches, at: int) -> dict[str, Any]:
    return {
        "before": _shown(one, int(matches.before[at])),
        "after": _shown(other, int(matches.after[at])),
    }


def _shown(side: _Side, row: int) -> dict[str, Any]:
    """Return a row's id, split and known labels."""
    place = int(side.splits_of(row))
    frame = side.frames[place]
    within = row - (int(side.ends[place - 1]) if place else 0)
    record = frame.select("id", *label_names(side.dataset.schema)).row(within, named=True)
    identity = record.pop("id")
    return {
        "id": identity,
        "split": side.names[place],
        "labels": {name: value for name, value in record.items() if value is not None},
    }
