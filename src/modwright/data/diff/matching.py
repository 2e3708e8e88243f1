"""Which row of one dataset is which of the other: by id and input, then by input, then by id. Joins, no loops.

Rows of the same input and labels pair before any others: a duplicate that goes leaves the others as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modwright.data.columnar import pl
from modwright.schema import BoolArray, IntArray

_PASSES = (
    ("split", "id", "input", "labels"),
    ("id", "input", "labels"),
    ("split", "input", "labels"),
    ("input", "labels"),
    ("split", "id", "input"),
    ("id", "input"),
    ("split", "input"),
    ("input",),
    ("id",),
)


@dataclass(frozen=True, slots=True)
class Matches:
    """Pairs of rows; a row's number counts through all splits of its dataset.

    Attributes:
        before, after: (N,) row numbers of the pairs, by the earlier one.
        renumbered: (N,) whether the inputs are the same and the ids are not.
        edited: (N,) whether the ids are the same and the inputs are not.
        removed, added: rows without a partner.
    """

    before: IntArray
    after: IntArray
    renumbered: BoolArray
    edited: BoolArray
    removed: IntArray
    added: IntArray


def match_rows(
    before: Mapping[str, pl.DataFrame], after: Mapping[str, pl.DataFrame], labels: Sequence[str] = ()
) -> Matches:
    """Pair the rows of two datasets; equal candidates pair in their order, those of one split first.

    Ids, inputs and labels are compared by 64-bit hashes.

    Args:
        before, after: split to rows.
        labels: the label columns that both have.
    """
    names = {name: place for place, name in enumerate(dict.fromkeys([*before, *after]))}
    left, right = (_keys(side, names, labels) for side in (before, after))
    found = []
    for keys in _PASSES:
        pairs = _joined(left, right, keys)
        if len(pairs):
            renumbered, edited = pl.lit("id" not in keys), pl.lit("input" not in keys)
            found.append(pairs.with_columns(renumbered=renumbered, edited=edited))
            left = left.join(pairs, left_on="row", right_on="before", how="anti")
            right = right.join(pairs, left_on="row", right_on="after", how="anti")
        if not len(left) or not len(right):
            break
    types = {"before": pl.Int64, "after": pl.Int64, "renumbered": pl.Boolean, "edited": pl.Boolean}
    pairs = pl.concat([pl.DataFrame(schema=types), *found]).sort("before")
    return Matches(
        pairs["before"].to_numpy(),
        pairs["after"].to_numpy(),
        pairs["renumbered"].to_numpy(),
        pairs["edited"].to_numpy(),
        left["row"].sort().to_numpy(),
        right["row"].sort().to_numpy(),
    )


def _keys(
    splits: Mapping[str, pl.DataFrame], names: Mapping[str, int], labels: Sequence[str]
) -> pl.DataFrame:
    """Return row, split, and the hashes of id, input and labels."""
    parts = [
        pl.DataFrame(
            {
                "split": np.full(len(frame), names[name], dtype=np.int64),
                "id": frame["id"].hash(),
                "input": input_hashes(frame),
                "labels": frame.select(labels).hash_rows() if labels else np.zeros(len(frame), np.uint64),
            }
        )
        for name, frame in splits.items()
    ]
    return pl.concat(parts).with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))


def input_hashes(frame: pl.DataFrame) -> pl.Series:
    """Return (N,) 64-bit hashes of what is judged, to the letter."""
    texts = frame["text"].hash()
    held = frame["messages"].is_not_null()
    if not held.any():
        return texts
    turns = frame.select(
        turns=pl.struct(pl.when(held).then(pl.col("messages")).alias("m")).struct.json_encode()
    ).to_series()
    return texts.zip_with(~held, turns.hash())


def _joined(left: pl.DataFrame, right: pl.DataFrame, keys: tuple[str, ...]) -> pl.DataFrame:
    """Return pairs whose keys are equal, the n-th of one with the n-th of the other."""
    one, other = (_numbered(rows, keys) for rows in (left, right))
    pairs = one.join(other, on=[*keys, "n"], how="inner", suffix="_after")
    return pairs.select(before="row", after="row_after")


def _numbered(rows: pl.DataFrame, keys: tuple[str, ...]) -> pl.DataFrame:
    rows = rows.select("row", *keys)
    if rows.select(pl.struct(keys).is_duplicated().any()).item():
        return rows.with_columns(n=pl.int_range(pl.len(), dtype=pl.Int64).over(keys))
    return rows.with_columns(n=pl.lit(0, pl.Int64))
