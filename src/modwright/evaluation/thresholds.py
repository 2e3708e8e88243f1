"""Thresholds: from which calibrated score on a label is flagged, and what that was chosen for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from modwright.errors import SchemaError, nearest
from modwright.evaluation.cuts import best_f1, best_f1_bagged
from modwright.schema import BoolArray, FloatArray, Schema, Target, TargetKind, check_keys

__all__ = ["OperatingPoint", "best_f1", "best_f1_bagged", "choose_thresholds", "flags"]

#: Name and aim of the operating point that `choose_thresholds` gives.
DEFAULT_NAME = "default"
BEST_F1 = "best F1 out of fold"
#: Below this many positives (or negatives) a label's own best threshold is mostly noise: it is drawn towards
#: the shared one.
FEW = 10
#: The shared threshold where a target has no positive at all to choose one by.
NO_EVIDENCE = 0.5


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Named thresholds.

    Attributes:
        objective: what they were chosen for, in words.
        thresholds: target to label to the score from which on it is flagged; ``{}`` for single-label targets,
            where the most probable label is flagged; negative labels have none.
        shared: target to the labels whose threshold was drawn towards the one the target's labels share,
            because they have too few positives or negatives for one of their own.
    """

    name: str
    objective: str
    thresholds: dict[str, dict[str, float]]
    shared: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return all but the name as JSON-ready data."""
        return {
            "objective": self.objective,
            "thresholds": {target: dict(values) for target, values in self.thresholds.items()},
            "shared": {target: list(labels) for target, labels in self.shared.items()},
        }

    @classmethod
    def from_json(cls, name: str, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json` data.

        Raises:
            SchemaError: unknown or missing keys, or a threshold that is not a finite number.
        """
        where = f"operating point '{name}'"
        check_keys(data, {"objective", "thresholds", "shared"}, where)
        for part in ("thresholds", "shared"):
            if not isinstance(data[part], Mapping):
                raise SchemaError(f"{part} is {data[part]!r}, expected an object", where=where)
        thresholds = {
            target: _checked(values, f"{where}, {target}") for target, values in data["thresholds"].items()
        }
        shared = {target: tuple(labels) for target, labels in data["shared"].items()}
        return cls(name, str(data["objective"]), thresholds, shared)


def _checked(values: Any, where: str) -> dict[str, float]:
    if not isinstance(values, Mapping):
        raise SchemaError(f"found {values!r}, expected an object of label to threshold", where=where)
    for label, value in values.items():
        if type(value) not in (int, float) or not math.isfinite(value):
            raise SchemaError(f"threshold of '{label}' is {value!r}, expected a finite number", where=where)
    return {label: float(value) for label, value in values.items()}


def choose_thresholds(
    schema: Schema,
    scores: Mapping[str, FloatArray],
    labels: Mapping[str, FloatArray],
    weights: FloatArray | None = None,
) -> OperatingPoint:
    """Choose a threshold for every flaggable label of every multi-label target: best F1, bagged.

    A label with fewer than `FEW` positives or negatives gets a mean of its own threshold and the one its
    target's labels share (best F1 with their rows pooled), its own counting by how near it is to `FEW`; with
    none it gets the shared one.

    Args:
        scores: target to (N, L) calibrated scores of rows the model was not fitted on.
        labels: target to (N, L) values in 0..1, NaN unknown.
        weights: (N,) or None.
    """
    thresholds: dict[str, dict[str, float]] = {}
    shared: dict[str, tuple[str, ...]] = {}
    for target in schema.targets:
        thresholds[target.name] = {}
        if target.kind is TargetKind.SINGLE_LABEL:
            continue
        columns = _columns(target, scores[target.name], labels[target.name], weights, schema.positive_above)
        few = {label: found for label, column in columns.items() if (found := column.evidence) < FEW}
        common = _shared_threshold(columns) if few else NO_EVIDENCE
        for label, column in columns.items():
            share = min(few.get(label, FEW), FEW) / FEW
            own = best_f1_bagged(column.scores, column.positives, column.weights)[0] if share else common
            thresholds[target.name][label] = share * own + (1 - share) * common
        if few:
            shared[target.name] = tuple(few)
    return OperatingPoint(DEFAULT_NAME, BEST_F1, thresholds, shared)


@dataclass(frozen=True, slots=True)
class _Column:
    """The known rows of one label: scores, positives and weights are (n,)."""

    scores: FloatArray
    positives: BoolArray
    weights: FloatArray

    @property
    def evidence(self) -> int:
        """Return the number of positives or of negatives, the smaller; rows without weight do not count."""
        counting = self.positives[self.weights > 0]
        return min(int(counting.sum()), int((~counting).sum()))


def _columns(
    target: Target, scores: FloatArray, labels: FloatArray, weights: FloatArray | None, positive_above: float
) -> dict[str, _Column]:
    weights = np.ones(len(scores)) if weights is None else weights
    columns = {}
    for label in target.flaggable:
        values = labels[:, target.index(label)]
        known = ~np.isnan(values)
        columns[label] = _Column(
            scores[known, target.index(label)], values[known] > positive_above, weights[known]
        )
    return columns


def _shared_threshold(columns: Mapping[str, _Column]) -> float:
    """Return the best threshold of all labels' rows pooled; `NO_EVIDENCE` if all or none are positive."""
    pooled = _Column(
        np.concatenate([column.scores for column in columns.values()]),
        np.concatenate([column.positives for column in columns.values()]),
        np.concatenate([column.weights for column in columns.values()]),
    )
    if not pooled.evidence:
        return NO_EVIDENCE
    return best_f1_bagged(pooled.scores, pooled.positives, pooled.weights)[0]


def flags(target: Target, scores: FloatArray, thresholds: Mapping[str, float]) -> BoolArray:
    """Return which labels are flagged, (N, L).

    Multi-label: those whose score reaches their threshold; single-label: the most probable one. A negative
    label is never flagged; a single-label row whose most probable label is negative has no flag.

    Raises:
        SchemaError: a flaggable label of a multi-label target has no threshold.
    """
    flagged = np.zeros(scores.shape, dtype=np.bool_)
    if target.kind is TargetKind.SINGLE_LABEL:
        flagged[np.arange(len(scores)), scores.argmax(axis=1)] = True
    else:
        for label in target.flaggable:
            if label not in thresholds:
                raise SchemaError(
                    f"label '{label}' has no threshold",
                    where=f"target '{target.name}'",
                    remedy=nearest(label, thresholds),
                )
            flagged[:, target.index(label)] = scores[:, target.index(label)] >= thresholds[label]
    flagged[:, [target.index(label) for label in target.negative_labels]] = False
    return flagged
