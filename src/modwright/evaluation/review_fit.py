"""Fitting a review band: the cuts that keep a promise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from modwright.evaluation.cuts import NEVER, RESAMPLES, SEED
from modwright.evaluation.prevalence import labels_held
from modwright.evaluation.review import LabelBand, Promise, ReviewBand, TooFew, asks_for_action
from modwright.evaluation.review_load import Measure
from modwright.evaluation.thresholds import Prevalence
from modwright.evaluation.verdicts import action_scores
from modwright.schema import BoolArray, FloatArray, IntArray, Schema, Target, TargetKind

#: Sums of equal shares carry rounding: a promise that is missed by less is kept.
_ROUNDING = 1e-12


def fit_review(
    schema: Schema,
    scores: Mapping[str, FloatArray],
    labels: Mapping[str, FloatArray],
    promise: Promise,
    *,
    groups: Sequence[str] | None = None,
    prevalence: Prevalence | None = None,
    prefer: Mapping[str, Mapping[str, float]] | None = None,
    seed: int = SEED,
    resamples: int = RESAMPLES,
) -> ReviewBand:
    """Fit the bands that keep a promise. Rows' weights play no part: a promise is about texts as they come.

    A label needs about ``1 / misses - 1`` rows that have it and ``1 / wrong_actions - 1`` that have it not, groups
    instead of rows where `groups` are given; with fewer, that side is not promised, and the band's note says so.

    Args:
        scores: target to (N, L) calibrated scores of rows that nothing was fitted on.
        labels: target to (N, L) values in 0..1, NaN unknown.
        groups: one name per row; the promise is then about a text of a new group.
        prevalence: target to label to that of the deployment; weighs what is expected, not the cuts.
        prefer: target to label to its threshold at the operating point `default`; where a label is told apart so well
            that both promises leave a choice, the cut nearest to it is taken, and nothing goes to review. Else 0.5.
        resamples: for the intervals.
    """
    stated = {name: dict(values) for name, values in (prevalence or {}).items()}
    bands = {
        target.name: _bands(
            target,
            scores[target.name],
            labels_held(target, labels[target.name], schema.positive_above),
            promise,
            groups,
            (prefer or {}).get(target.name, {}),
        )
        for target in schema.targets
    }
    band = ReviewBand(promise, bands, {}, stated)
    for target in schema.targets:
        truth = labels_held(target, labels[target.name], schema.positive_above)
        measure = Measure(target, truth, groups, stated.get(target.name, {}), seed, resamples)
        texts, verdicts = band.decide(target, scores[target.name], (prefer or {}).get(target.name, {}))
        for label, found in bands[target.name].items():
            bands[target.name][label] = replace(found, expected=measure.label(label, verdicts))
        band.expected[target.name] = measure.texts(texts)
    return band


def _bands(
    target: Target,
    scores: FloatArray,
    truth: FloatArray,
    promise: Promise,
    groups: Sequence[str] | None,
    prefer: Mapping[str, float],
) -> dict[str, LabelBand]:
    member = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if target.kind is TargetKind.SINGLE_LABEL and asks_for_action(target):
        return _action_bands(target, action_scores(target, scores), truth, promise, member)
    bands = {}
    for label in target.labels if target.kind is TargetKind.SINGLE_LABEL else target.flaggable:
        values, held = scores[:, target.index(label)], truth[:, target.index(label)]
        with_label, without = _Side.of(values, held == 1, member), _Side.of(-values, held == 0, member)
        if target.kind is TargetKind.SINGLE_LABEL:
            bands[label] = _floor_band(with_label, without, promise)
        else:
            bands[label] = _two_cuts(with_label, without, promise, prefer.get(label, 0.5))
    return bands


def _two_cuts(positive: _Side, negative: _Side, promise: Promise, prefer: float) -> LabelBand:
    low, high = positive.floor(promise.misses), _above(negative.floor(promise.wrong_actions))
    notes = []
    if low is None:
        notes.append(_note(positive.units, "with", promise.misses, "passes"))
    if high is None:
        notes.append(_note(negative.units, "without", promise.wrong_actions, "is acted on"))
    low, high = _band(low, high, prefer)
    return LabelBand(low, high, "; ".join(notes), positive.units, negative.units, None)


def _band(low: float | None, high: float | None, prefer: float) -> tuple[float, float]:
    """Return both cuts; None is one that cannot be promised, and where they overlap any cut between them will do."""
    if low is not None and high is not None and low > high:
        low = high = min(max(prefer, high), low)
    return 0.0 if low is None else low, NEVER if high is None else high


def _above(negated: float | None) -> float | None:
    """Return the lowest score above the one that was handed in negated."""
    return None if negated is None else math.nextafter(-negated, math.inf)


def _action_bands(
    target: Target, values: FloatArray, truth: FloatArray, promise: Promise, member: IntArray | None
) -> dict[str, LabelBand]:
    """Return the cuts on the probability of action that keep the promise for the texts of every label."""
    lows: list[float] = []
    highs: list[float] = []
    found = {}
    for label in target.labels:
        held = truth[:, target.index(label)]
        own, others = _Side.of(values, held == 1, member), _Side.of(values, held == 0, member)
        passes = label in target.negative_labels
        rate, what = (promise.wrong_actions, "is acted on") if passes else (promise.misses, "passes")
        bound = _above(own.negated().floor(rate)) if passes else own.floor(rate)
        if bound is not None:
            (highs if passes else lows).append(bound)
        elif promise.too_few is TooFew.REVIEW:
            (highs if passes else lows).append(NEVER if passes else 0.0)
        note = _note(own.units, "with", rate, what) if bound is None else ""
        found[label] = LabelBand(0.0, NEVER, note, own.units, others.units, None)
    low, high = _band(min(lows, default=None), max(highs, default=None), 0.5)
    return {label: replace(band, low=low, high=high) for label, band in found.items()}


def _floor_band(own: _Side, others: _Side, promise: Promise) -> LabelBand:
    floor = own.floor(promise.misses)
    note = _note(own.units, "with", promise.misses, "is decided otherwise") if floor is None else ""
    if floor is None:
        floor = NEVER if promise.too_few is TooFew.LEAVE_OUT else 0.0
    return LabelBand(floor, floor, note, own.units, others.units, None)


def _note(units: int, which: str, rate: float, what: str) -> str:
    needed = math.ceil(1 / rate - 1 - _ROUNDING)
    return f"{units} {which} the label, {needed} are needed to promise that at most {rate:g} of them {what}"


class _Side:
    """The scores of the rows of one class, each weighted so that every group counts the same."""

    def __init__(self, scores: FloatArray, shares: FloatArray, units: int) -> None:
        self._scores = scores
        self._shares = shares
        self.units = units

    @classmethod
    def of(cls, scores: FloatArray, chosen: BoolArray, member: IntArray | None) -> _Side:
        """Take the chosen rows of scores (N,), of groups (N,) or each its own."""
        values = scores[chosen]
        if member is None:
            return cls(values, np.ones(len(values)), len(values))
        sizes = np.bincount(member[chosen])
        return cls(values, 1.0 / sizes[member[chosen]], int((sizes > 0).sum()))

    def negated(self) -> _Side:
        """Return the side with its scores' signs turned."""
        return _Side(-self._scores, self._shares, self.units)

    def floor(self, rate: float) -> float | None:
        """Return the highest score such that a new row of the class lies below it with probability at most `rate`.

        None where there are too few rows for any. With K groups (rows, where each is its own), a row of a group of n
        counts 1 / (K + 1) / n, and the row to come 1 / (K + 1).
        """
        if (1 - _ROUNDING) / (self.units + 1) > rate:
            return None
        order = np.argsort(self._scores, kind="stable")
        ranked = self._scores[order]
        until = np.cumsum(self._shares[order])
        # Of the rows below a score at most what is left beside the row to come.
        spare = rate * (self.units + 1) - 1 + _ROUNDING * (self.units + 1)
        within = int(np.searchsorted(until, spare, side="right"))
        return float(ranked[min(within, len(ranked) - 1)])
