"""Metrics of one label against its scores, for many weightings of the same rows at once.

Everything that does not depend on the weighting (sort order, ties, bins, losses) is worked out once; a
bootstrap is then a few sums over ranked rows. ROC-AUC, average precision, Brier score and
log-loss are scikit-learn's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from modwright.evaluation.cuts import Ranking
from modwright.schema import BoolArray, FloatArray, IntArray

#: Bins of the calibration error and the reliability diagram hold equally many rows, and never fewer than
#: these.
BINS = 10
MIN_BIN_ROWS = 10
_TINY = float(np.finfo(np.float64).eps)


class Metric(StrEnum):
    """What is measured for every label; the keys of metrics.json."""

    F1 = "f1"
    PRECISION = "precision"
    RECALL = "recall"
    ROC_AUC = "roc_auc"
    AVERAGE_PRECISION = "average_precision"
    BRIER = "brier"
    LOG_LOSS = "log_loss"
    ECE = "ece"
    PREVALENCE = "prevalence"


@dataclass(frozen=True, slots=True)
class Sample:
    """The known rows of one label.

    Attributes:
        scores: (n,) calibrated probabilities.
        labels: (n,) values in 0..1; soft ones are what Brier score, log-loss and calibration error are held
            against.
        positives: (n,) the label as yes or no, what F1 and AUC are held against.
        flagged: (n,) None for a label that is never flagged.
    """

    scores: FloatArray
    labels: FloatArray
    positives: BoolArray
    flagged: BoolArray | None


class LabelStatistics:
    """The metrics of one sample under any weighting of its rows; n is at least 1."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        self._ranking = Ranking.of(sample.scores)
        order = self._ranking.order
        self._positive = sample.positives[order]
        self._squared_error = ((sample.scores - sample.labels) ** 2)[order]
        self._loss = log_losses(sample.scores, sample.labels)[order]
        self._residual = (sample.labels - sample.scores)[order]
        self._flagged = None if sample.flagged is None else sample.flagged[order]
        self._bins = np.flatnonzero(np.diff(equal_mass_bins(sample.scores)[order], prepend=-1))
        self._noise = self._calibration(np.ones((1, len(order))))[1]

    def at(self) -> dict[str, float]:
        """Return every metric of the sample as it is; NaN where undefined."""
        ones = np.ones((1, len(self.sample.scores)))
        values = self._values(ones)
        values[Metric.ECE] = _root(self._calibration(ones)[0])
        return {metric: float(values[metric][0]) for metric in Metric}

    def resampled(self, counts: FloatArray) -> dict[str, FloatArray]:
        """Return every metric, (R,), for bootstrap counts (R, n); NaN where undefined.

        A resample's calibration error holds the noise of the sample it was drawn from besides its own; the
        former is known and subtracted, so that the interval lies around the debiased value, not above it.
        """
        ranked = counts[:, self._ranking.order]
        values = self._values(ranked)
        values[Metric.ECE] = _root(self._calibration(ranked)[0] - self._noise)
        return values

    def _values(self, ranked: FloatArray) -> dict[str, FloatArray]:
        """Return all but the calibration error, for counts (R, n) in ranked order."""
        total, positive = ranked.sum(axis=1), weighted_sum(ranked, self._positive)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                Metric.PREVALENCE: positive / total,
                Metric.BRIER: weighted_sum(ranked, self._squared_error) / total,
                Metric.LOG_LOSS: weighted_sum(ranked, self._loss) / total,
                **at_flags(self._flagged, self._positive, ranked),
                **self._areas(ranked),
            }

    def _areas(self, ranked: FloatArray) -> dict[str, FloatArray]:
        hits = self._ranking.cumulated(ranked * self._positive)
        all_rows = self._ranking.cumulated(ranked)
        new_hits = np.diff(hits, axis=1, prepend=0.0)
        precision = np.divide(hits, all_rows, out=np.zeros_like(hits), where=all_rows > 0)
        return {
            Metric.ROC_AUC: roc_area(hits, new_hits, all_rows),
            Metric.AVERAGE_PRECISION: np.einsum("rg,rg->r", new_hits, precision) / hits[:, -1],
        }

    def _calibration(self, ranked: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the debiased squared calibration error and the noise that was taken off it, both (R,).

        Kumar, Liang and Ma 2019, "Verified uncertainty calibration": per bin the squared mean residual less
        the variance of that mean, weighted by rows. The variance is that of the residuals, which for scores
        that are equal within a bin is theirs, and also fits soft labels and scores that differ within a bin.
        """
        rows = np.add.reduceat(ranked, self._bins, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.add.reduceat(ranked * self._residual, self._bins, axis=1) / rows
            square = np.add.reduceat(ranked * self._residual**2, self._bins, axis=1) / rows
            noise = np.maximum(square - mean**2, 0.0) / (rows - 1)
            share = rows / rows.sum(axis=1, keepdims=True)
        usable = rows > 1
        squared = np.where(usable, share * mean**2, 0.0).sum(axis=1)
        taken_off = np.where(usable, share * noise, 0.0).sum(axis=1)
        undefined = np.where(usable.any(axis=1), 0.0, np.nan)
        return squared - taken_off + undefined, taken_off


def roc_area(hits: FloatArray, new_hits: FloatArray, rows: FloatArray) -> FloatArray:
    """Return the area (R,) under the ROC curve: how often a positive row scores above a negative one, ties a half.

    Args:
        hits, rows: (R, G) positive and all rows within the g groups of highest score.
        new_hits: (R, G) positive rows of each group.
    """
    new_false = np.diff(rows, axis=1, prepend=0.0) - new_hits
    negative = rows[:, -1] - hits[:, -1]
    area = np.einsum("rg,rg->r", new_false, hits - new_hits / 2) / (hits[:, -1] * negative)
    return np.asarray(area, dtype=np.float64)


def weighted_sum(counts: FloatArray, values: FloatArray | BoolArray) -> FloatArray:
    """Return the sums (R,) of values (n,) under counts (R, n).

    Not by ``@``: where others use the machine too, BLAS threads wait for each other longer than one works.
    """
    sums = np.einsum("rn,n->r", counts, values.astype(np.float64, copy=False))
    return np.asarray(sums, dtype=np.float64)


def at_flags(flagged: BoolArray | None, positives: BoolArray, counts: FloatArray) -> dict[str, FloatArray]:
    """Return F1, precision and recall, each (R,), of flags (n,) for counts (R, n); NaN where undefined."""
    if flagged is None:
        return dict.fromkeys((Metric.F1, Metric.PRECISION, Metric.RECALL), np.full(len(counts), np.nan))
    chosen, positive = weighted_sum(counts, flagged), weighted_sum(counts, positives)
    hits = weighted_sum(counts, flagged & positives)
    return {
        Metric.F1: 2 * hits / (chosen + positive),
        Metric.PRECISION: hits / chosen,
        Metric.RECALL: hits / positive,
    }


def log_losses(scores: FloatArray, labels: FloatArray) -> FloatArray:
    """Return -(y log p + (1-y) log(1-p)) per row; p is kept one machine epsilon from 0 and 1."""
    p = np.clip(scores, _TINY, 1 - _TINY)
    return np.asarray(-(labels * np.log(p) + (1 - labels) * np.log1p(-p)), dtype=np.float64)


def equal_mass_bins(scores: FloatArray) -> IntArray:
    """Return the bin (n,) of each row, bin 0 holding the lowest scores.

    Equal scores share a bin, so that the bins do not depend on the rows' order; each but the last holds at
    least a `BINS`-th of the rows and `MIN_BIN_ROWS`, and a last one that would hold less than half of that is
    joined to the one before.
    """
    distinct, place, size = np.unique(scores, return_inverse=True, return_counts=True)
    until = np.cumsum(size)
    wanted = max(len(scores) / BINS, MIN_BIN_ROWS)
    bin_of = np.zeros(len(distinct), dtype=np.int64)
    begin, begin_rows, number = 0, 0, 0
    while begin < len(distinct):
        end = min(int(np.searchsorted(until, begin_rows + wanted - 1e-9)), len(distinct) - 1)
        if number and until[end] - begin_rows < wanted / 2:
            number -= 1
        bin_of[begin : end + 1] = number
        begin, begin_rows, number = end + 1, int(until[end]), number + 1
    return bin_of[place]


def _root(squared: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)), dtype=np.float64)
