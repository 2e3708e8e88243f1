"""Where a model does better and worse: its figures on parts of a split, and how far they lie from those on all rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modwright.evaluation.binary import LabelStatistics, Metric
from modwright.evaluation.measuring import Bootstrapped, DecisionStatistics, Statistics
from modwright.evaluation.rates import FlagRates, Rate, Together, gap, is_clear
from modwright.evaluation.resampling import RESAMPLES, SEED, Interval, Resampler
from modwright.evaluation.results import MIN_EVIDENCE, evidence_note
from modwright.evaluation.samples import Decision, KnownRows, decision_of, samples_of
from modwright.evaluation.scored import ScoredSplit
from modwright.evaluation.slicing import Slicing
from modwright.schema import Target

#: Stands where a label's name would, for what is asked of the target: is any label flagged, and does any hold?
DECISION = ""
#: Figures that do not depend on how frequent the label is, so that parts can be compared by them.
COMPARED: tuple[str, ...] = (Rate.RECALL, Rate.FALSE_POSITIVE, Metric.ROC_AUC)


@dataclass(frozen=True, slots=True)
class PartFigures:
    """What the rows of one part say of one label.

    Attributes:
        part: its name; None for all rows of the split.
        label: its name, or `DECISION`.
        positives, negatives: known rows.
        metrics: every figure with its interval.
        gaps: of `COMPARED`: how much higher it is in the part than over all rows, paired by resample; empty for all
            rows.
    """

    part: str | None
    label: str
    positives: int
    negatives: int
    metrics: Mapping[str, Interval]
    gaps: Mapping[str, Interval]

    @property
    def known(self) -> int:
        """Return the number of known rows."""
        return self.positives + self.negatives

    @property
    def note(self) -> str:
        """Return why the evidence is not enough; empty where it is."""
        return evidence_note(self.positives, self.negatives)

    def rests_on_enough(self, metric: str) -> bool:
        """Say whether a figure of `COMPARED` has the rows it needs: recall positives, false alarms negatives."""
        needed = {str(Rate.RECALL): self.positives, str(Rate.FALSE_POSITIVE): self.negatives}
        return needed.get(metric, min(self.positives, self.negatives)) >= MIN_EVIDENCE

    def to_json(self) -> dict[str, Any]:
        """Return all but the names, as JSON-ready data."""
        return {
            "positives": self.positives,
            "negatives": self.negatives,
            "enough": not self.note,
            "note": self.note,
            "metrics": {str(name): found.to_json() for name, found in self.metrics.items()},
            "gaps": {str(name): found.to_json() for name, found in self.gaps.items()},
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of a part beside that of all rows."""

    slicing: str
    target: str
    metric: str
    figures: PartFigures
    whole: PartFigures

    @property
    def gap(self) -> Interval:
        """Return how much higher it is in the part."""
        return self.figures.gaps[self.metric]

    @property
    def worse(self) -> bool:
        """Return whether the part does worse: finds less, flags more without reason, or tells apart less well."""
        value = self.gap.value or 0.0
        return value > 0 if self.metric == Rate.FALSE_POSITIVE else value < 0

    @property
    def clear(self) -> bool:
        """Return whether it is more than chance is likely to make."""
        figures, reference = self.figures, self.whole.metrics[self.metric]
        return is_clear(self.metric, self.gap, reference, figures.positives, figures.negatives)


