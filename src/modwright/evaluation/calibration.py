"""Calibration: turns a model's raw scores into probabilities that mean what they say.

Multi-label targets get Platt scaling per label, ``sigmoid(slope * logit(p) + intercept)`` (Platt 1999,
"Probabilistic outputs for support vector machines"). Single-label targets get one temperature and a bias per
class, ``softmax(slope * log(p) + intercept)`` with ``slope = 1 / temperature`` (Guo et al. 2017, "On
calibration of modern neural networks"). Both are fitted under a Gaussian prior on ``log(slope)`` and
``intercept`` that is centred on the identity: a label with few positives stays where it was, and a slope is
always above zero, so that a label's ranking is never reversed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np

from modwright.errors import SchemaError, UsageError
from modwright.evaluation.newton import Curvature, minimise
from modwright.schema import FloatArray, Target, TargetKind, check_keys

#: Scores are clipped this far from 0 and 1 before their logarithm is taken.
CLIP = 1e-6
#: Precision (1 / variance) of the prior on log(slope) and intercept: it weighs as much as the evidence of
#: about this many positives of a rare label.
PRIOR_PRECISION = 4.0


class CalibrationMethod(StrEnum):
    """How raw scores become probabilities; it follows from the target's kind."""

    PLATT = "platt"  # multi-label: slope and intercept per label, on logits
    TEMPERATURE = "temperature"  # single-label: one slope, an intercept per class, on log-probabilities

    @classmethod
    def of(cls, target: Target) -> Self:
        """Return the method of a target."""
        return cls.PLATT if target.kind is TargetKind.MULTI_LABEL else cls.TEMPERATURE


@dataclass(frozen=True, slots=True)
class TargetCalibration:
    """The calibration of one target.

    Attributes:
        labels: in the target's order.
        slopes: above zero; one per label for Platt, exactly one (1 / temperature) for temperature.
        intercepts: one per label.
    """

    method: CalibrationMethod
    labels: tuple[str, ...]
    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]

    @classmethod
    def identity(cls, target: Target) -> Self:
        """Return the calibration that changes nothing but what lies within `CLIP` of 0 and 1."""
        method = CalibrationMethod.of(target)
        slopes = len(target.labels) if method is CalibrationMethod.PLATT else 1
        return cls(method, target.labels, (1.0,) * slopes, (0.0,) * len(target.labels))

    def apply(self, scores: FloatArray) -> FloatArray:
        """Calibrate scores (N, L) in 0..1; returns (N, L) float64 in 0..1, single-label rows summing to 1.

        Raises:
            UsageError: the scores have another number of columns than there are labels.
        """
        scores = np.asarray(scores, dtype=np.float64)
        if scores.ndim != 2 or scores.shape[1] != len(self.labels):
            raise UsageError(f"scores have shape {scores.shape}, expected (N, {len(self.labels)})")
        slopes, intercepts = np.array(self.slopes), np.array(self.intercepts)
        if self.method is CalibrationMethod.PLATT:
            return sigmoid(slopes * logit(scores) + intercepts)
        return softmax(slopes * np.log(np.clip(scores, CLIP, 1.0)) + intercepts)

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as JSON-ready data."""
        return {
            "method": str(self.method),
            "labels": list(self.labels),
            "slopes": list(self.slopes),
            "intercepts": list(self.intercepts),
        }

    @classmethod
    def from_json(cls, target: Target, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json` data.

        Raises:
            SchemaError: unknown or missing keys, other labels or another order than the target's, another
                method than its kind asks for, a wrong number of parameters, or one that is not finite or a
                slope not above zero.
        """
        where = f"calibration of target '{target.name}'"
        check_keys(data, {"method", "labels", "slopes", "intercepts"}, where)
        like = cls.identity(target)
        if data["method"] != like.method:
            raise SchemaError(
                f"method is {data['method']!r}, expected '{like.method}' for {target.kind}", where=where
            )
        if not isinstance(data["labels"], list) or tuple(data["labels"]) != target.labels:
            raise SchemaError(f"labels are {data['labels']!r}, expected {list(target.labels)!r}", where=where)
        slopes = _numbers(data["slopes"], len(like.slopes), f"{where}, key 'slopes'")
        intercepts = _numbers(data["intercepts"], len(like.intercepts), f"{where}, key 'intercepts'")
        if min(slopes) <= 0:
            raise SchemaError(f"a slope is {min(slopes)!r}, expected above zero", where=where)
        return cls(like.method, target.labels, slopes, intercepts)


