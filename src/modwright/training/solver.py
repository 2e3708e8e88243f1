"""Many regularised logistic fits at once: accelerated gradient steps under a fixed diagonal bound.

Each step moves every fit by its gradient over the Böhning-Lindsay bound of its Hessian (1/4 for sigmoids, 1/2
for softmax), with Nesterov's momentum, restarted per fit when it points uphill (O'Donoghue and Candès 2015).
The bound holds for every subset of the rows, so folds and strengths of regularisation share one array and one
pair of products a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from modwright.models.heads import probabilities
from modwright.schema import BoolArray, FloatArray, TargetKind
from modwright.training.basis import Basis

#: A fit is done when its gradient, measured against the bound, promises less than this many nats per row.
FINAL_TOLERANCE = 1e-9
#: Enough to tell heads apart: out of fold their losses differ in the third digit. Not for scores that are used.
SELECTION_TOLERANCE = 3e-7
#: Settled columns are left out of the products once no more than this share of the others still moves.
_NARROW_AT = 0.8


@dataclass(slots=True)
class Fits:
    """Q fits of L labels each on the same rows, flattened to columns fit-major: column q * L + l.

    Attributes:
        kind: sigmoid columns, or softmax over the L columns of a fit.
        labels: L.
        truth: (W, Q * L) values in 0..1; anything where the weight is 0.
        weight: (W, Q * L) from 0, which masks, to the row's weight in the basis, or the bound does not hold.
            Softmax fits have one weight per row and fit.
        c: (Q * L,) inverse strength of regularisation.
    """

    kind: TargetKind
    labels: int
    truth: FloatArray
    weight: FloatArray
    c: FloatArray


@dataclass(frozen=True, slots=True)
class Solution:
    """Coefficients theta (R, Q * L) and bias (Q * L,), and whether no fit moves any more."""

    theta: FloatArray
    bias: FloatArray
    settled: bool

    def logits(self, rows: FloatArray) -> FloatArray:
        """Return (W, Q * L) for rows (W, R)."""
        return np.asarray(rows @ self.theta + self.bias)


def solve(
    basis: Basis, fits: Fits, start: Solution | None = None, *, tolerance: float = FINAL_TOLERANCE
) -> Iterator[Solution]:
    """Yield the solution after each step, for as long as it is asked for; the caller stops at `settled`.

    Once a fifth of the fits have settled they stay as they are while the others go on.
    """
    bound = 0.25 if fits.kind is TargetKind.MULTI_LABEL else 0.5
    total = np.maximum(fits.weight.sum(axis=0), 1e-12)
    step = 1.0 / (bound * basis.curvature[:, None] + 1.0 / fits.c)  # (R, Q * L)
    bias_step = 1.0 / (bound * basis.total + 1e-9)
    theta = start.theta if start else np.zeros((basis.rows.shape[1], len(fits.c)))
    bias = start.bias if start else _first_bias(fits, total)
    ahead, bias_ahead, momentum = theta, bias, np.ones(len(fits.c))
    live = np.arange(len(fits.c))  # the columns that still move; every array but these two holds them alone
    all_theta, all_bias = theta, bias
    while True:
        error = fits.weight * (_probabilities(basis.rows @ ahead + bias_ahead, fits) - fits.truth)
        gradient = basis.rows.T @ error + ahead / fits.c
        bias_gradient = error.sum(axis=0)
        new, new_bias = ahead - step * gradient, bias_ahead - bias_step * bias_gradient
        promise = (gradient**2 * step).sum(axis=0) + bias_gradient**2 * bias_step
        uphill = _any_of_fit(
            (gradient * (new - theta)).sum(axis=0) + bias_gradient * (new_bias - bias) > 0, fits
        )
        following = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        beta = np.where(uphill, 0.0, (momentum - 1.0) / following)
        momentum = np.where(uphill, 1.0, following)
        ahead, bias_ahead = new + beta * (new - theta), new_bias + beta * (new_bias - bias)
        theta, bias = new, new_bias
        moving = _any_of_fit(promise > tolerance * total, fits)
        settled = not moving.any()
        if len(live) < len(all_bias):
            all_theta, all_bias = all_theta.copy(), all_bias.copy()
            all_theta[:, live], all_bias[live] = theta, bias
        else:
            all_theta, all_bias = theta, bias
        yield Solution(all_theta, all_bias, settled)
        if not settled and moving.mean() <= _NARROW_AT:
            fits, live, total, step = _only(fits, moving), live[moving], total[moving], step[:, moving]
            theta, ahead, bias = theta[:, moving], ahead[:, moving], bias[moving]
            bias_ahead, momentum = bias_ahead[moving], momentum[moving]


def _any_of_fit(columns: BoolArray, fits: Fits) -> BoolArray:
    """Return (Q * L,) what holds for any column of a softmax fit, for all its columns."""
    if fits.kind is TargetKind.MULTI_LABEL:
        return columns
    return np.repeat(columns.reshape(-1, fits.labels).any(axis=1), fits.labels)


def _only(fits: Fits, columns: BoolArray) -> Fits:
    return Fits(fits.kind, fits.labels, fits.truth[:, columns], fits.weight[:, columns], fits.c[columns])


def _first_bias(fits: Fits, total: FloatArray) -> FloatArray:
    rate = ((fits.weight * fits.truth).sum(axis=0) + 0.5) / (total + 1.0)
    if fits.kind is TargetKind.MULTI_LABEL:
        return np.asarray(np.log(rate) - np.log1p(-np.minimum(rate, 1 - 1e-9)))
    return np.asarray(np.log(rate))


def _probabilities(logits: FloatArray, fits: Fits) -> FloatArray:
    if fits.kind is TargetKind.MULTI_LABEL:
        return probabilities(logits, fits.kind)
    shaped = logits.reshape(len(logits), -1, fits.labels)
    return probabilities(shaped, fits.kind).reshape(logits.shape)
