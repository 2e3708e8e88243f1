"""Which rows of a split are taken: the first ones, or those that a buffered shuffle brings to the front."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modwright.errors import UsageError
from modwright.schema import IntArray

#: Rows that wait in a shuffle where nothing else is said, as in the library this follows.
DEFAULT_BUFFER = 1_000
_BATCH = 1_000  # random places drawn at once; the order depends on it


@dataclass(frozen=True, slots=True)
class Sampling:
    """A sample of a stream of rows.

    With a seed, the rows come in the very order of ``shuffle(seed, buffer_size)`` of a streamed data set in the
    library `datasets` (class BufferShuffledExamplesIterable of datasets/iterable_dataset.py, the same in versions 2.19
    to 5.0; 5.2 draws another order): a buffer is filled
    with the first rows; then each further row takes the place of a random one, which comes out; the rest of the
    buffer is shuffled at the end. That library shuffles the order of a data set's files as well; here the files
    stay in their order, so that the samples are the same where a split is one file.

    Attributes:
        seed: of the shuffle; None leaves the rows in their order.
        buffer: rows that wait in the shuffle; None takes 1,000.
        take: how many rows are taken; None takes all.
    """

    seed: int | None = None
    buffer: int | None = None
    take: int | None = None

    def __post_init__(self) -> None:
        if self.seed is not None and self.seed < 0:
            raise UsageError(f"--shuffle is {self.seed}, expected a seed of at least 0")
        if self.buffer is not None and self.buffer < 1:
            raise UsageError(f"--buffer is {self.buffer}, expected at least 1 row")
        if self.buffer is not None and self.seed is None:
            raise UsageError(
                "--buffer says how far a shuffle mixes, and there is none", remedy="give --shuffle SEED"
            )
        if self.take is not None and self.take < 1:
            raise UsageError(f"--take is {self.take}, expected at least 1 row")

    @property
    def buffer_rows(self) -> int:
        """Return how many rows wait in the shuffle; 0 without one."""
        return 0 if self.seed is None else self.buffer or DEFAULT_BUFFER

    @property
    def needed(self) -> int | None:
        """Return how many rows of the stream decide the sample; None for all of them."""
        return None if self.take is None else self.take + self.buffer_rows

    def order(self, rows: int) -> IntArray:
        """Return the (n,) row numbers that are taken, in their new order.

        Args:
            rows: length of the stream; a longer one than `needed` gives the same sample.
        """
        number = rows if self.take is None else min(self.take, rows)
        if self.seed is None:
            return np.arange(number, dtype=np.int64)
        return _shuffled(rows, self.buffer_rows, self.seed, number)


def _shuffled(rows: int, buffer: int, seed: int, number: int) -> IntArray:
    """Return the first row numbers that come out of a buffered shuffle."""
    rng = np.random.default_rng(seed)
    exchanged = max(min(rows - buffer, number), 0)
    # Drawn in batches and then cut, since what is drawn decides how the rest is shuffled.
    drawn = [rng.integers(0, buffer, size=_BATCH) for _ in range(-(-exchanged // _BATCH))]
    places = np.concatenate(drawn)[:exchanged].astype(np.int64) if drawn else np.zeros(0, dtype=np.int64)
    held = np.arange(min(rows, buffer), dtype=np.int64)
    out = places.copy()
    if exchanged:
        # What comes out of a place is the row that was last put there: at the place's visit before this one.
        narrow = places.astype(np.uint16 if buffer <= 1 << 16 else np.uint32)  # small numbers sort faster
        visits = np.argsort(narrow, kind="stable")
        again = np.flatnonzero(places[visits[1:]] == places[visits[:-1]])
        out[visits[again + 1]] = buffer + visits[again]
        last = np.append(np.flatnonzero(np.diff(places[visits])), exchanged - 1)
        held[places[visits[last]]] = buffer + visits[last]
    if exchanged < number:
        rng.shuffle(held)
        out = np.concatenate([out, held])
    taken: IntArray = out[:number]
    return taken
