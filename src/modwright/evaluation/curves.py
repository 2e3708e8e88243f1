"""What the report draws of one label: ROC curve, PR curve, reliability bins, confusion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from modwright.evaluation.binary import Sample, equal_mass_bins
from modwright.evaluation.cuts import Ranking
from modwright.schema import FloatArray

#: Half width of a 95 % interval in standard deviations of the normal distribution.
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The rows of one range of scores.

    Attributes:
        score: their mean score.
        rate: the mean of their labels: what the score should be.
        low, high: Wilson interval (95 %) of the rate.
        rows: how many.
    """

    score: float
    rate: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves of one label, each point a threshold; ties are one point.

    Attributes:
        roc: (K, 2) false positive rate and true positive rate, from (0, 0) to (1, 1); None without both
            classes.
        pr: (K, 2) recall and precision, recall rising; None without positives.
        bins: of the reliability diagram, scores rising.
    """

    roc: FloatArray | None
    pr: FloatArray | None
    bins: tuple[ReliabilityBin, ...]


def curves(sample: Sample) -> Curves:
    """Work out the curves of a sample of at least one row."""
    ranking = Ranking.of(sample.scores)
    hits = ranking.cumulated(sample.positives[ranking.order])
    false = ranking.cumulated(~sample.positives[ranking.order])
    roc = pr = None
    if hits[-1] and false[-1]:
        points = np.stack([false / false[-1], hits / hits[-1]], axis=1)
        roc = np.vstack([[0.0, 0.0], points])
    if hits[-1]:
        pr = np.stack([hits / hits[-1], hits / (hits + false)], axis=1)
    return Curves(roc, pr, _reliability(sample))


def _reliability(sample: Sample) -> tuple[ReliabilityBin, ...]:
    places = equal_mass_bins(sample.scores)
    bins = []
    for number in range(int(places.max()) + 1):
        inside = places == number
        rate, rows = float(sample.labels[inside].mean()), int(inside.sum())
        bins.append(ReliabilityBin(float(sample.scores[inside].mean()), rate, *wilson(rate, rows), rows))
    return tuple(bins)


def wilson(rate: float, rows: float) -> tuple[float, float]:
    """Return the Wilson score interval (95 %) of a rate seen in a number of rows, which need not be whole."""
    spread = _Z**2 / rows
    centre = (rate + spread / 2) / (1 + spread)
    half = _Z * math.sqrt(max(rate * (1 - rate), 0.0) / rows + spread / (4 * rows)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)
