"""From the prevalence a model was calibrated at to the one it meets: prior shift.

Where texts with a label are rarer than in training, so are they among texts of any score: the odds of a calibrated
probability change by the ratio of the prior odds (Elkan 2001, "The foundations of cost-sensitive learning", theorem 2;
Saerens, Latinne and Decaestecker 2002, "Adjusting the outputs of a classifier to new a priori probabilities"). It is right
as long as texts with the label, and texts without it, look like those of training: only their shares differ. Labels of a
multi-label target are corrected each on its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from modwright.errors import SchemaError, UsageError
from modwright.schema import FloatArray, Target, TargetKind, check_keys

_MOST_ROUNDS = 1000
_SETTLED = 1e-9
_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class PriorShift:
    """Two prevalences of each of L labels, all above 0 and below 1; those of a single-label target sum to 1.

    Attributes:
        fitted: (L,) of the rows that calibrated.
        deployed: (L,) where the model works.
    """

    fitted: tuple[float, ...]
    deployed: tuple[float, ...]

    def apply(self, kind: TargetKind, scores: FloatArray) -> FloatArray:
        """Correct calibrated scores (N, L); single-label rows sum to 1 before and after."""
        return corrected(kind, scores, np.array(self.fitted), np.array(self.deployed))

    def to_json(self) -> dict[str, Any]:
        """Return both as JSON-ready data."""
        return {"fitted": list(self.fitted), "deployed": list(self.deployed)}

    @classmethod
    def from_json(cls, target: Target, data: Any, where: str) -> Self:
        """Rebuild from `to_json` data of a target; raises SchemaError for anything else."""
        where = f"{where}, key 'shift'"
        if not isinstance(data, Mapping):
            raise SchemaError(f"found {data!r}, expected an object or null", where=where)
        check_keys(data, {"fitted", "deployed"}, where)
        size = len(target.labels)
        for key in ("fitted", "deployed"):
            values = data[key]
            good = isinstance(values, list) and all(type(value) in (int, float) for value in values)
            if not good or len(values) != size or not all(0 < value < 1 for value in values):
                raise SchemaError(
                    f"{key} is {values!r}, expected {size} numbers between 0 and 1", where=where
                )
            if target.kind is TargetKind.SINGLE_LABEL and abs(sum(values) - 1) > _SUM_TOLERANCE:
                raise SchemaError(f"{key} sums to {sum(values):g}, expected 1", where=where)
        return cls(tuple(map(float, data["fitted"])), tuple(map(float, data["deployed"])))


def labels_held(target: Target, labels: FloatArray, positive_above: float) -> FloatArray:
    """Return which labels rows have, (N, L) of 0, 1 or NaN, for labels (N, L) in 0..1, NaN unknown.

    A row has a label of a multi-label target whose value is above `positive_above`. Of a single-label target it has the
    most probable one; a row with an unknown value, or without any, is NaN throughout.
    """
    if target.kind is TargetKind.MULTI_LABEL:
        return np.where(np.isnan(labels), np.nan, labels > positive_above)
    known = ~np.isnan(labels).any(axis=1) & (np.nan_to_num(labels).max(axis=1) > 0)
    one = np.eye(labels.shape[1])[np.nan_to_num(labels).argmax(axis=1)]
    return np.where(known[:, None], one, np.nan)


def corrected(kind: TargetKind, scores: FloatArray, fitted: FloatArray, deployed: FloatArray) -> FloatArray:
    """Return what calibrated scores (N, L) are at another prevalence.

    Args:
        kind: multi-label scores are corrected each on its own, single-label ones together.
        scores: in 0..1, single-label rows summing to 1.
        fitted, deployed: (L,) prevalences, above 0 and below 1.

    Raises:
        UsageError: shapes that do not fit, or a prevalence that is 0, 1 or beyond.
    """
    for word, values in (("fitted", fitted), ("deployed", deployed)):
        if values.shape != (scores.shape[-1],) or not ((values > 0) & (values < 1)).all():
            raise UsageError(
                f"the {word} prevalence is {values.tolist()}, expected {scores.shape[-1]} numbers between 0 and 1"
            )
    holds = scores * (deployed / fitted)
    if kind is TargetKind.SINGLE_LABEL:
        return np.asarray(holds / holds.sum(axis=1, keepdims=True), dtype=np.float64)
    holds_not = (1 - scores) * ((1 - deployed) / (1 - fitted))
    return np.asarray(holds / (holds + holds_not), dtype=np.float64)


def estimated_prevalence(kind: TargetKind, scores: FloatArray, fitted: FloatArray) -> FloatArray:
    """Return the prevalence (L,) that unlabelled texts seem to have, from their calibrated scores (N, L).

    The expectation-maximisation of Saerens, Latinne and Decaestecker (2002): scores are corrected to the estimate, and
    their mean is the next estimate, until it moves no more. It needs scores that were calibrated well at `fitted`.

    Raises:
        UsageError: no rows, or as `corrected`.
    """
    if not len(scores):
        raise UsageError("there are no scores to estimate a prevalence from")
    least = 1.0 / (10 * len(scores) + 10)
    deployed = np.array(fitted, dtype=np.float64)
    for _ in range(_MOST_ROUNDS):
        last = deployed
        deployed = np.clip(corrected(kind, scores, fitted, last).mean(axis=0), least, 1 - least)
        if kind is TargetKind.SINGLE_LABEL:
            deployed = deployed / deployed.sum()
        if float(np.abs(deployed - last).max()) < _SETTLED:
            break
    return deployed
