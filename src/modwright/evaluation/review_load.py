"""What a review band does to labelled rows: errors, and how much it leaves to people, at a stated prevalence too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from modwright.evaluation.cells import resampled_totals
from modwright.evaluation.resampling import Interval
from modwright.evaluation.review import ACT, LEFT_OUT, PASS, REVIEW, Codes, Expected, asks_for_action
from modwright.schema import BoolArray, FloatArray, Target, TargetKind

#: Rounds of scaling the rows' weights to the stated prevalence of several labels, and when they are near enough.
_SCALING_ROUNDS = 200
_SCALED = 1e-9


class Measure:
    """Counts what verdicts did on the rows of one target.

    Args:
        truth: (N, L) of 0, 1 or NaN.
        groups: one name per row, or None; they are resampled as wholes.
        prevalence: label to what was stated.
    """

    def __init__(
        self,
        target: Target,
        truth: FloatArray,
        groups: Sequence[str] | None,
        prevalence: Mapping[str, float],
        seed: int,
        resamples: int,
    ) -> None:
        self._target = target
        self._truth = truth
        self._groups = None if groups is None else np.asarray(groups)
        self._prevalence = prevalence
        self._seed = seed
        self._resamples = resamples

    def label(self, label: str, verdicts: Codes) -> Expected | None:
        """Return what the verdicts (N, L) of one label did; None where no row is known."""
        column = self._target.index(label)
        codes = verdicts[:, column]
        if self._target.kind is TargetKind.SINGLE_LABEL:
            codes = self._as_label(label, verdicts)
        held = self._truth[:, column]
        stated = {0: self._prevalence[label]} if label in self._prevalence else {}
        return self._expected(held[:, None], stated, codes)

    def _as_label(self, label: str, verdicts: Codes) -> Codes:
        """Return codes (N,) of "it is this label" (act) against what is wrong for its texts (pass).

        Where the target asks for action, acting on another label that asks for it is neither.
        """
        decided, mine = verdicts.max(axis=1), verdicts[:, self._target.index(label)] != LEFT_OUT
        otherwise = ~mine
        if asks_for_action(self._target):
            otherwise = decided == (ACT if label in self._target.negative_labels else PASS)
        codes = np.where(otherwise, PASS, np.where(mine, ACT, LEFT_OUT))
        return np.where(decided == REVIEW, REVIEW, codes).astype(np.int8)

    def texts(self, codes: Codes) -> Expected | None:
        """Return what the texts' verdicts (N,) did, on rows whose flaggable labels are all known."""
        names = self._target.flaggable or self._target.labels
        held = self._truth[:, [self._target.index(name) for name in names]]
        stated = {i: self._prevalence[name] for i, name in enumerate(names) if name in self._prevalence}
        return self._expected(held, stated, codes)

    def _expected(self, held: FloatArray, stated: Mapping[int, float], codes: Codes) -> Expected | None:
        known = ~np.isnan(held).any(axis=1)
        if not known.any():
            return None
        holds = held[known] == 1
        cells = _cells(holds.any(axis=1), codes[known])
        weighted = cells * scaled_weights(holds, stated)[:, None]
        groups = None if self._groups is None else self._groups[known].tolist()
        totals = resampled_totals(weighted, groups, seed=self._seed, resamples=self._resamples)
        sums = np.vstack([weighted.sum(axis=0), totals])

        def share(above: int, below: int) -> Interval:
            with np.errstate(invalid="ignore", divide="ignore"):
                rates = sums[:, above] / sums[:, below]
            return Interval.of(float(rates[0]), rates[1:], int(cells[:, below].sum()))

        return Expected(share(0, 1), share(2, 3), share(4, 5), share(6, 1).value, share(7, 3).value)


def _cells(positive: BoolArray, codes: Codes) -> FloatArray:
    """Return what is counted of every row, (n, 8): misses, with, wrong actions, without, review, all, review of each."""
    review, all_rows = codes == REVIEW, np.ones(len(codes), dtype=np.bool_)
    missed, wrong = positive & (codes == PASS), ~positive & (codes == ACT)
    cells = [missed, positive, wrong, ~positive, review, all_rows, positive & review, ~positive & review]
    return np.stack(cells, axis=1).astype(np.float64)


def scaled_weights(held: BoolArray, stated: Mapping[int, float]) -> FloatArray:
    """Return weights (n,), mean 1, that give labels held (n, L) their stated prevalence, by column.

    By iterative proportional fitting (Deming and Stephan 1940): of all weights that do, those nearest to the rows' own
    mix. A stated prevalence that rows of one kind alone cannot show is left aside.
    """
    weights = np.ones(len(held))
    for _ in range(_SCALING_ROUNDS):
        furthest = 0.0
        for column, share in stated.items():
            chosen = held[:, column]
            found = float(weights[chosen].sum() / weights.sum())
            if not 0 < found < 1:
                continue
            furthest = max(furthest, abs(found - share))
            weights = weights * np.where(chosen, share / found, (1 - share) / (1 - found))
        if furthest < _SCALED:
            break
    return np.asarray(weights / weights.mean(), dtype=np.float64)
