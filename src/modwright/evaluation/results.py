"""What an evaluation found, as data: per split, target and label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modwright.evaluation.binary import Metric
from modwright.evaluation.curves import Curves
from modwright.evaluation.resampling import Interval
from modwright.schema import IntArray, TargetKind

#: A label with fewer positives or negatives is "not enough evidence": shown, but not averaged or ranked.
MIN_EVIDENCE = 10


def evidence_note(positives: int, negatives: int) -> str:
    """Return why there is not enough evidence, empty where there is."""
    if not positives + negatives:
        return "no known rows"
    few = [
        f"{count or 'no'} {word}{'' if count == 1 else 's'}"
        for count, word in ((positives, "positive"), (negatives, "negative"))
        if count < MIN_EVIDENCE
    ]
    only = "only " if any(not one.startswith("no ") for one in few) else ""
    return f"{only}{' and '.join(few)}; judged from {MIN_EVIDENCE} on" if few else ""


@dataclass(frozen=True, slots=True)
class LabelEvaluation:
    """What one split says of one label.

    Attributes:
        negative: it says "nothing wrong"; kept out of macro averages.
        note: why the evidence is not enough; empty where it is.
        confusion: (2, 2) rows are truth no/yes, columns flagged no/yes; None for a label that is never
            flagged.
        ece_band: the calibration error that these scores would stay below in 95 % of draws if they were true
            probabilities; None where intervals were not asked for, fewer than two rows are known, labels are soft or
            rows come in groups.
        curves: None without known rows.
    """

    label: str
    negative: bool
    positives: int
    negatives: int
    unknown: int
    note: str
    metrics: Mapping[str, Interval]
    confusion: IntArray | None
    curves: Curves | None
    ece_band: float | None = None

    @property
    def within_band(self) -> bool | None:
        """Return whether the calibration error is one that true probabilities show by chance; None without a band."""
        error = self.metrics[Metric.ECE].value
        return None if self.ece_band is None or error is None else error <= self.ece_band

    @property
    def known(self) -> int:
        """Return the number of known rows."""
        return self.positives + self.negatives

    @property
    def enough(self) -> bool:
        """Return whether there are enough positives and negatives to judge by."""
        return not self.note

    @property
    def ranked(self) -> bool:
        """Return whether the label counts in macro averages and rankings."""
        return self.enough and not self.negative

    @property
    def always_flag_f1(self) -> float | None:
        """Return the F1 of flagging every row: what an F1 is worth here; None without known rows."""
        return 2 * self.positives / (self.known + self.positives) if self.known else None


@dataclass(frozen=True, slots=True)
class TargetEvaluation:
    """What one split says of one target.

    Attributes:
        labels: in label order.
        macro: mean over the labels that are ranked, each counting the same.
        decision: of the question "is any label flagged": f1, precision, recall, accuracy, and the shares of
            rows that are positive (prevalence) and flagged. A multi-label row is known if all labels are.
        accuracy: share of rows whose most probable label is the true one; None for multi-label targets.
        confusion: (L, L) rows are the true label, columns the most probable; None for multi-label targets.
        rows: of the split; known are those with at least one known label (single-label: all known).
    """

    target: str
    kind: TargetKind
    labels: Mapping[str, LabelEvaluation]
    macro: Mapping[str, Interval]
    decision: Mapping[str, Interval]
    accuracy: Interval | None
    confusion: IntArray | None
    rows: int
    known: int

    @property
    def ranking(self) -> tuple[str, ...]:
        """Return the labels with enough evidence, the one best told apart (highest ROC-AUC) first."""

        def separation(label: str) -> float:
            return self.labels[label].metrics[Metric.ROC_AUC].value or 0.0

        ranked = [name for name, found in self.labels.items() if found.ranked]
        return tuple(sorted(ranked, key=separation, reverse=True))


@dataclass(frozen=True, slots=True)
class SplitEvaluation:
    """What one split says of a model: a `TargetEvaluation` per target, and how the intervals came about.

    Attributes:
        units: how many things each resample draws: groups where ``grouped``, else rows.
    """

    targets: Mapping[str, TargetEvaluation]
    rows: int
    units: int
    grouped: bool
    resamples: int
    seed: int