@dataclass(frozen=True, slots=True)
class TargetSlices:
    """What the parts of one slicing say of one target.

    Attributes:
        rows: of each part, in their order.
        whole: label to the figures over all rows.
        parts: label to the figures of every part, in their order; the first label is `DECISION` where several
            labels may be flagged.
    """

    slicing: Slicing
    target: str
    rows: tuple[int, ...]
    whole: Mapping[str, PartFigures]
    parts: Mapping[str, tuple[PartFigures, ...]]

    def compared(self) -> list[Difference]:
        """Return every comparison of a part with all rows that rests on enough rows and has an interval."""
        if len(self.slicing.parts) < 2:
            return []
        return [
            Difference(self.slicing.name, self.target, metric, part, self.whole[label])
            for label, parts in self.parts.items()
            for part in parts
            for metric, found in part.gaps.items()
            if part.rests_on_enough(metric) and found.low is not None
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the slicing's note, the figures over all rows and those of the parts, as JSON-ready data."""
        parts = [
            {"part": name, "rows": self.rows[place]}
            | _by_label({label: found[place] for label, found in self.parts.items()})
            for place, name in enumerate(self.slicing.parts)
        ]
        return {"note": self.slicing.note, "all": _by_label(self.whole), "parts": parts}


def _by_label(figures: Mapping[str, PartFigures]) -> dict[str, Any]:
    decision = figures.get(DECISION)
    return {
        "decision": None if decision is None else decision.to_json(),
        "labels": {label: found.to_json() for label, found in figures.items() if label != DECISION},
    }


def differences(slices: Sequence[TargetSlices]) -> tuple[list[Difference], int]:
    """Return the clear differences, the clearest first, and how many comparisons were made.

    The clearer, the farther its interval lies from zero. Of comparisons where nothing differs up to one in twenty looks
    clear by chance alone.
    """
    made = [one for found in slices for one in found.compared()]
    clear = [one for one in made if one.clear]
    return sorted(clear, key=lambda one: -_distance(one.gap)), len(made)


def _distance(interval: Interval) -> float:
    return min(abs(interval.low or 0.0), abs(interval.high or 0.0))


def evaluate_slices(
    split: ScoredSplit, slicings: Sequence[Slicing], *, resamples: int = RESAMPLES, seed: int = SEED
) -> list[TargetSlices]:
    """Measure a split's parts, by slicing and target; every row counts once and groups are resampled together.

    Args:
        slicings: of the split's rows.
        resamples: for the intervals; 0 gives values without intervals.
    """
    columns = {target.name: _columns(split, target, slicings) for target in split.schema}
    for counts in Resampler(len(split), split.groups, resamples, seed).counts():
        for column in (column for found in columns.values() for column in found):
            for measured in (column.whole, *(part for parts in column.parts for part in parts)):
                measured.take(counts)
    return [
        TargetSlices(
            slicing=slicing,
            target=target,
            rows=tuple(int(slicing.rows(part).sum()) for part in range(len(slicing.parts))),
            whole={column.label: _figures(None, column.label, column.whole) for column in found},
            parts={column.label: column.figures(slicing, place) for column in found},
        )
        for place, slicing in enumerate(slicings)
        for target, found in columns.items()
    ]


@dataclass(frozen=True, slots=True)
class _Column:
    """One label, or the decision, while it is measured: over all rows and, by slicing, within each part."""

    label: str
    whole: Bootstrapped[Statistics]
    parts: tuple[tuple[Bootstrapped[Statistics], ...], ...]

    @classmethod
    def of(cls, label: str, rows: KnownRows | Decision, slicings: Sequence[Slicing]) -> _Column:
        parts = tuple(
            tuple(_measured(rows.within(slicing.rows(part))) for part in range(len(slicing.parts)))
            for slicing in slicings
        )
        return cls(label, _measured(rows), parts)

    def figures(self, slicing: Slicing, place: int) -> tuple[PartFigures, ...]:
        """Gather what was measured of each part of a slicing."""
        found = zip(slicing.parts, self.parts[place], strict=True)
        return tuple(_figures(part, self.label, measured, self.whole) for part, measured in found)


def _columns(split: ScoredSplit, target: Target, slicings: Sequence[Slicing]) -> list[_Column]:
    """Set up the decision, where it asks more than a label by itself, and every label that may be flagged."""
    found = []
    if target.asks_for_flag and len(target.flaggable) > 1:
        found.append(_Column.of(DECISION, decision_of(split, target), slicings))
    samples = samples_of(split, target)
    return found + [_Column.of(label, samples[label], slicings) for label in target.flaggable]


def _measured(rows: KnownRows | Decision) -> Bootstrapped[Statistics]:
    statistics: Statistics | None = None
    if isinstance(rows, Decision):
        flagged, positives = rows.flagged[rows.known], rows.positives[rows.known]
        if rows.known.any():
            statistics = Together(DecisionStatistics(flagged, positives), FlagRates(flagged, positives))
    elif rows.sample is not None:
        sample = rows.sample
        statistics = Together(LabelStatistics(sample), FlagRates(sample.flagged, sample.positives))
    return Bootstrapped(rows.known, statistics)


def _figures(
    part: str | None,
    label: str,
    measured: Bootstrapped[Statistics],
    whole: Bootstrapped[Statistics] | None = None,
) -> PartFigures:
    """Gather what was measured, with the differences from the whole."""
    names = (whole or measured).values
    prevalence = measured.values.get(Metric.PREVALENCE, 0.0)
    positives = round(prevalence * measured.n)
    gaps = {} if whole is None else {name: gap(measured, whole, name) for name in COMPARED if name in names}
    return PartFigures(
        part=part,
        label=label,
        positives=positives,
        negatives=measured.n - positives,
        metrics={str(name): measured.interval(name) for name in names},
        gaps=gaps,
    )
