"""Which row of one dataset is which of the other: by id and input, then by input, then by id. Joins, no loops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modwright.data.columnar import pl
from modwright.schema import BoolArray, IntArray

_KEYS = ("split", "id", "input")


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


def match_rows(before: Mapping[str, pl.DataFrame], after: Mapping[str, pl.DataFrame]) -> Matches:
    """Pair the rows of two datasets; equal candidates pair in their order, those of one split first.

    Ids and inputs are compared by 64-bit hashes.
    """
    names = {name: place for place, name in enumerate(dict.fromkeys([*before, *after]))}
    left, right = _keys(before, names), _keys(after, names)
    found = []
    for kind, keys in enumerate((_KEYS, ("id", "input"), ("split", "input"), ("input",), ("id",))):
        pairs = _joined(left, right, keys)
        if len(pairs):
            found.append(pairs.with_columns(kind=pl.lit(kind, pl.Int64)))
            left = left.join(pairs, left_on="row", right_on="before", how="anti")
            right = right.join(pairs, left_on="row", right_on="after", how="anti")
        if not len(left) or not len(right):
            break
    empty = pl.DataFrame(schema={"before": pl.Int64, "after": pl.Int64, "kind": pl.Int64})
    pairs = pl.concat([empty, *found]).sort("before")
    kinds = pairs["kind"].to_numpy()
    return Matches(
        pairs["before"].to_numpy(),
        pairs["after"].to_numpy(),
        (kinds == 2) | (kinds == 3),
        kinds == 4,
        left["row"].sort().to_numpy(),
        right["row"].sort().to_numpy(),
    )


def _keys(splits: Mapping[str, pl.DataFrame], names: Mapping[str, int]) -> pl.DataFrame:
    """Return row, split, and the hashes of id and input."""
    parts = [
        pl.DataFrame(
            {
                "split": np.full(len(frame), names[name], dtype=np.int64),
                "id": frame["id"].hash(),
                "input": input_hashes(frame),
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
