"""Unintended bias: whether a model takes the mention of a group of people for what it should find.

The areas and their generalised mean are those of Borkan, Dixon, Sorensen, Thain and Vasserman 2019, "Nuanced metrics for
measuring unintended bias with real data for text classification"; the final score is that of the Jigsaw unintended-bias
task. There a share of exactly one half is a mention and a positive; here the schema's rule decides, above one half.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modwright.errors import UsageError
from modwright.evaluation.bias_results import (
    GAPS,
    POWER,
    WEIGHT,
    BiasMetric,
    Identity,
    IdentityBias,
    LabelBias,
)
from modwright.evaluation.binary import Metric, Sample
from modwright.evaluation.measuring import Bootstrapped, Statistics
from modwright.evaluation.rates import FlagRates, Separation, gap, power_mean, stacked
from modwright.evaluation.resampling import RESAMPLES, SEED, Interval, Resampler
from modwright.evaluation.samples import KnownRows, samples_of
from modwright.evaluation.scored import ScoredSplit
from modwright.schema import FloatArray

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
class _Side:
    """One label's areas and rates for one identity while they are measured.

    Attributes:
        evidence: rows that mention it (positives, negatives), and that do not (positives, negatives).
        here, there: the rates of the rows that mention it, and of those that do not.
    """

    identity: str
    evidence: tuple[int, int, int, int]
    areas: Mapping[str, Bootstrapped[Statistics]]
    here: Bootstrapped[Statistics]
    there: Bootstrapped[Statistics]

    @classmethod
    def of(cls, identity: Identity, rows: KnownRows) -> _Side:
        known = rows.known & identity.known
        inside, outside = known & identity.mentioned, known & ~identity.mentioned
        yes = np.zeros(len(known), dtype=np.bool_)
        if rows.sample is not None:
            yes[rows.known] = rows.sample.positives
        chosen = {
            BiasMetric.SUBGROUP: inside,
            BiasMetric.BPSN: (inside & ~yes) | (outside & yes),
            BiasMetric.BNSP: (inside & yes) | (outside & ~yes),
        }
        one, two, three, four = (
            int(part.sum()) for part in (inside & yes, inside & ~yes, outside & yes, outside & ~yes)
        )
        return cls(
            identity=identity.name,
            evidence=(one, two, three, four),
            areas={str(metric): _measured(rows.within(part), _separation) for metric, part in chosen.items()},
            here=_measured(rows.within(inside), _rates),
            there=_measured(rows.within(outside), _rates),
        )

    def found(self) -> IdentityBias:
        """Gather what was measured."""
        rates = {name: self.here.interval(name) for name in GAPS}
        return IdentityBias(
            self.identity,
            *self.evidence,
            metrics={metric: area.interval(Metric.ROC_AUC) for metric, area in self.areas.items()} | rates,
            others={name: self.there.interval(name) for name in GAPS},
            gaps={name: gap(self.here, self.there, name) for name in GAPS},
        )


@dataclass(frozen=True, slots=True)
class _Measured:
    """One label while it is measured."""

    target: str
    label: str
    overall: Bootstrapped[Statistics]
    sides: tuple[_Side, ...]

    @classmethod
    def of(cls, target: str, label: str, rows: KnownRows, identities: Sequence[Identity]) -> _Measured:
        sides = tuple(_Side.of(identity, rows) for identity in identities)
        return cls(target, label, _measured(rows, _separation), sides)

    def take(self, counts: FloatArray) -> None:
        """Add resamples, given as counts (R, N)."""
        self.overall.take(counts)
        for side in self.sides:
            for measured in (*side.areas.values(), side.here, side.there):
                measured.take(counts)

    def bias(self) -> LabelBias:
        """Gather what was measured, with means over the identities that have enough evidence."""
        found = tuple(side.found() for side in self.sides)
        counted = [side for side, one in zip(self.sides, found, strict=True) if one.ranked]
        overall, n = self.overall.interval(Metric.ROC_AUC), self.overall.n
        means = {str(metric): _mean([side.areas[metric] for side in counted]) for metric in BiasMetric}
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


def _mean(areas: Sequence[Bootstrapped[Statistics]]) -> tuple[float, FloatArray]:
    """Return the generalised mean of areas, and of each resample (R,); NaN and (0,) without any."""
    if not areas:
        return np.nan, np.full(0, np.nan)
    values = np.array([area.values.get(Metric.ROC_AUC, np.nan) for area in areas])
    resampled = stacked([area.resampled(Metric.ROC_AUC) for area in areas])
    return float(power_mean(values, POWER)), power_mean(resampled, POWER)


def _sum(parts: Sequence[tuple[float, FloatArray]]) -> tuple[float, FloatArray]:
    """Return the weighted sum of values and of their resamples (R,); undefined where one of them is."""
    value = WEIGHT * sum(value for value, _ in parts)
    return value, np.asarray(WEIGHT * stacked([around for _, around in parts]).sum(axis=0), dtype=np.float64)


def _measured(rows: KnownRows, of: Callable[[Sample], Statistics]) -> Bootstrapped[Statistics]:
    return Bootstrapped(rows.known, None if rows.sample is None else of(rows.sample))


def _separation(sample: Sample) -> Statistics:
    return Separation(sample.scores, sample.positives)


def _rates(sample: Sample) -> Statistics:
    return FlagRates(sample.flagged, sample.positives)


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
