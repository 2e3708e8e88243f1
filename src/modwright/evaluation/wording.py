"""How numbers and findings are put into words, for the report and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modwright.evaluation.binary import Metric
from modwright.evaluation.resampling import Interval
from modwright.evaluation.results import LabelEvaluation, SplitEvaluation, TargetEvaluation
from modwright.render.words import UNDEFINED, count, number, percent
from modwright.schema import Target, TargetKind

#: A sample with fewer labelled rows, or whose F1 interval is wider, is called small.
_SMALL_ROWS = 500
_WIDE = 0.1
#: Below this width an interval is worth a third decimal.
_NARROW = 0.02
#: A threshold below this is told by its first digits: where a label is rare, it may be 0.0004.
_SMALL_CUT = 0.01


def decimals(interval: Interval) -> int:
    """Return 3 decimals for values that are known that well or that small, else 2."""
    if interval.low is not None and interval.high is not None and interval.high - interval.low < _NARROW:
        return 3
    return 2


def span(interval: Interval) -> str:
    """Return the interval as ``0.60–0.67``, empty where there is none."""
    if interval.low is None or interval.high is None:
        return ""
    places = decimals(interval)
    between = " to " if interval.low < 0 else "–"  # a dash before a minus cannot be read
    return f"{number(interval.low, places)}{between}{number(interval.high, places)}"


def with_interval(interval: Interval) -> str:
    """Return ``0.64 (0.60–0.67)``."""
    value = number(interval.value, decimals(interval))
    return f"{value} ({span(interval)})" if span(interval) else value


def threshold(value: float | None) -> str:
    """Return a threshold; one above every possible score flags nothing, one of zero everything."""
    if value is None:
        return UNDEFINED
    if value > 1:
        return "never"
    return "always" if value <= 0 else cut(value)


def cut(value: float) -> str:
    """Return a score with three decimals, a small one with its first three digits."""
    return f"{value:.3g}" if 0 < value < _SMALL_CUT else number(value, 3)


def band(label: LabelEvaluation) -> str:
    """Return up to where the calibration error may be chance, and whether it is above."""
    if label.ece_band is None:
        return UNDEFINED
    told = number(label.ece_band, 3 if label.ece_band < _NARROW else 2)
    return told if label.within_band is not False else f"{told}: above"


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A number that a reader sees first, with what it means and what doing nothing clever would give."""

    name: str
    interval: Interval
    meaning: str
    baseline: float | None = None


def key_figures(target: Target, found: TargetEvaluation) -> list[KeyFigure]:
    """Return the few numbers that sum up a target."""
    figures = []
    if found.accuracy is not None:
        meaning = "of the rows get the right label"
        baseline = _most_frequent(found)
        if baseline is not None:
            meaning += f"; always answering the most frequent one would be right for {percent(baseline)}"
        figures.append(KeyFigure("Accuracy", found.accuracy, meaning, baseline))
    judged = found.decision[Metric.PREVALENCE].value is not None
    if judged and target.asks_for_flag:
        figures += _decision_figures(found)
    macro = found.macro[Metric.ROC_AUC]
    if macro.value is not None:
        over = "" if len(found.ranking) == 1 else f", mean of {len(found.ranking)} labels"
        meaning = f"how often a row with the label scores above one without{over}; guessing gives 0.50"
        figures.append(KeyFigure("ROC-AUC", macro, meaning, 0.5))
    return figures


def _decision_figures(found: TargetEvaluation) -> list[KeyFigure]:
    decision = found.decision
    prevalence = decision[Metric.PREVALENCE].value
    always = None if prevalence is None else 2 * prevalence / (1 + prevalence)
    both = "precision and recall in one number"
    if always is not None:
        both += f"; flagging every row would give {number(always)}"
    return [
        KeyFigure("Precision", decision[Metric.PRECISION], "of the rows it flags deserve it", prevalence),
        KeyFigure("Recall", decision[Metric.RECALL], "of the rows that deserve a flag are found"),
        KeyFigure("F1", decision[Metric.F1], both, always),
    ]


def _most_frequent(found: TargetEvaluation) -> float | None:
    if found.confusion is None or not found.confusion.sum():
        return None
    return float(found.confusion.sum(axis=1).max() / found.confusion.sum())


