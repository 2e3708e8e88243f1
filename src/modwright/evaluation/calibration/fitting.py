"""How calibrations are fitted: which method a label's rows can bear, and its parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modwright.errors import UsageError
from modwright.evaluation.calibration.forms import CalibrationMethod, TargetCalibration
from modwright.evaluation.calibration.isotonic import Curve, fit_curve
from modwright.evaluation.calibration.links import log_clipped, logit, logsumexp, sigmoid, softmax
from modwright.evaluation.newton import Curvature, minimise
from modwright.schema import BoolArray, FloatArray, Target, TargetKind

#: Precision (1 / variance) of the prior on log(slope) and intercept: it weighs as much as the evidence of
#: about this many positives of a rare label.
PRIOR_PRECISION = 4.0


@dataclass(frozen=True, slots=True)
class CalibrationRule:
    """Which method a label gets.

    Attributes:
        method: for every label; None chooses by evidence.
        platt_from, isotonic_from: positives and negatives, the fewer of the two, from which on these are chosen; below
            the first it is a temperature.
    """

    method: CalibrationMethod | None = CalibrationMethod.PLATT
    platt_from: int = 0
    isotonic_from: int = 0

    def choose(self, evidence: float) -> CalibrationMethod:
        """Return the method for so many positives or negatives, the fewer of the two."""
        if self.method is not None:
            return self.method
        if not evidence:
            return CalibrationMethod.NONE
        if evidence >= self.isotonic_from:
            return CalibrationMethod.ISOTONIC
        return CalibrationMethod.PLATT if evidence >= self.platt_from else CalibrationMethod.TEMPERATURE


#: Slope and intercept for every label, whatever its evidence.
ALWAYS_PLATT = CalibrationRule()


@dataclass(frozen=True, slots=True)
class _Fit:
    """The parameters of one label, or of all labels of a single-label target."""

    slope: float = 1.0
    intercepts: tuple[float, ...] = (0.0,)


def fit_calibration(
    target: Target,
    scores: FloatArray,
    labels: FloatArray,
    weights: FloatArray | None = None,
    rule: CalibrationRule = ALWAYS_PLATT,
) -> TargetCalibration:
    """Fit the calibration of one target; use scores of rows the model was not fitted on.

    Weights count relative to each other: they are scaled to a mean of 1, so that their unit does not move the
    prior.

    Args:
        scores: (N, L) raw probabilities.
        labels: (N, L) values in 0..1, soft ones count as they are, NaN where unknown. A multi-label cell is
            masked on its own, a single-label row as a whole.
        weights: (N,) not negative; None counts every row once.
        rule: which method a label gets. A single-label target gets one, by its rarest class.

    Raises:
        UsageError: the shapes do not fit each other or the target.
    """
    scores, weights = np.asarray(scores, dtype=np.float64), _checked(target, scores, labels, weights)
    if target.kind is TargetKind.SINGLE_LABEL:
        return _single(target, scores, labels, weights, rule)
    size = len(target.labels)
    methods, fits, curves = [], [], []
    for place in range(size):
        known = ~np.isnan(labels[:, place]) & (weights > 0)
        z, y, w = logit(scores[known, place]), labels[known, place], _scaled(weights, known)
        method = rule.choose(_evidence(y, w)) if known.any() else CalibrationMethod.NONE
        methods.append(method)
        curves.append(fit_curve(z, y, w) if method is CalibrationMethod.ISOTONIC else None)
        fits.append(_fit_slope(z, y, w, method))
    return TargetCalibration(
        target.kind,
        target.labels,
        tuple(methods),
        tuple(fit.slope for fit in fits),
        tuple(fit.intercepts[0] for fit in fits),
        tuple(curves),
    )


def whole_rows(labels: FloatArray) -> BoolArray:
    """Return which rows (N,) of single-label labels (N, L) are known as a whole."""
    total = labels.sum(axis=1)
    return np.asarray(~np.isnan(total) & (total > 0), dtype=np.bool_)


def _single(
    target: Target, scores: FloatArray, labels: FloatArray, weights: FloatArray, rule: CalibrationRule
) -> TargetCalibration:
    known, size = whole_rows(labels) & (weights > 0), len(target.labels)
    if not known.any():
        return TargetCalibration.identity(target)
    raw, w = scores[known], _scaled(weights, known)
    y = labels[known] / labels[known].sum(axis=1, keepdims=True)
    method = rule.choose(min(_evidence(y[:, place], w) for place in range(size)))
    curves: tuple[Curve | None, ...] = (None,) * size
    if method is CalibrationMethod.ISOTONIC:
        curves = tuple(fit_curve(logit(raw[:, place]), y[:, place], w) for place in range(size))
    fit = _fit_classes(log_clipped(raw), y, w, method)
    return TargetCalibration(
        target.kind, target.labels, (method,) * size, (fit.slope,) * size, fit.intercepts, curves
    )


def _checked(
    target: Target, scores: FloatArray, labels: FloatArray, weights: FloatArray | None
) -> FloatArray:
    """Return the weights (N,); raises UsageError where shapes do not fit."""
    shape = np.shape(scores)
    if shape != labels.shape or len(shape) != 2 or shape[1] != len(target.labels):
        raise UsageError(
            f"scores have shape {shape} and labels {labels.shape}, expected (N, {len(target.labels)}) for both",
            where=f"target '{target.name}'",
        )
    weights = np.ones(shape[0]) if weights is None else np.asarray(weights, dtype=np.float64)
    if weights.shape != (shape[0],):
        raise UsageError(f"weights have shape {weights.shape}, expected ({shape[0]},)")
    return weights


def _scaled(weights: FloatArray, known: BoolArray) -> FloatArray:
    """Return the weights of known rows, their mean 1."""
    chosen = weights[known]
    return chosen / chosen.mean() if len(chosen) else chosen


def _evidence(labels: FloatArray, weights: FloatArray) -> float:
    """Return how many positives or negatives there are, the fewer; soft ones count in parts."""
    return float(min(weights @ labels, weights @ (1 - labels)))


def _fit_slope(z: FloatArray, y: FloatArray, w: FloatArray, method: CalibrationMethod) -> _Fit:
    """Fit one label's slope and, for Platt, intercept on log-odds z, labels y and weights w, all (n,)."""
    if method not in (CalibrationMethod.PLATT, CalibrationMethod.TEMPERATURE):
        return _Fit()
    size = 2 if method is CalibrationMethod.PLATT else 1

    def curvature(theta: FloatArray) -> Curvature:
        design = np.stack([np.exp(theta[0]) * z, np.ones_like(z)], axis=1)[:, :size]
        activation = design[:, 0] + (theta[1] if size == 2 else 0.0)
        p = sigmoid(activation)
        loss = float(w @ (np.logaddexp(0.0, activation) - y * activation))
        return _with_prior(theta, loss, design.T @ (w * (p - y)), (design.T * (w * p * (1 - p))) @ design)

    theta = minimise(curvature, np.zeros(size))
    return _Fit(float(np.exp(theta[0])), (float(theta[1]) if size == 2 else 0.0,))


def _fit_classes(z: FloatArray, y: FloatArray, w: FloatArray, method: CalibrationMethod) -> _Fit:
    """Fit the slope and, for Platt, the L intercepts of a single-label target on log-probabilities z (n, L)."""
    classes = z.shape[1]
    if method not in (CalibrationMethod.PLATT, CalibrationMethod.TEMPERATURE):
        return _Fit(intercepts=(0.0,) * classes)
    size = 1 + (classes if method is CalibrationMethod.PLATT else 0)

    def curvature(theta: FloatArray) -> Curvature:
        scaled = np.exp(theta[0]) * z
        activation = scaled + theta[1:] if size > 1 else scaled
        q = softmax(activation)
        loss = float(w @ (logsumexp(activation) - (y * activation).sum(axis=1)))
        residual = w[:, None] * (q - y)
        gradient = np.concatenate([[(residual * scaled).sum()], residual.sum(axis=0)])
        hessian = _softmax_curvature(scaled, q, w)
        return _with_prior(theta, loss, gradient[:size], hessian[:size, :size])

    theta = minimise(curvature, np.zeros(size))
    intercepts = tuple(map(float, theta[1:])) if size > 1 else (0.0,) * classes
    return _Fit(float(np.exp(theta[0])), intercepts)


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
