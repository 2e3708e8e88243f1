"""The content of metrics.json, as data: undefined values are null, never NaN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modwright.evaluation.binary import BINS
from modwright.evaluation.resampling import LEVEL
from modwright.evaluation.results import MIN_EVIDENCE, LabelEvaluation, SplitEvaluation, TargetEvaluation

#: How the calibration error is worked out, in one sentence.
ECE_METHOD = (
    "root mean squared calibration error over equal-mass bins, debiased as in Kumar et al. 2019 "
    "(Verified Uncertainty Calibration), negative squares taken as zero"
)


def metrics_json(evaluations: Mapping[str, SplitEvaluation]) -> dict[str, Any]:
    """Return the content of metrics.json for evaluations by split name.

    ``splits`` holds split, target, label, metric down to value, low, high and n. Beside it, by split and
    target: ``evidence``, ``calibration`` (the calibration error that true probabilities stay below in 95 % of
    draws, and whether this one does; null for soft labels and rows in groups) and ``baselines`` (F1 of
    flagging every row) per label, ``confusion`` (rows truth, columns decision), ``summary`` (macro averages
    and the decision "is anything flagged"), and ``settings`` of the measuring.
    """
    return {
        "splits": _per_label(evaluations, _metrics),
        "evidence": _per_label(evaluations, _evidence),
        "calibration": _per_label(evaluations, _calibration),
        "baselines": _per_label(evaluations, lambda label: {"always_flag_f1": label.always_flag_f1}),
        "confusion": _per_target(evaluations, _confusion),
        "summary": _per_target(evaluations, _summary),
        "settings": {
            "interval": "percentile bootstrap",
            "level": LEVEL,
            "ece": ECE_METHOD,
            "bins": BINS,
            "min_evidence": MIN_EVIDENCE,
            "splits": {name: _settings(evaluation) for name, evaluation in evaluations.items()},
        },
    }


def _per_target(
    evaluations: Mapping[str, SplitEvaluation], of: Callable[[TargetEvaluation], Any]
) -> dict[str, dict[str, Any]]:
    return {
        split: {name: of(target) for name, target in evaluation.targets.items()}
        for split, evaluation in evaluations.items()
    }


def _per_label(
    evaluations: Mapping[str, SplitEvaluation], of: Callable[[LabelEvaluation], Any]
) -> dict[str, dict[str, Any]]:
    return _per_target(evaluations, lambda target: {name: of(label) for name, label in target.labels.items()})


def _metrics(label: LabelEvaluation) -> dict[str, Any]:
    return {str(metric): interval.to_json() for metric, interval in label.metrics.items()}


def _calibration(label: LabelEvaluation) -> dict[str, Any]:
    return {"band": label.ece_band, "within": label.within_band}


def _evidence(label: LabelEvaluation) -> dict[str, Any]:
    return {
        "positives": label.positives,
        "negatives": label.negatives,
        "unknown": label.unknown,
        "enough": label.enough,
        "note": label.note,
    }


def _confusion(target: TargetEvaluation) -> dict[str, Any]:
    per_label = {
        name: None if label.confusion is None else label.confusion.tolist()
        for name, label in target.labels.items()
    }
    classes = None
    if target.confusion is not None:
        classes = {"labels": list(target.labels), "counts": target.confusion.tolist()}
    return {"labels": per_label, "classes": classes}


def _summary(target: TargetEvaluation) -> dict[str, Any]:
    return {
        "rows": target.rows,
        "known": target.known,
        "macro": {str(metric): interval.to_json() for metric, interval in target.macro.items()},
        "macro_labels": list(target.ranking),
        "decision": {str(name): interval.to_json() for name, interval in target.decision.items()},
        "accuracy": None if target.accuracy is None else target.accuracy.to_json(),
    }


def _settings(evaluation: SplitEvaluation) -> dict[str, Any]:
    return {
        "rows": evaluation.rows,
        "resampled": "groups" if evaluation.grouped else "rows",
        "units": evaluation.units,
        "resamples": evaluation.resamples,
        "seed": evaluation.seed,
    }
