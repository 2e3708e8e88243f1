"""Two models on the same rows: paired bootstrap of every metric's difference, McNemar per label, where they disagree.

Both are resampled with the very same draws, so that what is hard about a row does not count as a difference. A model that
gave no answer for a row is wrong there: it missed what holds and flagged what does not, whatever its other answers say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modwright.errors import UsageError
from modwright.evaluation.binary import LabelStatistics, Metric, Sample
from modwright.evaluation.comparison import (
    Comparison,
    Difference,
    Judged,
    LabelComparison,
    McNemar,
    TargetComparison,
)
from modwright.evaluation.mcnemar import holm, mcnemar_p
from modwright.evaluation.measuring import Bootstrapped, DecisionStatistics
from modwright.evaluation.resampling import RESAMPLES, SEED, Interval, Resampler
from modwright.evaluation.results import MIN_EVIDENCE
from modwright.evaluation.samples import most_probable
from modwright.schema import BoolArray, FloatArray, IntArray, Schema, Target, TargetKind

#: What flags alone decide, and what takes probabilities besides.
DECIDED = (Metric.F1, Metric.PRECISION, Metric.RECALL)
SCORED = (Metric.ROC_AUC, Metric.AVERAGE_PRECISION, Metric.BRIER)
#: Left out where a row has no answer: one that is as wrong as can be would drown all the others.
UNBOUNDED = (Metric.LOG_LOSS, Metric.ECE)
#: Of the question "is anything flagged".
DECISION = (Metric.F1, Metric.PRECISION, Metric.RECALL, "accuracy")
#: Of the question which one label holds.
CLASS_DECISION = ("accuracy",)


@dataclass(slots=True)
class _Pair:
    """The same statistics of both models, over the same known rows."""

    names: Sequence[str]
    one: Bootstrapped[Any]
    other: Bootstrapped[Any]
    right: tuple[BoolArray, BoolArray]
    positives: int = 0
    negatives: int = 0

    def take(self, counts: FloatArray) -> None:
        self.one.take(counts)
        self.other.take(counts)

    def differences(self) -> dict[str, Difference]:
        return {str(name): self._difference(name) for name in self.names}

    def _difference(self, name: str) -> Difference:
        value = self.one.values.get(name, np.nan) - self.other.values.get(name, np.nan)
        resampled = self.one.resampled(name) - self.other.resampled(name)
        return Difference(
            self.one.interval(name), self.other.interval(name), Interval.of(value, resampled, self.one.n)
        )

    @property
    def enough(self) -> bool:
        return min(self.positives, self.negatives) >= MIN_EVIDENCE

    def discordant(self) -> tuple[int, int]:
        one, other = self.right
        return int((one & ~other).sum()), int((other & ~one).sum())


@dataclass(slots=True)
class _Measured:
    target: Target
    labels: dict[str, _Pair] = field(default_factory=dict)
    decision: _Pair | None = None


def compare(
    schema: Schema,
    labels: Mapping[str, FloatArray],
    one: Judged,
    other: Judged,
    *,
    groups: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Comparison:
    """Compare two models on the same labelled rows; where one gave no answer at all there are failures and no figures.

    Args:
        labels: target to (N, L) in 0..1, NaN unknown.
        groups: one name per row; rows of a group are resampled together.
        resamples: for the intervals; 0 gives values without.

    Raises:
        UsageError: the two have no label in common that may be flagged.
    """
    measured = [
        found
        for target in schema
        if (found := _measure(schema, target, labels[target.name], one, other)).labels
    ]
    if not measured and not (one.failed.all() or other.failed.all()):
        raise UsageError(
            f"'{one.name}' and '{other.name}' have no label in common, so nothing can be compared"
        )
    labelled = [pair for found in measured for pair in found.labels.values()]
    decided = [found.decision for found in measured if found.decision is not None]
    resampler = Resampler(len(one.failed), groups, resamples, seed)
    for counts in resampler.counts():
        for pair in (*labelled, *decided):
            pair.take(counts)
    tests = _tests(labelled) | _tests(decided)
    return Comparison(
        one.name,
        other.name,
        {found.target.name: _compared(found, tests) for found in measured},
        len(one.failed),
        (int(one.failed.sum()), int(other.failed.sum())),
        resampler.units,
        resamples,
        seed,
    )


def _measure(schema: Schema, target: Target, labels: FloatArray, one: Judged, other: Judged) -> _Measured:
    if target.kind is TargetKind.SINGLE_LABEL:
        labels = np.where(np.isnan(labels).any(axis=1, keepdims=True), np.nan, labels)
    both = np.asarray(one.covered[target.name] & other.covered[target.name], dtype=np.bool_)
    found = _Measured(target)
    names = _names(one, other)
    for label in target.flaggable:
        place = target.index(label)
        known = np.asarray(~np.isnan(labels[:, place]), dtype=np.bool_)
        if both[place]:
            values = labels[known, place]
            samples = [
                _sample(model, target, place, known, values, schema.positive_above) for model in (one, other)
            ]
            found.labels[label] = _pair(names, known, samples)
    if target.kind is TargetKind.SINGLE_LABEL:
        if _names_every_class(target, both, one, other):
            found.decision = _class_decision(target, labels, one, other)
    elif both[[target.index(label) for label in target.flaggable]].all():
        found.decision = _decision(schema, target, labels, one, other)
    return found


def _names_every_class(target: Target, both: BoolArray, one: Judged, other: Judged) -> bool:
    """Return whether both can name each class; a single negative label is what is left where nothing is flagged."""
    if both.all():
        return True
    flaggable = [target.index(label) for label in target.flaggable]
    return bool(len(target.negative_labels) == 1 and both[flaggable].all())


def _names(one: Judged, other: Judged) -> tuple[Metric, ...]:
    """Return the metrics that both have."""
    if one.scores is None or other.scores is None:
        return DECIDED
    failed = one.failed.any() or other.failed.any()
    return (*DECIDED, *SCORED, *(() if failed else UNBOUNDED))


def _sample(
    model: Judged, target: Target, place: int, known: BoolArray, values: FloatArray, positive_above: float
) -> Sample:
    """Return a model's known rows of one label; where it failed, it was as wrong as can be."""
    positives, failed = np.asarray(values > positive_above, dtype=np.bool_), model.failed[known]
    flags = np.where(failed, ~positives, model.flags[target.name][known, place])
    scores = flags.astype(np.float64)
    if model.scores is not None:
        scores = np.where(failed, ~positives, model.scores[target.name][known, place])
    return Sample(scores, values, positives, np.asarray(flags, dtype=np.bool_))


