"""The rows of a split while they are curated: chosen rows of a store, in an order, and what is known of them.

Steps decide on labels, weights and on what they compute from texts chunk by chunk; the texts themselves stay in
the store, which may be a frame in memory or files on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modwright.data.columnar import pl
from modwright.schema import FloatArray, IntArray

_CHUNK_ROWS = 100_000


class Store(Protocol):
    """Rows that lie somewhere, in a fixed order."""

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield all rows in order, chunk by chunk, at least with the columns text, messages and group."""
        ...


@dataclass(frozen=True, slots=True)
class MemoryStore:
    """A frame in memory."""

    frame: pl.DataFrame

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield slices of the frame."""
        yield from self.frame.iter_slices(_CHUNK_ROWS)


@dataclass(frozen=True, slots=True)
class Part:
    """A split on its way.

    Attributes:
        store: where the rows lie.
        rows: (N,) numbers of the chosen rows in the store, in the order they shall have.
        values: (N, L) labels of all targets in schema order, 0..1, NaN unknown.
        weights: (N,) row weights.
        groups: (N,) keys of rows that a split held together for more than their own group or content; empty where
            what the store says holds. None: nowhere.
    """

    store: Store
    rows: IntArray
    values: FloatArray
    weights: FloatArray
    groups: NDArray[np.bytes_] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def group_column(self, positions: IntArray) -> pl.Expr:
        """Return the column `group` of some rows' frames."""
        if self.groups is None:
            return pl.col("group")
        held = pl.Series("held", self.groups[positions].astype(str)).replace("", None)
        return pl.coalesce(pl.lit(held), pl.col("group")).alias("group")

    def compute(self, function: Callable[[pl.DataFrame], NDArray[Any]]) -> NDArray[Any]:
        """Return what a function of frames gives for every row, (N, ...); it sees one chunk at a time."""
        found = [function(frame) for frame in self._in_store_order()]
        if not found:
            return np.zeros(0)
        stored = np.concatenate(found)
        result = np.empty_like(stored)
        result[np.argsort(self.rows, kind="stable")] = stored
        return result

    def take(self, positions: IntArray) -> pl.DataFrame:
        """Return the frame of some of the rows, in the order of `positions`."""
        chosen = Part(self.store, self.rows[positions], np.zeros((0, 0)), np.zeros(0))
        frames = list(chosen._in_store_order())
        if not frames:
            return pl.DataFrame()
        back = np.empty(len(positions), dtype=np.int64)
        back[np.argsort(chosen.rows, kind="stable")] = np.arange(len(positions))
        return pl.concat(frames)[back]

    def _in_store_order(self) -> Iterator[pl.DataFrame]:
        """Yield the chosen rows chunk by chunk, in the order of the store."""
        wanted, start = np.sort(self.rows), 0
        for frame in self.store.frames():
            low, high = np.searchsorted(wanted, [start, start + len(frame)])
            if high > low:
                whole = high - low == len(frame)
                yield frame if whole else frame[wanted[low:high] - start]
            start += len(frame)
