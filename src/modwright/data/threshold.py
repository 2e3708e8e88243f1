"""Expressions that turn scores into labels: `> 0.5`, `>= median`, `> q0.9`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from modwright.errors import UsageError
from modwright.schema import FloatArray

_EXPRESSION = re.compile(r"\s*(>=|>)\s*(median|q[0-9.]+|[-+0-9.eE]+)\s*\Z")


@dataclass(frozen=True, slots=True)
class Threshold:
    """A comparison with a number or with a quantile of the training rows' scores.

    Attributes:
        inclusive: whether a score equal to the bound is positive.
        bound: the number; None where a quantile is meant.
        quantile: in 0..1; None where a number is meant.
    """

    inclusive: bool
    bound: float | None
    quantile: float | None

    @classmethod
    def parse(cls, expression: str) -> Threshold:
        """Read an expression; raises UsageError with the forms there are."""
        match = _EXPRESSION.match(expression)
        if match:
            inclusive, operand = match.group(1) == ">=", match.group(2)
            try:
                if operand == "median":
                    return cls(inclusive, None, 0.5)
                if operand.startswith("q") and 0.0 < float(operand[1:]) < 1.0:
                    return cls(inclusive, None, float(operand[1:]))
                if not operand.startswith("q") and math.isfinite(float(operand)):
                    return cls(inclusive, float(operand), None)
            except ValueError:
                pass
        raise UsageError(
            f"--threshold is {expression!r}, expected '> NUMBER', '>= NUMBER', '>= median' or '> q0.9'",
            remedy="quote it, so that the shell does not take '>' for itself",
        )

    def bound_for(self, *scores: FloatArray) -> float:
        """Return the bound, given the (N,) training scores (NaN unknown, at least one known)."""
        if self.bound is not None:
            return self.bound
        known = np.concatenate([part[~np.isnan(part)] for part in scores])
        return float(np.quantile(known, self.quantile if self.quantile is not None else 0.5))

    def apply(self, scores: FloatArray, bound: float) -> FloatArray:
        """Return (N,) 0/1, NaN where the score is."""
        held = scores >= bound if self.inclusive else scores > bound
        return np.where(np.isnan(scores), np.nan, held.astype(np.float64))
