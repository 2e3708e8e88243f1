"""How often judges flag, and how far they agree: proportions, pairwise agreement, Cohen's kappa, with intervals.

A judge is whoever gives verdicts: a model of ours, a person, another API. A verdict is 1 for flagged, 0 for not, NaN
where there is none; it is never filled in, so every number is of the rows that those it speaks of have judged.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modwright.errors import UsageError
from modwright.evaluation.binary import weighted_sum
from modwright.evaluation.curves import wilson
from modwright.evaluation.measuring import Bootstrapped
from modwright.evaluation.resampling import RESAMPLES, SEED, Interval, Resampler
from modwright.schema import BoolArray, FloatArray, IntArray

AGREEMENT, KAPPA = "agreement", "kappa"


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two judges agree on the rows that both have judged.

    Attributes:
        one, other: names of the judges.
        counts: (2, 2) rows are the one's verdict no/yes, columns the other's.
        agreement: share of rows with the same verdict.
        kappa: Cohen's: the agreement beyond what their flagged proportions alone would give, 1 at full agreement;
            undefined where both give every row one and the same verdict.
    """

    one: str
    other: str
    counts: IntArray
    agreement: Interval
    kappa: Interval

    def to_json(self) -> dict[str, Any]:
        """Return the judges, both numbers with their intervals, and the counts."""
        return {
            "judges": [self.one, self.other],
            AGREEMENT: self.agreement.to_json(),
            KAPPA: self.kappa.to_json(),
            "counts": self.counts.tolist(),
        }


class AgreementStatistics:
    """Agreement and Cohen's kappa of two judges' verdicts, whole numbers of one or more categories, both (n,).

    Cohen 1960, "A coefficient of agreement for nominal scales".
    """

    def __init__(self, one: IntArray, other: IntArray) -> None:
        self._same = one == other
        categories = np.union1d(one, other)
        self._members = [(one == category, other == category) for category in categories]

    def at(self) -> dict[str, float]:
        """Return both numbers; kappa is NaN where both give one and the same verdict to all."""
        return {
            name: float(found[0]) for name, found in self.resampled(np.ones((1, len(self._same)))).items()
        }

    def resampled(self, counts: FloatArray) -> dict[str, FloatArray]:
        """Return both numbers, (R,), for bootstrap counts (R, n)."""
        total = counts.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            observed = weighted_sum(counts, self._same) / total
            chance = np.zeros(len(counts))
            for mine, theirs in self._members:
                chance += weighted_sum(counts, mine) * weighted_sum(counts, theirs) / total**2
            beyond = (observed - chance) / (1 - chance)
        return {AGREEMENT: observed, KAPPA: np.where(chance < 1 - 1e-12, beyond, np.nan)}


def proportion(holds: BoolArray, groups: Sequence[str] | None = None) -> Interval:
    """Return how often something holds in (n,) rows, with its 95 % Wilson interval.

    Rows of one group resemble each other: the interval is that of as many independent rows as would vary like the
    groups do (Korn and Graubard 1998, "Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data"), never more than there are. Where all or none hold, nothing varies, and the
    groups are counted. Unlike a bootstrap's, the interval has a width there.

    Raises:
        UsageError: another number of groups than rows.
    """
    n = len(holds)
    if groups is not None and len(groups) != n:
        raise UsageError(f"found {len(groups)} groups for {n} rows, expected one per row")
    if not n:
        return Interval(None, None, None, 0)
    rate = float(holds.mean())
    low, high = wilson(rate, _effective_rows(holds, rate, groups))
    return Interval(rate, low, high, n)


def _effective_rows(holds: BoolArray, rate: float, groups: Sequence[str] | None) -> float:
    """Return how many independent rows would tell as much as these."""
    n = len(holds)
    if groups is None:
        return n
    member = np.unique(np.asarray(groups), return_inverse=True)[1]
    sizes = np.bincount(member)
    number = len(sizes)
    if number == n:
        return n
    if number < 2 or rate in (0.0, 1.0):
        return number
    off = np.bincount(member, weights=holds.astype(np.float64)) - rate * sizes
    variance = number / (number - 1) * float(np.sum(off**2)) / n**2
    binomial = rate * (1 - rate) / n
    return n * min(1.0, binomial / variance) if variance > 0 else n


def flagged_proportion(verdicts: FloatArray, groups: Sequence[str] | None = None) -> Interval:
    """Return the share of (N,) verdicts that flag, of those that are known; see `proportion`."""
    known = ~np.isnan(verdicts)
    chosen = None if groups is None else [group for group, on in zip(groups, known, strict=True) if on]
    return proportion(verdicts[known] > 0, chosen)


def agreements(
    verdicts: Mapping[str, FloatArray],
    groups: Sequence[str] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[Agreement]:
    """Return how far each two judges agree, in the order of the mapping; kappa's intervals are bootstrapped.

    Args:
        verdicts: judge to (N,), 1 flagged, 0 not, NaN unknown.
        groups: one name per row; rows of a group are resampled together.

    Raises:
        UsageError: judges of different numbers of rows, or a verdict that is none.
    """
    rows = _rows(verdicts)
    pairs = list(itertools.combinations(verdicts, 2))
    measured = [_measured(verdicts[one], verdicts[other]) for one, other in pairs]
    for counts in Resampler(rows, groups, resamples if pairs else 0, seed).counts():
        for found in measured:
            found.take(counts)
    return [
        _agreement(one, other, verdicts, found, groups)
        for (one, other), found in zip(pairs, measured, strict=True)
    ]


def _rows(verdicts: Mapping[str, FloatArray]) -> int:
    sizes = {name: len(values) for name, values in verdicts.items()}
    if len(set(sizes.values())) > 1:
        raise UsageError(f"judges have different numbers of rows: {sizes}")
    for name, values in verdicts.items():
        if not np.isin(values[~np.isnan(values)], (0.0, 1.0)).all():
            raise UsageError("a verdict is neither 1, 0 nor unknown", where=f"judge '{name}'")
    return next(iter(sizes.values()), 0)


def _measured(one: FloatArray, other: FloatArray) -> Bootstrapped[AgreementStatistics]:
    known = np.asarray(~np.isnan(one) & ~np.isnan(other), dtype=np.bool_)
    if not known.any():
        return Bootstrapped(known, None)
    return Bootstrapped(
        known, AgreementStatistics(one[known].astype(np.int64), other[known].astype(np.int64))
    )


def _agreement(
    one: str,
    other: str,
    verdicts: Mapping[str, FloatArray],
    found: Bootstrapped[AgreementStatistics],
    groups: Sequence[str] | None,
) -> Agreement:
    mine, theirs = (verdicts[name][found.known].astype(np.int64) for name in (one, other))
    counts = np.bincount(2 * mine + theirs, minlength=4).reshape(2, 2).astype(np.int64)
    chosen = None if groups is None else [group for group, on in zip(groups, found.known, strict=True) if on]
    same = np.asarray(mine == theirs, dtype=np.bool_)
    return Agreement(one, other, counts, proportion(same, chosen), found.interval(KAPPA))
