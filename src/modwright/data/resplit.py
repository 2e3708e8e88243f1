"""Splits a dataset's training rows into parts: whole groups, labels spread evenly, other splits untouched."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modwright.data.columnar import pl
from modwright.data.curate.curating import draft_of, finished
from modwright.data.curate.duplicates import near_groups
from modwright.data.curate.part import Part
from modwright.data.curate.running import chosen
from modwright.data.dataset import (
    Dataset,
    content_keys,
    groups,
    make_dataset,
    read_dataset,
    store_dataset,
)
from modwright.data.near import Likeness
from modwright.data.options import DEFAULT_FRACTIONS, TRAIN
from modwright.data.split import joined_groups, split_groups
from modwright.data.summary import ImportSummary, summarise
from modwright.errors import DataError, UsageError, nearest
from modwright.schema import IntArray


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
        near: near-duplicates stay together, too: least Jaccard similarity of their shingles; None looks for none.
    """

    source: Path
    out: Path
    fractions: Mapping[str, float]
    seed: int = 0
    group: str | None = None
    replace: bool = False
    near: float | None = None


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
    """Write a dataset whose training rows are dealt into parts; raises as `resplit`, `store_dataset` do."""
    before = read_dataset(options.source)
    dataset = resplit(before, options.fractions, options.seed, options.group, options.near)
    unchanged = store_dataset(dataset, options.out, replace=options.replace)
    kept = [name for name in dataset.splits if name not in options.fractions]
    notes = [f"the split '{name}' is kept as it was" for name in kept]
    return summarise(dataset, notes, str(options.out), "unchanged" if unchanged else "written")


def resplit(
    dataset: Dataset,
    fractions: Mapping[str, float],
    seed: int,
    group: str | None = None,
    near: float | None = None,
) -> Dataset:
    """Deal the rows of the split `train` (or of the only one) into parts; the other splits are kept.

    Rows of one prompt or conversation, exact duplicates (white space and case aside), near-duplicates where asked
    for, and rows with the same value in `group` stay together, over any chain. What was held together for more than its
    own group or content has one `group` from then on: in folds, intervals and further splits, too.

    Raises:
        DataError: a part would be empty, or there are no training rows.
        UsageError: fractions that make no sense, a part that is a split already, an unknown column.
    """
    name = dealt_split(tuple(dataset.splits), fractions)
    frame = dataset.splits[name]
    part = draft_of(dataset).parts[name]
    parts = deal_part(part, fractions, seed, group, near)
    schema = dataset.schema
    splits = {one: finished(frame[dealt.rows], dealt, schema, schema) for one, dealt in parts.items()}
    splits |= {other: kept for other, kept in dataset.splits.items() if other != name}
    step = {**split_step(fractions, seed, group, near), "from": dataset.id}
    steps = [*dataset.provenance.get("steps", []), step]
    return make_dataset(dataset.schema, splits, {**dataset.provenance, "steps": steps})


def split_step(
    fractions: Mapping[str, float], seed: int, group: str | None, near: float | None
) -> dict[str, Any]:
    """Return what the provenance says of a split."""
    step = {"step": "split", "fractions": dict(fractions), "seed": seed, "group": group}
    return {**step, "near": near} if near is not None else step


def dealt_split(splits: Sequence[str], fractions: Mapping[str, float]) -> str:
    """Return the split whose rows are dealt out: `train`, or the only one.

    Raises:
        DataError: there is none.
        UsageError: a part would have the name of a split that is kept.
    """
    name = splits[0] if len(splits) == 1 else TRAIN
    if name not in splits:
        raise DataError(f"found the splits {', '.join(splits)}, expected one called '{TRAIN}'")
    for part in fractions:
        if part in splits and part != name:
            raise UsageError(
                f"the dataset already has a split '{part}'",
                remedy="give the parts other names with --fractions",
            )
    return name


def deal_part(
    part: Part, fractions: Mapping[str, float], seed: int, group: str | None, near: float | None
) -> dict[str, Part]:
    """Return part names to their rows, in order; rows that belong together stay together, labels spread evenly.

    Raises:
        DataError: a part would be empty.
        UsageError: as `resplit` does.
    """
    if not len(part):
        raise DataError("found no row to deal out", remedy="give a dataset whose training split has rows")
    own, joined = _row_groups(part, group, near)
    part = dataclasses.replace(part, groups=_lasting(own, joined))
    parts = split_groups(joined.tolist(), part.values, fractions, seed)
    for name, rows in parts.items():
        if not len(rows):
            raise DataError(
                f"the part '{name}' would be empty: {len(part)} rows do not make enough groups",
                remedy="give it a larger share, or fewer parts",
            )
    return {name: chosen(part, rows) for name, rows in parts.items()}


def _lasting(own: NDArray[np.bytes_], joined: IntArray) -> NDArray[np.bytes_]:
    """Return (N,) the least key of its own among the rows a row was joined with; empty where all have the same."""
    order = np.lexsort((own, joined))
    begins = np.flatnonzero(np.append(True, joined[order][1:] != joined[order][:-1])[: len(order)])
    least, most = own[order][begins], own[order][np.append(begins[1:], len(order)) - 1]
    sizes = np.diff(np.append(begins, len(order)))
    result = np.empty_like(own)
    result[order] = np.repeat(np.where(least == most, b"", least), sizes)
    return result


def _row_groups(part: Part, column: str | None, near: float | None) -> tuple[NDArray[np.bytes_], IntArray]:
    """Return (N,) the rows' own keys, of group or content, and (N,) numbers, equal where rows must stay together."""
    content = _numbered(part.compute(lambda frame: np.array(content_keys(frame), dtype="S16")))
    own = part.compute(lambda frame: np.array(groups(frame), dtype="S16"))
    joined = joined_groups(_numbered(own), content)
    if near is not None:
        joined = joined_groups(joined, near_groups(part, Likeness(near)))
    if column is not None:
        values = _numbered(part.compute(lambda frame: _values(frame, column)))
        alone = part.compute(lambda frame: (frame[column].cast(pl.String).fill_null("") == "").to_numpy())
        # A row without a value is held together with nothing but its own content.
        joined = joined_groups(joined, np.where(alone, int(values.max(initial=0)) + 1 + content, values))
    return own, joined


def _numbered(keys: NDArray[Any]) -> IntArray:
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def _values(frame: pl.DataFrame, column: str) -> NDArray[Any]:
    if column not in frame.columns:
        raise UsageError(
            f"--group names '{column}', which is not a column", remedy=nearest(column, frame.columns)
        )
    digests = [
        hashlib.sha256(value.encode()).digest()[:16] for value in frame[column].cast(pl.String).fill_null("")
    ]
    return np.array(digests, dtype="V16")
