"""Unintended bias: whether a model takes the mention of a group of people for what it should find.

The areas and their generalised mean are those of Borkan, Dixon, Sorensen, Thain and Vasserman 2019, "Nuanced metrics for
measuring unintended bias with real data for text classification"; the final score is that of the Jigsaw unintended-bias
task. There a share of exactly one half is a mention and a positive; here the schema's rule decides, above one half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modwright.errors import UsageError
from modwright.evaluation.bias_areas import OTHERS, BiasStatistics, named
from modwright.evaluation.bias_results import (
    GAPS,
    POWER,
    WEIGHT,
    BiasMetric,
    Identity,
    IdentityBias,
    LabelBias,
)
from modwright.evaluation.binary import Metric
from modwright.evaluation.measuring import Bootstrapped
from modwright.evaluation.rates import Separation, power_mean, stacked
from modwright.evaluation.resampling import RESAMPLES, SEED, Interval, Resampler
from modwright.evaluation.samples import KnownRows, samples_of
from modwright.evaluation.scored import ScoredSplit
from modwright.schema import BoolArray, FloatArray

__all__ = ["BiasMetric", "Identity", "IdentityBias", "LabelBias", "evaluate_bias"]


def evaluate_bias(
    split: ScoredSplit, identities: Sequence[Identity], *, resamples: int = RESAMPLES, seed: int = SEED
) -> list[LabelBias]:
    """Measure every label that may be flagged, of every target, against the mention of identities.

    An identity counts in means and ranking where `results.MIN_EVIDENCE` positives and negatives mention it, and as many do
    not. Groups of rows are resampled together; every row counts once.

    Args:
        identities: of the split's rows.
        resamples: for the intervals; 0 gives values without intervals.

    Raises:
        UsageError: an identity named twice, or of another number of rows.
    """
    _check(split, identities)
    measured = [
        _Measured.of(target.name, label, rows, identities)
        for target in split.schema
        for label, rows in samples_of(split, target).items()
        if label in target.flaggable
    ]
    for counts in Resampler(len(split), split.groups, resamples, seed).counts():
        for found in measured:
            found.take(counts)
    return [found.bias() for found in measured]


@dataclass(frozen=True, slots=True)
class _Measured:
    """One label while it is measured.

    Attributes:
        evidence: per identity, rows that mention it (positives, negatives) and that do not (positives, negatives).
    """

    target: str
    label: str
    identities: Sequence[Identity]
    evidence: tuple[tuple[int, int, int, int], ...]
    overall: Bootstrapped[Separation]
    figures: Bootstrapped[BiasStatistics]

    @classmethod
    def of(cls, target: str, label: str, rows: KnownRows, identities: Sequence[Identity]) -> _Measured:
        known, sample = rows.known, rows.sample
        here = [Identity(one.name, one.mentioned[known], one.known[known]) for one in identities]
        positives = np.zeros(0, dtype=np.bool_) if sample is None else sample.positives
        separation = None if sample is None else Separation(sample.scores, positives)
        return cls(
            target=target,
            label=label,
            identities=identities,
            evidence=tuple(_evidence(one, positives) for one in here),
            overall=Bootstrapped(known, separation),
            figures=Bootstrapped(known, None if sample is None else BiasStatistics(sample, here)),
        )

    def take(self, counts: FloatArray) -> None:
        """Add resamples, given as counts (R, N)."""
        self.overall.take(counts)
        self.figures.take(counts)

    def bias(self) -> LabelBias:
        """Gather what was measured, with means over the identities that have enough evidence."""
        found = tuple(self._identity(place) for place in range(len(self.identities)))
        counted = [place for place, one in enumerate(found) if one.ranked]
        overall, n = self.overall.interval(Metric.ROC_AUC), self.overall.n
        means = {str(metric): self._mean(counted, metric) for metric in BiasMetric}
        parts = [(self.overall.values.get(Metric.ROC_AUC, np.nan), self.overall.resampled(Metric.ROC_AUC))]
        value, resampled = _sum([*parts, *means.values()])
        return LabelBias(
            target=self.target,
            label=self.label,
            overall=overall,
            means={metric: Interval.of(mean, around, n) for metric, (mean, around) in means.items()},
            score=Interval.of(value, resampled, n),
            identities=found,
        )

    def _identity(self, place: int) -> IdentityBias:
        positives, negatives, other_positives, other_negatives = self.evidence[place]
        rows, others = positives + negatives, other_positives + other_negatives
        resting = {
            BiasMetric.SUBGROUP: rows,
            BiasMetric.BPSN: negatives + other_positives,
            BiasMetric.BNSP: positives + other_negatives,
        }
        metrics = {str(metric): self._interval(place, metric, n) for metric, n in resting.items()}
        return IdentityBias(
            self.identities[place].name,
            *self.evidence[place],
            metrics=metrics | {name: self._interval(place, name, rows) for name in GAPS},
            others={name: self._interval(place, OTHERS + name, others) for name in GAPS},
            gaps={name: self._gap(place, name, rows) for name in GAPS},
        )

    def _value(self, place: int, figure: str) -> tuple[float, FloatArray]:
        """Return a figure and its resamples (R,)."""
        name = named(place, figure)
        return self.figures.values.get(name, np.nan), self.figures.resampled(name)

    def _interval(self, place: int, figure: str, n: int) -> Interval:
        return Interval.of(*self._value(place, figure), n)

    def _gap(self, place: int, figure: str, n: int) -> Interval:
        (here, around_here), (there, around_there) = (
            self._value(place, name) for name in (figure, OTHERS + figure)
        )
        return Interval.of(here - there, around_here - around_there, n)

    def _mean(self, counted: Sequence[int], metric: str) -> tuple[float, FloatArray]:
        """Return the generalised mean over identities, and of each resample (R,); NaN and (0,) without any."""
        if not counted:
            return np.nan, np.full(0, np.nan)
        found = [self._value(place, metric) for place in counted]
        values = np.array([value for value, _ in found])
        return float(power_mean(values, POWER)), power_mean(stacked([around for _, around in found]), POWER)


def _evidence(identity: Identity, positives: BoolArray) -> tuple[int, int, int, int]:
    inside, outside = identity.known & identity.mentioned, identity.known & ~identity.mentioned
    parts = (inside & positives, inside & ~positives, outside & positives, outside & ~positives)
    first, second, third, fourth = (int(part.sum()) for part in parts)
    return first, second, third, fourth


def _sum(parts: Sequence[tuple[float, FloatArray]]) -> tuple[float, FloatArray]:
    """Return the weighted sum of values and of their resamples (R,); undefined where one of them is."""
    value = WEIGHT * sum(value for value, _ in parts)
    return value, np.asarray(WEIGHT * stacked([around for _, around in parts]).sum(axis=0), dtype=np.float64)


def _check(split: ScoredSplit, identities: Sequence[Identity]) -> None:
    names = [identity.name for identity in identities]
    for identity in identities:
        if names.count(identity.name) > 1:
            raise UsageError(f"the identity '{identity.name}' is named twice", where=f"split '{split.name}'")
        if len(identity.mentioned) != len(split) or len(identity.known) != len(split):
            raise UsageError(
                f"the identity '{identity.name}' has {len(identity.mentioned)} rows, expected {len(split)}",
                where=f"split '{split.name}'",
            )
