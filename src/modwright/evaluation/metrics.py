"""Metrics of a split: for every target and label a value, an interval, and whether it can be judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modwright.errors import UsageError
from modwright.evaluation.binary import LabelStatistics, Metric
from modwright.evaluation.curves import curves
from modwright.evaluation.measuring import Bootstrapped, DecisionStatistics, RateStatistics
from modwright.evaluation.metrics_file import metrics_json
from modwright.evaluation.reliability import ece_band
from modwright.evaluation.resampling import RESAMPLES, SEED, Interval, Resampler
from modwright.evaluation.results import LabelEvaluation, SplitEvaluation, TargetEvaluation, evidence_note
from modwright.evaluation.samples import KnownRows, decision, label_samples, most_probable, told
from modwright.schema import BoolArray, FloatArray, IntArray, Schema, Target, TargetKind

__all__ = [
    "LabelEvaluation",
    "Metric",
    "SplitEvaluation",
    "TargetEvaluation",
    "evaluate_split",
    "metrics_json",
]

#: What a target is averaged over; prevalence is no quality.
_MACRO = tuple(metric for metric in Metric if metric is not Metric.PREVALENCE)
#: Labels drawn in all for one band, and the fewest times that they are drawn for many rows.
_MOST_DRAWN, _LEAST_DRAWS = 20_000_000, 200
#: Share of units among rows below which rows count as coming in groups, whose labels are not drawn one by one.
_ALONE = 0.9


def evaluate_split(
    schema: Schema,
    scores: Mapping[str, FloatArray],
    labels: Mapping[str, FloatArray],
    flags: Mapping[str, BoolArray],
    *,
    groups: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> SplitEvaluation:
    """Measure calibrated scores and flags against labels, rows counting the same whatever their weight.

    A soft label is positive when it is above ``schema.positive_above``; Brier score, log-loss and calibration
    error are held against its value. A single-label row with an unknown label is unknown as a whole, its
    labels are judged one against the rest.

    Args:
        scores: target to (N, L) in 0..1.
        labels: target to (N, L) in 0..1, NaN unknown.
        flags: target to (N, L), what `thresholds.flags` gives.
        groups: one name per row; rows of a group are resampled together.
        resamples: for the intervals; 0 gives values without intervals.

    Raises:
        UsageError: a target is missing, shapes do not fit, or a score is not in 0..1.
    """
    rows = len(next(iter(scores.values()), ()))
    for target in schema.targets:
        _check(target, rows, scores, labels, flags)
    measured = {
        target.name: _Measured.of(
            target, scores[target.name], labels[target.name], flags[target.name], schema.positive_above
        )
        for target in schema.targets
    }
    resampler = Resampler(rows, groups, resamples, seed)
    for counts in resampler.counts():
        for found in measured.values():
            found.take(counts)
    drawn = resamples if resampler.units >= _ALONE * rows else 0
    return SplitEvaluation(
        {name: found.evaluation(drawn, seed) for name, found in measured.items()},
        rows,
        resampler.units,
        groups is not None,
        resamples,
        seed,
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    """One target while it is measured: what the bootstrap runs over, and what it needs at the end.

    Attributes:
        truth, chosen: (N,) place of the true and the most probable label, -1 where there is none;
        single-label only.
    """

    target: Target
    labels: dict[str, Bootstrapped[LabelStatistics]]
    decision: Bootstrapped[DecisionStatistics]
    flagged: Bootstrapped[RateStatistics]
    accuracy: Bootstrapped[RateStatistics] | None
    truth: IntArray
    chosen: IntArray

    @classmethod
    def of(
        cls, target: Target, scores: FloatArray, labels: FloatArray, flags: BoolArray, positive_above: float
    ) -> _Measured:
        labels, flags = told(target, scores, labels, flags)
        truth, chosen, accuracy = np.full(len(scores), -1), np.full(len(scores), -1), None
        if target.kind is TargetKind.SINGLE_LABEL:
            truth, chosen = most_probable(labels), scores.argmax(axis=1)
            is_told = truth >= 0
            accuracy = _rates(is_told, (truth == chosen)[is_told])
        samples = label_samples(target, scores, labels, flags, positive_above)
        decided = decision(target, labels, flags, positive_above)
        known = decided.known
        judged = DecisionStatistics(decided.flagged[known], decided.positives[known]) if known.any() else None
        return cls(
            target=target,
            labels={label: _statistics(rows) for label, rows in samples.items()},
            decision=Bootstrapped(known, judged),
            flagged=_rates(np.ones(len(scores), dtype=np.bool_), decided.flagged),
            accuracy=accuracy,
            truth=truth,
            chosen=chosen,
        )

    def take(self, counts: FloatArray) -> None:
        """Add resamples, given as counts (R, N)."""
        for measured in (*self.labels.values(), self.decision, self.flagged, self.accuracy):
            if measured is not None:
                measured.take(counts)

    def evaluation(self, draws: int, seed: int) -> TargetEvaluation:
        """Gather what was measured; with so many draws for the bands of calibration errors."""
        target = self.target
        labels = {name: _label(target, name, measured, draws, seed) for name, measured in self.labels.items()}
        ranked = [self.labels[name] for name, found in labels.items() if found.ranked]
        known = np.any([measured.known for measured in self.labels.values()], axis=0)
        single = target.kind is TargetKind.SINGLE_LABEL
        decision = {name: self.decision.interval(name) for name in DecisionStatistics.names}
        return TargetEvaluation(
            target=target.name,
            kind=target.kind,
            labels=labels,
            macro={metric: _macro(ranked, metric, int(known.sum())) for metric in _MACRO},
            decision={**decision, "flagged": self.flagged.interval("rate")},
            accuracy=None if self.accuracy is None else self.accuracy.interval("rate"),
            confusion=_class_confusion(self.truth, self.chosen, len(target.labels)) if single else None,
            rows=len(known),
            known=int(known.sum()),
        )


def _statistics(rows: KnownRows) -> Bootstrapped[LabelStatistics]:
    return Bootstrapped(rows.known, None if rows.sample is None else LabelStatistics(rows.sample))


def _rates(known: BoolArray, holds: BoolArray) -> Bootstrapped[RateStatistics]:
    return Bootstrapped(known, RateStatistics(holds) if known.any() else None)


def _label(
    target: Target, name: str, measured: Bootstrapped[LabelStatistics], draws: int, seed: int
) -> LabelEvaluation:
    sample = None if measured.statistics is None else measured.statistics.sample
    positives = 0 if sample is None else int(sample.positives.sum())
    confusion = None
    if sample is not None and sample.flagged is not None:
        confusion = _class_confusion(sample.positives.astype(np.int64), sample.flagged.astype(np.int64), 2)
    band = None
    if sample is not None and draws and measured.n > 1 and np.isin(sample.labels, (0, 1)).all():
        band = ece_band(sample.scores, min(draws, max(_LEAST_DRAWS, _MOST_DRAWN // measured.n)), seed)
    return LabelEvaluation(
        label=name,
        negative=name in target.negative_labels,
        positives=positives,
        negatives=measured.n - positives,
        unknown=len(measured.known) - measured.n,
        note=evidence_note(positives, measured.n - positives),
        metrics={metric: measured.interval(metric) for metric in Metric},
        confusion=confusion,
        curves=None if sample is None else curves(sample),
        ece_band=band,
    )


def _macro(ranked: Sequence[Bootstrapped[LabelStatistics]], metric: Metric, n: int) -> Interval:
    """Average over labels, the value and each resample alike; undefined ones are left out."""
    if not ranked:
        return Interval(None, None, None, n)
    values = _mean(np.array([[measured.values[metric]] for measured in ranked]))
    resampled = _mean(np.array([measured.resampled(metric) for measured in ranked]))
    return Interval.of(float(values[0]), resampled, n)


def _mean(values: FloatArray) -> FloatArray:
    """Return the mean over the first axis of what is not NaN; NaN where nothing is left."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, values, 0.0).sum(axis=0) / defined.sum(axis=0), dtype=np.float64)


