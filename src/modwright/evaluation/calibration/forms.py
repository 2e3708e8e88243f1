"""A fitted calibration as data: what `calibration.json` holds per target and serving applies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

import numpy as np

from modwright.errors import SchemaError, UsageError
from modwright.evaluation.calibration.isotonic import Curve
from modwright.evaluation.calibration.links import log_clipped, logit, sigmoid, softmax
from modwright.evaluation.prevalence import PriorShift
from modwright.schema import FloatArray, Target, TargetKind, check_keys


class CalibrationMethod(StrEnum):
    """How raw scores of a label become probabilities, from the least to the most that is fitted."""

    NONE = "none"  # they stay as they are
    TEMPERATURE = "temperature"  # a slope
    PLATT = "platt"  # a slope and an intercept; single-label: one slope, an intercept per class
    ISOTONIC = "isotonic"  # a rising curve; single-label: one per class, brought to a sum of 1


@dataclass(frozen=True, slots=True)
class TargetCalibration:
    """The calibration of one target.

    Attributes:
        kind: of the target.
        labels: L of them, in the target's order.
        methods: (L,) per label; of a single-label target all the same.
        slopes, intercepts: (L,) slopes are above zero, of a single-label target all the same; 1 and 0 where a method
            has none.
        curves: (L,) of isotonic labels, None for others.
        shift: from the prevalence of the rows it was fitted on to the deployment's; None where none was stated.
    """

    kind: TargetKind
    labels: tuple[str, ...]
    methods: tuple[CalibrationMethod, ...]
    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]
    curves: tuple[Curve | None, ...]
    shift: PriorShift | None = None

    @classmethod
    def identity(cls, target: Target) -> Self:
        """Return the calibration that changes nothing but what lies within `CLIP` of 0 and 1."""
        size = len(target.labels)
        return cls(
            target.kind,
            target.labels,
            (CalibrationMethod.NONE,) * size,
            (1.0,) * size,
            (0.0,) * size,
            (None,) * size,
        )

    def apply(self, scores: FloatArray) -> FloatArray:
        """Calibrate scores (N, L) in 0..1; returns (N, L) float64 in 0..1, single-label rows summing to 1.

        Raises:
            UsageError: the scores have another number of columns than there are labels.
        """
        scores = np.asarray(scores, dtype=np.float64)
        if scores.ndim != 2 or scores.shape[1] != len(self.labels):
            raise UsageError(f"scores have shape {scores.shape}, expected (N, {len(self.labels)})")
        calibrated = self._single(scores) if self.kind is TargetKind.SINGLE_LABEL else self._multi(scores)
        return calibrated if self.shift is None else self.shift.apply(self.kind, calibrated)

    def shifted(self, shift: PriorShift | None) -> Self:
        """Return the same calibration for another deployment prevalence."""
        return replace(self, shift=shift)

    def _multi(self, scores: FloatArray) -> FloatArray:
        z = logit(scores)
        activation = np.array(self.slopes) * z + np.array(self.intercepts)
        for place, curve in enumerate(self.curves):
            if curve is not None:
                activation[:, place] = curve.apply(z[:, place])
        return sigmoid(activation)

    def _single(self, scores: FloatArray) -> FloatArray:
        if CalibrationMethod.ISOTONIC not in self.methods:
            return softmax(np.array(self.slopes) * log_clipped(scores) + np.array(self.intercepts))
        each = self._multi(scores)
        return np.asarray(each / each.sum(axis=1, keepdims=True), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as JSON-ready data."""
        named = zip(self.labels, self.curves, strict=True)
        return {
            "labels": list(self.labels),
            "methods": [str(method) for method in self.methods],
            "slopes": list(self.slopes),
            "intercepts": list(self.intercepts),
            "curves": {label: curve.to_json() for label, curve in named if curve is not None},
            "shift": None if self.shift is None else self.shift.to_json(),
        }

    @classmethod
    def from_json(cls, target: Target, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json` data.

        Raises:
            SchemaError: unknown or missing keys, other labels or another order than the target's, an unknown method or
                one that its kind does not have, curves of other labels than the isotonic ones, a wrong number of
                parameters, or one that is not finite or a slope not above zero.
        """
        where = f"calibration of target '{target.name}'"
        check_keys(data, {"labels", "methods", "slopes", "intercepts", "curves", "shift"}, where)
        if not isinstance(data["labels"], list) or tuple(data["labels"]) != target.labels:
            raise SchemaError(f"labels are {data['labels']!r}, expected {list(target.labels)!r}", where=where)
        size = len(target.labels)
        methods = _methods(target, data["methods"], where)
        slopes = numbers(data["slopes"], size, f"{where}, key 'slopes'")
        if min(slopes) <= 0:
            raise SchemaError(f"a slope is {min(slopes)!r}, expected above zero", where=where)
        shift = None if data["shift"] is None else PriorShift.from_json(target, data["shift"], where)
        return cls(
            target.kind,
            target.labels,
            methods,
            slopes,
            numbers(data["intercepts"], size, f"{where}, key 'intercepts'"),
            _curves(target, methods, data["curves"], where),
            shift,
        )


def _methods(target: Target, values: Any, where: str) -> tuple[CalibrationMethod, ...]:
    known = isinstance(values, list) and all(value in list(CalibrationMethod) for value in values)
    if not known or len(values) != len(target.labels):
        expected = f"{len(target.labels)} of {', '.join(CalibrationMethod)}"
        raise SchemaError(f"methods are {values!r}, expected {expected}", where=where)
    if target.kind is TargetKind.SINGLE_LABEL and len(set(values)) > 1:
        raise SchemaError(f"methods are {values!r}, expected one for all labels", where=where)
    return tuple(map(CalibrationMethod, values))


def _curves(
    target: Target, methods: tuple[CalibrationMethod, ...], data: Any, where: str
) -> tuple[Curve | None, ...]:
    if not isinstance(data, Mapping):
        raise SchemaError(f"curves are {data!r}, expected an object", where=where)
    named = zip(target.labels, methods, strict=True)
    isotonic = {label for label, method in named if method is CalibrationMethod.ISOTONIC}
    check_keys(data, isotonic, f"{where}, curves")
    return tuple(
        Curve.from_json(data[label], f"{where}, curve of '{label}'") if label in isotonic else None
        for label in target.labels
    )


def numbers(values: Any, count: int, where: str) -> tuple[float, ...]:
    """Check a JSON list of finite numbers of a known length; raises SchemaError."""
    good = isinstance(values, list) and all(type(value) in (int, float) for value in values)
    if not good or len(values) != count or not np.isfinite(values).all():
        raise SchemaError(f"found {values!r}, expected {count} finite numbers", where=where)
    return tuple(float(value) for value in values)