def _pair(names: Sequence[str], known: BoolArray, samples: Sequence[Sample]) -> _Pair:
    if not known.any():
        nothing = np.zeros(0, dtype=np.bool_)
        return _Pair(names, Bootstrapped(known, None), Bootstrapped(known, None), (nothing, nothing))
    one, other = (Bootstrapped(known, LabelStatistics(sample)) for sample in samples)
    mine, theirs = (_right(sample) for sample in samples)
    positives = int(samples[0].positives.sum())
    return _Pair(names, one, other, (mine, theirs), positives, len(mine) - positives)


def _right(sample: Sample) -> BoolArray:
    return np.asarray(sample.flagged == sample.positives, dtype=np.bool_)


def _decision(schema: Schema, target: Target, labels: FloatArray, one: Judged, other: Judged) -> _Pair:
    """Set up "is any label flagged", on the rows whose flaggable labels are all known."""
    columns = [target.index(label) for label in target.flaggable]
    known = np.asarray(~np.isnan(labels[:, columns]).any(axis=1), dtype=np.bool_)
    positives = np.asarray((labels[known][:, columns] > schema.positive_above).any(axis=1), dtype=np.bool_)
    said = [np.any(model.flags[target.name][known][:, columns], axis=1) for model in (one, other)]
    return _decided(DECISION, known, positives, said, (one, other))


