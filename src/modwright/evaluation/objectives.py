"""What a threshold is chosen for: best F-beta, a bound on precision, recall or false alarms, or least expected cost.

An objective turns the weighted counts of every cut of a ranking into a merit (`cuts.Merit`), and says what a cut
reaches. Precision, F-beta and cost depend on how often the label holds; at a stated deployment prevalence the rows
with and without the label are weighted to it, which is right as long as texts of each kind score as they did (prior
shift; Elkan 2001, "The foundations of cost-sensitive learning").
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Self

import numpy as np

from modwright.errors import SchemaError, UsageError, nearest
from modwright.evaluation.cuts import CutCounts, Merit
from modwright.schema import BoolArray, FloatArray, check_keys

#: Sums of weights carry rounding: a bound that is missed by less is met.
_ROUNDING = 1e-9


class Aim(StrEnum):
    """What is asked of a threshold; the words of a recipe."""

    F_BETA = "f_beta"  # the best F-beta; value is beta: above 1 recall counts more, below 1 precision
    PRECISION = "precision"  # precision at least value, and of those cuts the highest recall
    RECALL = "recall"  # recall at least value, and of those cuts the highest precision
    FALSE_POSITIVE_RATE = "false_positive_rate"  # at most value, and of those cuts the highest recall
    COST = "cost"  # least expected cost; value is what a wrong removal costs, in misses

    @property
    def is_bound(self) -> bool:
        """Return whether it can fail to be met; the others take the best there is."""
        return self not in (Aim.F_BETA, Aim.COST)


@dataclass(frozen=True, slots=True)
class Objective:
    """An aim with its number.

    Attributes:
        value: beta (above 0), the least precision or recall (above 0, at most 1), the highest false-positive rate
            (0 to below 1), or the cost of a wrong removal where a miss costs 1 (above 0).

    Raises:
        UsageError: a value out of range.
    """

    aim: Aim
    value: float

    def __post_init__(self) -> None:
        in_range, expected = {
            Aim.F_BETA: (self.value > 0, "above 0"),
            Aim.COST: (self.value > 0, "above 0: what a wrong removal costs where a miss costs 1"),
            Aim.PRECISION: (0 < self.value <= 1, "above 0 and at most 1"),
            Aim.RECALL: (0 < self.value <= 1, "above 0 and at most 1"),
            Aim.FALSE_POSITIVE_RATE: (0 <= self.value < 1, "from 0 to below 1"),
        }[self.aim]
        if not (in_range and math.isfinite(self.value)):
            raise UsageError(f"value is {self.value!r}, expected {expected}", where=f"objective '{self.aim}'")

    @property
    def words(self) -> str:
        """Return the objective as a phrase, such as "precision at least 0.9, then the highest recall"."""
        number = f"{self.value:g}"
        return {
            Aim.F_BETA: f"best F{number}",
            Aim.PRECISION: f"precision at least {number}, then the highest recall",
            Aim.RECALL: f"recall at least {number}, then the highest precision",
            Aim.FALSE_POSITIVE_RATE: f"false-positive rate at most {number}, then the highest recall",
            Aim.COST: f"least expected cost, a wrong removal costing {number} times a miss",
        }[self.aim]

    def reached(self, counts: CutCounts, prevalence: float | None = None) -> FloatArray:
        """Return what the aim measures of every cut, (R, C); NaN where undefined, such as precision without flags.

        Cost is that of an average text, in misses. `prevalence` is the deployment's, in 0..1, None the rows' own.
        """
        counts = at_prevalence(counts, prevalence)
        with np.errstate(invalid="ignore", divide="ignore"):
            match self.aim:
                case Aim.F_BETA:
                    square = self.value**2
                    return (1 + square) * counts.hits / (square * counts.positive + counts.flagged)
                case Aim.PRECISION:
                    return counts.hits / counts.flagged
                case Aim.RECALL:
                    return counts.hits / counts.positive
                case Aim.FALSE_POSITIVE_RATE:
                    return (counts.flagged - counts.hits) / (counts.total - counts.positive)
                case Aim.COST:
                    wrong, missed = counts.flagged - counts.hits, counts.positive - counts.hits
                    return (missed + self.value * wrong) / counts.total

    def met(self, value: float | None) -> bool | None:
        """Return whether a bound holds for what was reached; None for an aim that is no bound."""
        if not self.aim.is_bound:
            return None
        if value is None or math.isnan(value):
            return False
        return bool(self._allowed(np.array(value)))

    def merit(self, prevalence: float | None = None) -> Merit:
        """Return how good each cut is, for `cuts.best_cut`; ``-inf`` where a bound does not hold."""
        return partial(self._merit, prevalence)

    def _merit(self, prevalence: float | None, counts: CutCounts) -> FloatArray:
        reached = self.reached(counts, prevalence)
        if self.aim is Aim.F_BETA:
            return np.nan_to_num(reached)
        if self.aim is Aim.COST:
            return -reached
        other = Aim.PRECISION if self.aim is Aim.RECALL else Aim.RECALL
        second = np.nan_to_num(Objective(other, 1.0).reached(counts, prevalence))
        return np.where(self._allowed(reached), second, -np.inf)

    def _allowed(self, reached: FloatArray) -> BoolArray:
        """Return where a bound holds; nowhere that what it bounds is undefined."""
        if self.aim is Aim.FALSE_POSITIVE_RATE:
            return reached <= self.value + _ROUNDING
        return reached >= self.value - _ROUNDING

    def to_json(self) -> dict[str, Any]:
        """Return the objective as JSON-ready data."""
        return {"aim": str(self.aim), "value": self.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str = "objective") -> Self:
        """Rebuild from `to_json` data; raises SchemaError for other keys, an unknown aim or a value out of range."""
        check_keys(data, {"aim", "value"}, where)
        aim, value = data["aim"], data["value"]
        if aim not in list(Aim):
            raise SchemaError(f"aim is {aim!r}", where=where, remedy=nearest(str(aim), list(Aim)))
        if type(value) not in (int, float):
            raise SchemaError(f"value is {value!r}, expected a number", where=where)
        try:
            return cls(Aim(aim), float(value))
        except UsageError as error:
            raise SchemaError(error.message, where=where) from None


def at_prevalence(counts: CutCounts, prevalence: float | None) -> CutCounts:
    """Return counts as they would be if a share `prevalence` of the texts had the label; None changes nothing.

    Where there are only positives or only negatives, the counts of the others stay 0.

    Raises:
        UsageError: the prevalence is not in 0..1.
    """
    if prevalence is None:
        return counts
    if not 0 <= prevalence <= 1:
        raise UsageError(f"prevalence is {prevalence!r}, expected 0 to 1")
    negative = counts.total - counts.positive
    with np.errstate(invalid="ignore", divide="ignore"):
        hits = np.nan_to_num(counts.hits / counts.positive) * prevalence
        false = np.nan_to_num((counts.flagged - counts.hits) / negative) * (1 - prevalence)
    positive = np.where(counts.positive > 0, prevalence, 0.0)
    return CutCounts(hits, hits + false, positive, positive + np.where(negative > 0, 1 - prevalence, 0.0))