def sample_warning(found: TargetEvaluation) -> str:
    """Return what a reader must know about a small sample; empty where it is not small."""
    if not found.known:
        return "No row of this split is labelled for this target, so nothing can be said about it."
    name, judged = "F1", found.decision[Metric.F1]
    if found.accuracy is not None:
        name, judged = "Accuracy", found.accuracy
    elif found.decision[Metric.PREVALENCE].value is None:
        return "No row has all its labels known, so only each label by itself can be judged."
    if judged.low is None or judged.high is None:
        return f"The sample is too small for an interval: {count(found.known)} labelled rows."
    if found.known >= _SMALL_ROWS and judged.high - judged.low <= _WIDE:
        return ""
    small = f"This is a small sample: {count(found.known)} labelled rows. {name}"
    low, high = number(judged.low), number(judged.high)
    if low == high:
        return f"{small} is {low} in every resample, which rows as few as these easily show."
    return f"{small} could as well have come out anywhere between {low} and {high}; smaller differences say nothing."


def drawn_from(evaluation: SplitEvaluation) -> str:
    """Return how the intervals came about, in one sentence."""
    if not evaluation.resamples:
        return "No intervals were worked out."
    units = "groups of rows that belong together" if evaluation.grouped else "rows"
    return (
        f"Intervals hold the middle 95\u202f% of {count(evaluation.resamples)} bootstrap resamples of "
        f"{count(evaluation.units)} {units}."
    )


def question(target: Target) -> str:
    """Return what kind of question the target asks."""
    many = len(target.labels)
    if target.kind is TargetKind.SINGLE_LABEL:
        return f"Which one of {many} labels holds?"
    return f"Which of {many} labels hold, any number of them?" if many > 1 else "Does the one label hold?"


def flagged_sentence(target: Target, found: TargetEvaluation) -> str:
    """Return how much is flagged and how much should be."""
    if not target.asks_for_flag and target.kind is TargetKind.SINGLE_LABEL:
        return f"Each row gets the most probable of its {len(target.labels)} labels."
    decision = found.decision
    if decision[Metric.PREVALENCE].value is None:
        return f"It flags {percent(decision['flagged'].value)} of all rows; how many should be is not known."
    return (
        f"It flags {percent(decision['flagged'].value)} of all rows; by the labels, "
        f"{percent(decision[Metric.PREVALENCE].value)} should be."
    )


def no_better_than_flagging_all(target: Target, found: TargetEvaluation) -> str:
    """Return a sentence where F1 does not clearly beat flagging every row; empty where it does."""
    f1, prevalence = found.decision[Metric.F1], found.decision[Metric.PREVALENCE].value
    if (
        not target.asks_for_flag
        or f1.low is None
        or not prevalence
        or f1.low > 2 * prevalence / (1 + prevalence)
    ):
        return ""
    return (
        f"With {percent(prevalence)} of the rows deserving a flag, flagging every row would do about as well "
        "on F1; precision and ROC-AUC say what the model adds."
    )


def bin_rows(label: LabelEvaluation) -> str:
    """Return how many rows the reliability bins hold, such as ``57–61``."""
    rows = [found.rows for found in label.curves.bins] if label.curves else [0]
    low, high = min(rows), max(rows)
    return count(low) if low == high else f"{count(low)}–{count(high)}"


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One line of a summary table, every cell as text; ``note`` is empty where the evidence is enough."""

    split: str
    target: str
    label: str
    rows: str
    positives: str
    f1: str
    always_flag_f1: str
    roc_auc: str
    average_precision: str
    ece: str
    note: str


def summary_rows(evaluations: Mapping[str, SplitEvaluation]) -> list[SummaryRow]:
    """Return a line per split, target and label that may be flagged, and one with the macro average per
    target.

    The macro line's label is ``macro``, its positives are empty. Text is a user's own: escape it for where it
    goes.
    """
    rows = []
    for split, evaluation in evaluations.items():
        for name, target in evaluation.targets.items():
            rows += [_label_row(split, name, label) for label in target.labels.values() if not label.negative]
            if len(target.ranking) > 1:
                rows.append(_macro_row(split, target))
    return rows


def _label_row(split: str, target: str, label: LabelEvaluation) -> SummaryRow:
    return SummaryRow(
        split,
        target,
        label.label,
        str(label.known),
        str(label.positives),
        with_interval(label.metrics[Metric.F1]),
        number(label.always_flag_f1),
        with_interval(label.metrics[Metric.ROC_AUC]),
        with_interval(label.metrics[Metric.AVERAGE_PRECISION]),
        with_interval(label.metrics[Metric.ECE]),
        label.note and f"not enough evidence: {label.note}",
    )


def _macro_row(split: str, target: TargetEvaluation) -> SummaryRow:
    metrics = (Metric.F1, Metric.ROC_AUC, Metric.AVERAGE_PRECISION, Metric.ECE)
    f1, auc, precision, ece = (with_interval(target.macro[metric]) for metric in metrics)
    rows, note = str(target.known), f"mean of {len(target.ranking)} labels"
    return SummaryRow(split, target.target, "macro", rows, "", f1, "", auc, precision, ece, note)
