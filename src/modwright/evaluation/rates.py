"""Error rates at the flags, area under the ROC curve alone, and the difference of two statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from modwright.evaluation.binary import Metric, roc_area, weighted_sum
from modwright.evaluation.cuts import Ranking
from modwright.evaluation.measuring import Bootstrapped, Statistics
from modwright.evaluation.resampling import Interval
from modwright.schema import BoolArray, FloatArray

#: Half width of a 95 % interval in standard errors.
_Z = 1.959963984540054


class Rate(StrEnum):
    """How often something is flagged."""

    RECALL = "recall"  # of the positive rows
    FALSE_POSITIVE = "false_positive_rate"  # of the negative rows
    FLAGGED = "flagged"  # of all rows


class FlagRates:
    """Recall, false-positive rate and share flagged of n rows; all NaN for a label that is never flagged.

    Args:
        flagged: (n,) or None for a label that is never flagged.
        positives: (n,)
    """

    def __init__(self, flagged: BoolArray | None, positives: BoolArray) -> None:
        self._flagged = flagged
        self._positives = positives

    def at(self) -> dict[str, float]:
        """Return every rate; NaN where undefined."""
        values = self.resampled(np.ones((1, len(self._positives))))
        return {name: float(value[0]) for name, value in values.items()}

    def resampled(self, counts: FloatArray) -> dict[str, FloatArray]:
        """Return every rate, (R,), for bootstrap counts (R, n)."""
        if self._flagged is None:
            return dict.fromkeys(Rate, np.full(len(counts), np.nan))
        total, positive = counts.sum(axis=1), weighted_sum(counts, self._positives)
        flagged, hits = (
            weighted_sum(counts, self._flagged),
            weighted_sum(counts, self._flagged & self._positives),
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                Rate.RECALL: hits / positive,
                Rate.FALSE_POSITIVE: (flagged - hits) / (total - positive),
                Rate.FLAGGED: flagged / total,
            }


class Separation:
    """ROC-AUC of n rows and nothing else: scikit-learn's, for many weightings at once.

    Args:
        scores: (n,)
        positives: (n,)
    """

    def __init__(self, scores: FloatArray, positives: BoolArray) -> None:
        self._ranking = Ranking.of(scores)
        self._positive = positives[self._ranking.order]

    def at(self) -> dict[str, float]:
        """Return the area; NaN without both classes."""
        return {Metric.ROC_AUC: float(self.resampled(np.ones((1, len(self._positive))))[Metric.ROC_AUC][0])}

    def resampled(self, counts: FloatArray) -> dict[str, FloatArray]:
        """Return the area, (R,), for bootstrap counts (R, n)."""
        ranked = counts[:, self._ranking.order]
        hits = self._ranking.cumulated(ranked * self._positive)
        with np.errstate(invalid="ignore", divide="ignore"):
            area = roc_area(hits, np.diff(hits, axis=1, prepend=0.0), self._ranking.cumulated(ranked))
        return {Metric.ROC_AUC: area}


class Together:
    """Several statistics of the same n rows as one; a later one's name wins."""

    def __init__(self, *parts: Statistics) -> None:
        self._parts = parts

    def at(self) -> dict[str, float]:
        """Return what all of them say."""
        return {name: value for part in self._parts for name, value in part.at().items()}

    def resampled(self, counts: FloatArray) -> dict[str, FloatArray]:
        """Return what all of them say, (R,), for bootstrap counts (R, n)."""
        return {name: value for part in self._parts for name, value in part.resampled(counts).items()}


def gap(here: Bootstrapped[Statistics], there: Bootstrapped[Statistics], name: str) -> Interval:
    """Return how much higher a statistic is here than there, both measured over the same resamples.

    The resamples are paired, so rows that both hold do not widen the interval. ``n`` is that of ``here``.
    """
    value = here.values.get(name, np.nan) - there.values.get(name, np.nan)
    one, other = here.resampled(name), there.resampled(name)
    resampled = one - other if len(one) == len(other) else np.full(0, np.nan)
    return Interval.of(value, resampled, here.n)


def is_clear(metric: str, difference: Interval, reference: Interval, positives: int, negatives: int) -> bool:
    """Say whether a figure lies clearly off a reference: beyond its own bootstrap and beyond what chance gives.

    The interval of the difference must leave out zero. As resamples of few rows that all agree agree too, however few they
    are, the difference must also exceed what rows with the reference's value would show (two standard errors).

    Args:
        metric: recall, false-positive rate or ROC-AUC.
        difference: the figure less the reference.
        positives, negatives: rows the figure rests on.
    """
    low, high, value, expected = difference.low, difference.high, difference.value, reference.value
    if low is None or high is None or value is None or expected is None or low <= 0 <= high:
        return False
    return abs(value) > _Z * standard_error(metric, expected, positives, negatives)


def standard_error(metric: str, value: float, positives: int, negatives: int) -> float:
    """Return the standard error of a figure whose true value is this, rows being independent; 0.0 without rows.

    For ROC-AUC that of Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating characteristic
    (ROC) curve"; for recall and false-positive rate the binomial one.
    """
    rows = {str(Rate.RECALL): positives, str(Rate.FALSE_POSITIVE): negatives}.get(metric)
    if rows is not None:
        return math.sqrt(value * (1 - value) / rows) if rows else 0.0
    if not positives or not negatives:
        return 0.0
    above, both = value / (2 - value), 2 * value**2 / (1 + value)
    spread = value * (1 - value) + (positives - 1) * (above - value**2) + (negatives - 1) * (both - value**2)
    return math.sqrt(max(spread, 0.0) / (positives * negatives))


def power_mean(values: FloatArray, power: float) -> FloatArray:
    """Return the generalised mean over the first axis of values (S, ...) >= 0, leaving out NaN.

    ``(mean of v^p)^(1/p)``: 1 is the mean; below it the lowest values count most. NaN where nothing is left.
    """
    defined = ~np.isnan(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        raised = np.where(defined, np.power(values, power), 0.0)
        return np.asarray((raised.sum(axis=0) / defined.sum(axis=0)) ** (1 / power), dtype=np.float64)


def stacked(parts: Sequence[FloatArray]) -> FloatArray:
    """Return arrays (R,) as rows of (S, R); those that are empty, for want of rows, are NaN."""
    most = max((len(part) for part in parts), default=0)
    return np.array([part if len(part) == most else np.full(most, np.nan) for part in parts])