def _class_confusion(truth: IntArray, chosen: IntArray, size: int) -> IntArray:
    """Count (size, size) pairs, rows truth, columns choice; an unknown truth (-1) is left out."""
    told = (truth >= 0) & (chosen >= 0)
    counts = np.bincount(truth[told] * size + chosen[told], minlength=size * size)
    return counts.reshape(size, size).astype(np.int64)


def _check(
    target: Target,
    rows: int,
    scores: Mapping[str, FloatArray],
    labels: Mapping[str, FloatArray],
    flags: Mapping[str, BoolArray],
) -> None:
    where, expected = f"target '{target.name}'", (rows, len(target.labels))
    for word, arrays in (("scores", scores), ("labels", labels), ("flags", flags)):
        if target.name not in arrays:
            raise UsageError(f"has no {word}", where=where)
        if arrays[target.name].shape != expected:
            raise UsageError(
                f"{word} have shape {arrays[target.name].shape}, expected {expected}", where=where
            )
    values, known = scores[target.name], labels[target.name][~np.isnan(labels[target.name])]
    if not ((values >= 0) & (values <= 1)).all():
        raise UsageError("a score is NaN or outside 0..1", where=where)
    if not ((known >= 0) & (known <= 1)).all():
        raise UsageError("a label is outside 0..1", where=where)
