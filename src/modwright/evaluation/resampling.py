"""The bootstrap: how often each resample draws each row, and the interval that its values span."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from modwright.errors import UsageError
from modwright.evaluation.cuts import resampled_counts
from modwright.schema import FloatArray, check_keys, checked_count, checked_number

#: Share of the resampled values that an interval holds.
LEVEL = 0.95
RESAMPLES = 1000
SEED = 0
#: An interval is given only where at least this share of the resamples have a value.
_MIN_DEFINED = 0.5
#: Resamples handled at once hold at most this many counts, so that memory stays small and arrays in cache.
_CHUNK_COUNTS = 500_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A measured value, the bootstrap interval around it, and the rows it rests on.

    Attributes:
        value: None where it is not defined, such as recall without positives.
        low, high: None where too few resamples have a value.
        n: number of known rows.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    @classmethod
    def of(cls, value: float, resampled: FloatArray, n: int) -> Interval:
        """Take the percentile interval of resampled values (R,); NaN stands for undefined."""
        defined = resampled[~np.isnan(resampled)]
        if np.isnan(value):
            return cls(None, None, None, n)
        if not len(defined) or len(defined) < _MIN_DEFINED * len(resampled):
            return cls(float(value), None, None, n)
        low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return cls(float(value), float(low), float(high), n)

    def to_json(self) -> dict[str, float | int | None]:
        """Return value, low, high and n; undefined ones are null."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str = "interval") -> Self:
        """Rebuild from `to_json` data; raises SchemaError for other keys or types."""
        check_keys(data, {"value", "low", "high", "n"}, where)
        value, low, high = (
            None if data[name] is None else checked_number(data[name], name, where)
            for name in ("value", "low", "high")
        )
        return cls(value, low, high, checked_count(data["n"], "n", where))


@dataclass(frozen=True, slots=True)
class Resampler:
    """Draws bootstrap resamples of N rows, or of the groups they belong to (a cluster bootstrap).

    Rows of one prompt or conversation resemble each other; drawing their groups as wholes keeps an interval
    from taking them for independent evidence.
    """

    rows: int
    groups: Sequence[str] | None = None
    resamples: int = RESAMPLES
    seed: int = SEED

    def __post_init__(self) -> None:
        if self.groups is not None and len(self.groups) != self.rows:
            raise UsageError(f"found {len(self.groups)} groups for {self.rows} rows, expected one per row")
        if self.resamples < 0:
            raise UsageError(f"resamples is {self.resamples}, expected 0 or more")

    @property
    def units(self) -> int:
        """Return how many things are drawn: distinct groups, or rows."""
        return self.rows if self.groups is None else len(set(self.groups))

    def counts(self) -> Iterator[FloatArray]:
        """Yield counts (r, N), a bounded number of resamples at a time, the same for the same seed."""
        rng, units = np.random.default_rng(self.seed), self.units
        member = None if self.groups is None else np.unique(np.asarray(self.groups), return_inverse=True)[1]
        chunk = max(1, _CHUNK_COUNTS // max(1, self.rows))
        for begin in range(0, self.resamples if self.rows else 0, chunk):
            drawn = resampled_counts(rng, units, min(chunk, self.resamples - begin))
            yield drawn if member is None else drawn[:, member]
