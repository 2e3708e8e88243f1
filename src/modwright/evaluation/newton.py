"""A damped Newton minimiser for the handful of parameters a calibration has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modwright.schema import FloatArray

_MAX_ITERATIONS = 100
_MAX_HALVINGS = 40
#: No step is longer than this: scales are fitted as logarithms, and a long step overflows them.
_MAX_STEP = 2.0
_TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True)
class Curvature:
    """A loss at one point, with its gradient (P,) and a positive definite stand-in for its Hessian (P, P)."""

    loss: float
    gradient: FloatArray
    hessian: FloatArray


def minimise(curvature: Callable[[FloatArray], Curvature], start: FloatArray) -> FloatArray:
    """Return the parameters (P,) that minimise a loss, by Newton steps that are halved until the loss falls.

    The loss never rises from one step to the next, so that the result is never worse than ``start``.
    """
    point, here = start, curvature(start)
    for _ in range(_MAX_ITERATIONS):
        step = -np.linalg.solve(here.hessian, here.gradient)
        decrease = -float(here.gradient @ step)
        if decrease <= _TOLERANCE:
            return point
        step *= min(1.0, _MAX_STEP / float(np.linalg.norm(step)))
        for _ in range(_MAX_HALVINGS):
            there = curvature(point + step)
            if there.loss < here.loss:
                break
            step = step / 2
        else:
            return point
        point, here = point + step, there
    return point