def fit_calibration(
    target: Target, scores: FloatArray, labels: FloatArray, weights: FloatArray | None = None
) -> TargetCalibration:
    """Fit the calibration of one target; use scores of rows the model was not fitted on.

    Weights count relative to each other: they are scaled to a mean of 1, so that their unit does not move the
    prior.

    Args:
        scores: (N, L) raw probabilities.
        labels: (N, L) values in 0..1, soft ones count as they are, NaN where unknown. A multi-label cell is
            masked on its own, a single-label row as a whole.
        weights: (N,) not negative; None counts every row once.

    Raises:
        UsageError: the shapes do not fit each other or the target.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.shape != labels.shape or scores.ndim != 2 or scores.shape[1] != len(target.labels):
        raise UsageError(
            f"scores have shape {scores.shape} and labels {labels.shape}, "
            f"expected (N, {len(target.labels)}) for both",
            where=f"target '{target.name}'",
        )
    weights = np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=np.float64)
    if weights.shape != (len(scores),):
        raise UsageError(f"weights have shape {weights.shape}, expected ({len(scores)},)")
    if target.kind is TargetKind.SINGLE_LABEL:
        slope, intercepts = _fit_temperature(scores, labels, weights)
        return TargetCalibration(CalibrationMethod.TEMPERATURE, target.labels, (slope,), intercepts)
    fits = [_fit_platt(scores[:, i], labels[:, i], weights) for i in range(len(target.labels))]
    slopes, intercepts = tuple(fit[0] for fit in fits), tuple(fit[1] for fit in fits)
    return TargetCalibration(CalibrationMethod.PLATT, target.labels, slopes, intercepts)


def _fit_platt(scores: FloatArray, labels: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Fit one label's slope and intercept on its known rows; scores, labels and weights are (N,)."""
    known = ~np.isnan(labels) & (weights > 0)
    if not known.any():
        return 1.0, 0.0
    z, y, w = logit(scores[known]), labels[known], weights[known] / weights[known].mean()

    def curvature(theta: FloatArray) -> Curvature:
        design = np.stack([np.exp(theta[0]) * z, np.ones_like(z)], axis=1)
        activation = design[:, 0] + theta[1]
        p = sigmoid(activation)
        loss = float(w @ (np.logaddexp(0.0, activation) - y * activation))
        return _with_prior(theta, loss, design.T @ (w * (p - y)), (design.T * (w * p * (1 - p))) @ design)

    theta = minimise(curvature, np.zeros(2))
    return float(np.exp(theta[0])), float(theta[1])


def _fit_temperature(
    scores: FloatArray, labels: FloatArray, weights: FloatArray
) -> tuple[float, tuple[float, ...]]:
    """Fit the slope and the L intercepts of a single-label target on rows known as a whole."""
    total = labels.sum(axis=1)
    known = ~np.isnan(total) & (total > 0) & (weights > 0)
    size = labels.shape[1]
    if not known.any():
        return 1.0, (0.0,) * size
    z, y = np.log(np.clip(scores[known], CLIP, 1.0)), labels[known] / total[known, None]
    w = weights[known] / weights[known].mean()

    def curvature(theta: FloatArray) -> Curvature:
        scaled = np.exp(theta[0]) * z
        activation = scaled + theta[1:]
        q = softmax(activation)
        loss = float(w @ (_logsumexp(activation) - (y * activation).sum(axis=1)))
        residual = w[:, None] * (q - y)
        gradient = np.concatenate([[(residual * scaled).sum()], residual.sum(axis=0)])
        return _with_prior(theta, loss, gradient, _softmax_curvature(scaled, q, w))

    theta = minimise(curvature, np.zeros(size + 1))
    return float(np.exp(theta[0])), tuple(float(value) for value in theta[1:])


def _softmax_curvature(scaled: FloatArray, q: FloatArray, w: FloatArray) -> FloatArray:
    """Return the Gauss-Newton Hessian (1+L, 1+L): row by row J' (diag(q) - q q') J, J = [scaled, 1]."""
    centred = scaled - (q * scaled).sum(axis=1, keepdims=True)
    weighted = w[:, None] * q
    size = q.shape[1]
    hessian = np.empty((size + 1, size + 1))
    hessian[0, 0] = (weighted * centred * scaled).sum()
    hessian[0, 1:] = hessian[1:, 0] = (weighted * centred).sum(axis=0)
    hessian[1:, 1:] = np.diag(weighted.sum(axis=0)) - weighted.T @ q
    return hessian


def _with_prior(theta: FloatArray, loss: float, gradient: FloatArray, hessian: FloatArray) -> Curvature:
    """Add the Gaussian prior towards the identity, where every parameter is zero."""
    return Curvature(
        loss + PRIOR_PRECISION / 2 * float(theta @ theta),
        gradient + PRIOR_PRECISION * theta,
        hessian + PRIOR_PRECISION * np.eye(len(theta)),
    )


def logit(p: FloatArray) -> FloatArray:
    """Return log(p / (1 - p)) of probabilities clipped `CLIP` away from 0 and 1."""
    p = np.clip(p, CLIP, 1 - CLIP)
    return np.asarray(np.log(p) - np.log1p(-p), dtype=np.float64)


def sigmoid(x: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)), dtype=np.float64)


def softmax(x: FloatArray) -> FloatArray:
    """Return exp(x) over its sum along the last axis, without overflow."""
    return np.asarray(np.exp(x - _logsumexp(x)[..., None]), dtype=np.float64)


def _logsumexp(x: FloatArray) -> FloatArray:
    top = x.max(axis=-1)
    return np.asarray(top + np.log(np.exp(x - top[..., None]).sum(axis=-1)), dtype=np.float64)


def _numbers(values: Any, count: int, where: str) -> tuple[float, ...]:
    """Check a JSON list of finite numbers of a known length."""
    good = isinstance(values, list) and all(type(value) in (int, float) for value in values)
    if not good or len(values) != count or not np.isfinite(values).all():
        raise SchemaError(f"found {values!r}, expected {count} finite numbers", where=where)
    return tuple(float(value) for value in values)
