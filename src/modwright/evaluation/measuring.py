"""Statistics of known rows under many weightings, and the collecting of their bootstrap values."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import numpy as np

from modwright.evaluation.binary import Metric, at_flags, weighted_sum
from modwright.evaluation.resampling import Interval
from modwright.schema import BoolArray, FloatArray


class Statistics(Protocol):
    """Named numbers of n rows; NaN where undefined."""

    def at(self) -> dict[str, float]:
        """Return them for the rows as they are."""
        ...

    def resampled(self, counts: FloatArray) -> dict[str, FloatArray]:
        """Return them, (R,), for bootstrap counts (R, n)."""
        ...


S = TypeVar("S", bound=Statistics)


class Bootstrapped(Generic[S]):
    """Statistics of the known rows of a split, and their values over the resamples taken so far.

    Args:
        known: (N,) which rows of the split the statistics are of.
        statistics: None where no row is known.
    """

    def __init__(self, known: BoolArray, statistics: S | None) -> None:
        self.known = known
        self.statistics = statistics
        self.values = {} if statistics is None else statistics.at()
        self._chunks: dict[str, list[FloatArray]] = {name: [] for name in self.values}

    @property
    def n(self) -> int:
        """Return the number of known rows."""
        return int(self.known.sum())

    def take(self, counts: FloatArray) -> None:
        """Add resamples, given as counts (R, N) over all rows of the split."""
        if self.statistics is not None:
            mine = counts if self.known.all() else counts[:, self.known]
            for name, values in self.statistics.resampled(mine).items():
                self._chunks[name].append(values)

    def resampled(self, name: str) -> FloatArray:
        """Return the values (R,) of one statistic over all resamples taken."""
        chunks = self._chunks.get(name)
        return np.concatenate(chunks) if chunks else np.full(0, np.nan)

    def interval(self, name: str) -> Interval:
        """Return one statistic with its interval."""
        return Interval.of(self.values.get(name, np.nan), self.resampled(name), self.n)


class RateStatistics:
    """How often something holds, (n,) with n at least 1; named ``rate``."""

    def __init__(self, holds: BoolArray) -> None:
        self._holds = holds

    def at(self) -> dict[str, float]:
        """Return the rate."""
        return {"rate": float(self._holds.mean())}

    def resampled(self, counts: FloatArray) -> dict[str, FloatArray]:
        """Return the rate per resample."""
        with np.errstate(invalid="ignore"):
            return {"rate": weighted_sum(counts, self._holds) / counts.sum(axis=1)}


class DecisionStatistics:
    """A yes-or-no decision against the truth, both (n,): f1, precision, recall, prevalence and accuracy."""

    names = (Metric.F1, Metric.PRECISION, Metric.RECALL, Metric.PREVALENCE, "accuracy")

    def __init__(self, flagged: BoolArray, positives: BoolArray) -> None:
        self.flagged = flagged
        self.positives = positives

    def at(self) -> dict[str, float]:
        """Return every number; NaN where undefined, such as recall without positives."""
        values = self.resampled(np.ones((1, len(self.flagged))))
        return {name: float(value[0]) for name, value in values.items()}

    def resampled(self, counts: FloatArray) -> dict[str, FloatArray]:
        """Return every number per resample."""
        positive, total = weighted_sum(counts, self.positives), counts.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                **at_flags(self.flagged, self.positives, counts),
                Metric.PREVALENCE: positive / total,
                "accuracy": weighted_sum(counts, self.flagged == self.positives) / total,
            }