def _class_decision(target: Target, labels: FloatArray, one: Judged, other: Judged) -> _Pair:
    """Set up "is it the right label": the most probable one, on the very rows of the report's accuracy."""
    truth = most_probable(labels)
    known = np.asarray(truth >= 0, dtype=np.bool_)
    said = [np.equal(_choices(model, target)[known], truth[known]) for model in (one, other)]
    return _decided(CLASS_DECISION, known, np.ones(int(known.sum()), dtype=np.bool_), said, (one, other))


def _decided(
    names: Sequence[str],
    known: BoolArray,
    positives: BoolArray,
    said: Sequence[BoolArray],
    models: Sequence[Judged],
) -> _Pair:
    """Put what both say of the known rows together; where one failed, it was wrong."""
    made, right = [], []
    for model, flagged in zip(models, said, strict=True):
        decided = np.asarray(np.where(model.failed[known], ~positives, flagged), dtype=np.bool_)
        made.append(Bootstrapped(known, DecisionStatistics(decided, positives) if known.any() else None))
        right.append(np.asarray(decided == positives, dtype=np.bool_))
    return _Pair(names, made[0], made[1], (right[0], right[1]))


def _choices(model: Judged, target: Target) -> IntArray:
    """Return the place (N,) of the label that a model names, -1 for none."""
    if model.choices is not None:
        return model.choices[target.name]
    if model.scores is not None and model.covered[target.name].all():
        scores = model.scores[target.name]
        return np.where(np.isnan(scores).any(axis=1), -1, np.nan_to_num(scores).argmax(axis=1))
    flags, negative = model.flags[target.name], target.negative_labels
    nothing = target.index(negative[0]) if len(negative) == 1 else -1
    number = flags.sum(axis=1)
    return np.where(number == 1, flags.argmax(axis=1), np.where(number == 0, nothing, -1))


def _tests(pairs: Sequence[_Pair]) -> dict[int, McNemar]:
    """Return the test of each pair with known rows, by its identity; adjusted over all of them."""
    tested = [pair for pair in pairs if len(pair.right[0])]
    counts = [pair.discordant() for pair in tested]
    raw = [mcnemar_p(*found) for found in counts]
    return {
        id(pair): McNemar(*found, p, adjusted)
        for pair, found, p, adjusted in zip(tested, counts, raw, holm(raw), strict=True)
    }


def _compared(found: _Measured, tests: Mapping[int, McNemar]) -> TargetComparison:
    name, decision = found.target.name, found.decision
    labels = {
        label: LabelComparison(
            name, label, pair.positives, pair.negatives, pair.differences(), tests.get(id(pair))
        )
        for label, pair in found.labels.items()
    }
    macro = _macro([pair for pair in found.labels.values() if pair.enough])
    if decision is None:
        return TargetComparison(name, labels, macro, {}, None)
    return TargetComparison(name, labels, macro, decision.differences(), tests.get(id(decision)))


def _macro(pairs: Sequence[_Pair]) -> dict[str, Difference]:
    """Average over labels, the values and each resample alike, over those whose metric is defined on both sides."""
    if len(pairs) < 2:
        return {}
    n = max(pair.one.n for pair in pairs)
    found = {}
    for name in pairs[0].names:
        values = _means([(pair.one.values[name], pair.other.values[name]) for pair in pairs])
        drawn = _means([(pair.one.resampled(name), pair.other.resampled(name)) for pair in pairs])
        one, other = (Interval.of(float(value), draws, n) for value, draws in zip(values, drawn, strict=True))
        difference = Interval.of(float(values[0] - values[1]), drawn[0] - drawn[1], n)
        found[str(name)] = Difference(one, other, difference)
    return found


def _means(sides: Sequence[tuple[float, float] | tuple[FloatArray, FloatArray]]) -> FloatArray:
    """Return both sides' means over the labels that neither lacks, (2,) or (2, R); NaN where none is left."""
    stacked = np.array(sides, dtype=np.float64)
    defined = ~np.isnan(stacked).any(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, stacked, 0.0).sum(axis=0) / defined.sum(axis=0), dtype=np.float64)
