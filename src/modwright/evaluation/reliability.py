"""Whether probabilities mean what they say: reliability diagram, calibration error, Brier score and log-loss, and a band.

Even perfectly calibrated scores show a calibration error on finitely many rows. The band says how much: the error that the
very same scores have where the labels are drawn from them (consistency resampling; Bröcker and Smith 2007, "Increasing the
reliability of reliability diagrams"). An error within it is no evidence of miscalibration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modwright.errors import UsageError
from modwright.evaluation.binary import LabelStatistics, Metric, Sample, equal_mass_bins
from modwright.evaluation.curves import ReliabilityBin, curves
from modwright.evaluation.resampling import LEVEL, RESAMPLES, SEED, Interval, Resampler
from modwright.schema import FloatArray

#: Drawn labels handled at once.
_CHUNK = 500_000
_MEASURED = (Metric.ECE, Metric.BRIER, Metric.LOG_LOSS)


@dataclass(frozen=True, slots=True)
class Reliability:
    """How well one label's scores are calibrated.

    Attributes:
        bins: of the reliability diagram, scores rising, equally many rows in each.
        ece: debiased calibration error, root mean square over bins.
        brier, log_loss: against the labels' values, soft ones as they are.
        band: the error that calibrated scores like these stay below in 95 % of draws of their labels. Soft labels vary less
            than drawn ones, so with them it is wider than it need be.
    """

    bins: tuple[ReliabilityBin, ...]
    ece: Interval
    brier: Interval
    log_loss: Interval
    band: float

    @property
    def within(self) -> bool:
        """Return whether the calibration error is one that calibrated scores would show."""
        return self.ece.value is not None and self.ece.value <= self.band

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON-ready data, without the bins."""
        return {
            "ece": self.ece.to_json(),
            "brier": self.brier.to_json(),
            "log_loss": self.log_loss.to_json(),
            "band": self.band,
            "within": self.within,
        }


def reliability(
    sample: Sample, groups: Sequence[str] | None = None, resamples: int = RESAMPLES, seed: int = SEED
) -> Reliability:
    """Measure the known rows of one label, n at least 1.

    Args:
        groups: (n,) names; rows of a group are resampled together.
        resamples: for the intervals and the band; 0 leaves the intervals out and draws the band all the same.

    Raises:
        UsageError: no row, or another number of groups than rows.
    """
    n = len(sample.scores)
    if not n:
        raise UsageError("there are no rows to measure calibration on")
    statistics = LabelStatistics(sample)
    values = statistics.at()
    parts: dict[Metric, list[FloatArray]] = {metric: [] for metric in _MEASURED}
    for counts in Resampler(n, groups, resamples, seed).counts():
        resampled = statistics.resampled(counts)
        for metric, found in parts.items():
            found.append(resampled[metric])
    intervals = {
        metric: Interval.of(values[metric], np.concatenate([np.zeros(0), *found]), n)
        for metric, found in parts.items()
    }
    return Reliability(
        curves(sample).bins,
        intervals[Metric.ECE],
        intervals[Metric.BRIER],
        intervals[Metric.LOG_LOSS],
        ece_band(sample.scores, resamples or RESAMPLES, seed),
    )


def ece_band(scores: FloatArray, draws: int = RESAMPLES, seed: int = SEED) -> float:
    """Return the calibration error below which 95 % of the draws lie, for scores (n,) in 0..1, n at least 2."""
    return float(np.quantile(drawn_errors(scores, draws, seed), LEVEL))


def drawn_errors(scores: FloatArray, draws: int, seed: int = SEED) -> FloatArray:
    """Return the debiased calibration errors (draws,) of scores (n,) whose labels are drawn from them."""
    order = np.argsort(-scores, kind="stable")
    p = np.asarray(scores, dtype=np.float64)[order]
    starts = np.flatnonzero(np.diff(equal_mass_bins(scores)[order], prepend=-1))
    rows = np.diff(np.append(starts, len(p))).astype(np.float64)
    share, usable = rows / rows.sum(), rows > 1
    errors = []
    for labels in _drawn(p, draws, seed):
        mean = np.add.reduceat(labels - p, starts, axis=1) / rows
        square = np.add.reduceat((labels - p) ** 2, starts, axis=1) / rows
        noise = np.maximum(square - mean**2, 0.0) / np.maximum(rows - 1, 1)
        errors.append((share * np.where(usable, mean**2 - noise, 0.0)).sum(axis=1))
    return np.asarray(np.sqrt(np.maximum(np.concatenate(errors), 0.0)), dtype=np.float64)


def _drawn(p: FloatArray, draws: int, seed: int) -> Iterator[FloatArray]:
    """Yield labels (r, n) of 0 and 1, a bounded number of draws at a time, the same for the same seed."""
    rng, chunk = np.random.default_rng(seed), max(1, _CHUNK // max(1, len(p)))
    for begin in range(0, draws, chunk):
        yield (rng.random((min(chunk, draws - begin), len(p))) < p).astype(np.float64)
