"""What a manager reads: what the model would do to a thousand texts, and what to know before relying on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from modwright.evaluation.binary import Metric
from modwright.evaluation.results import LabelEvaluation, SplitEvaluation, TargetEvaluation
from modwright.evaluation.sections import Section
from modwright.evaluation.wording import no_better_than_flagging_all, sample_warning, with_interval
from modwright.render.words import number
from modwright.schema import Schema, Target

#: A calibration error whose interval lies above this is worth a sentence.
_BADLY_CALIBRATED = 0.05
#: A ROC-AUC whose interval reaches this says no more than guessing.
_GUESSING = 0.5
_THOUSAND = 1000


def per_thousand(target: Target, found: TargetEvaluation) -> str:
    """Return what happens to a thousand texts like these, in whole texts; empty where it is not known."""
    decision = found.decision
    share, recall, right = (decision[name].value for name in (Metric.PREVALENCE, Metric.RECALL, "accuracy"))
    if found.accuracy is not None and not target.asks_for_flag:
        if found.accuracy.value is None:
            return ""
        return f"Of 1,000 texts like these, {round(_THOUSAND * found.accuracy.value):,} get the right label."
    if share is None or recall is None or right is None:
        return ""
    found_share = share * recall
    wrong_share = max(0.0, (1 - share) - (right - found_share))  # of those without a label, what is not right
    deserving, hits, wrong = (round(_THOUSAND * part) for part in (share, found_share, wrong_share))
    return (
        f"Of 1,000 texts like these, {deserving:,} deserve a flag. The model flags {hits + wrong:,}: {hits:,} rightly and "
        f"{wrong:,} wrongly; it misses {max(0, deserving - hits):,}."
    )


def warnings(
    schema: Schema, split: str, evaluation: SplitEvaluation, fitted_on: Collection[str] = ()
) -> list[str]:
    """Return what to know before relying on a split's figures, a sentence or two each, the gravest first."""
    found = []
    if split in fitted_on:
        found.append("The model was fitted on rows of this split; only unseen rows show how it does.")
    for target in schema:
        figures = evaluation.targets[target.name]
        where = f"{target.name}: " if len(schema.targets) > 1 else ""
        sentences = [
            *(sample_warning(figures), no_better_than_flagging_all(target, figures)),
            *(*doubts(figures), _thin(figures)),
        ]
        found += [where + sentence for sentence in sentences if sentence]
    return found


def doubts(found: TargetEvaluation) -> list[str]:
    """Return of which labels the model knows nothing, and whose scores cannot be taken as probabilities."""
    ranked = [label for label in found.labels.values() if label.ranked]
    told = [_guessing(label) for label in ranked] + [_calibration(label) for label in ranked]
    return [sentence for sentence in told if sentence]


def _thin(found: TargetEvaluation) -> str:
    thin = [label.label for label in found.labels.values() if not label.enough]
    return f"Not enough evidence to judge: {', '.join(thin)}." if thin else ""


def _guessing(label: LabelEvaluation) -> str:
    area = label.metrics[Metric.ROC_AUC]
    if area.low is None or area.low > _GUESSING:
        return ""
    return f"For {label.label} it may be no better than guessing: ROC-AUC {with_interval(area)}."


def _calibration(label: LabelEvaluation) -> str:
    error = label.metrics[Metric.ECE]
    if error.low is None or error.low <= _BADLY_CALIBRATED or label.within_band:
        return ""
    return (
        f"Scores of {label.label} are off by about {number(error.value)}: a score of 0.80 does not hold for 80 of 100 "
        "such texts here."
    )


def headlines(sections: Sequence[Section]) -> list[str]:
    """Return what the further measurements have to tell, a sentence each."""
    return [section.headline for section in sections if section.headline]


def best_and_worst(found: TargetEvaluation) -> str:
    """Return which label is told apart best and which worst; empty with fewer than two to compare."""
    if len(found.ranking) < 2:
        return ""
    best, worst = (found.labels[found.ranking[place]] for place in (0, -1))
    high, low = (with_interval(label.metrics[Metric.ROC_AUC]) for label in (best, worst))
    return f"It tells {best.label} apart best, with a ROC-AUC of {high}, and {worst.label} worst, with {low}."


def sentences(schema: Schema, evaluations: Mapping[str, SplitEvaluation]) -> dict[str, list[str]]:
    """Return by split what the model would do, a sentence or two per target."""
    told: dict[str, list[str]] = {}
    for split, evaluation in evaluations.items():
        told[split] = []
        for target in schema:
            found = evaluation.targets[target.name]
            parts = [part for part in (per_thousand(target, found), best_and_worst(found)) if part]
            if parts:
                where = f"{target.name}: " if len(schema.targets) > 1 else ""
                told[split].append(where + " ".join(parts))
    return told
