"""How one label's threshold is chosen for several objectives at once, and what it reaches, on the same resamples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from modwright.evaluation.cells import resampled_totals
from modwright.evaluation.cuts import CutCounts, Ranking, best_cut, ranked_counts, resampled_thresholds
from modwright.evaluation.objectives import Objective
from modwright.evaluation.operating_points import Reached
from modwright.evaluation.resampling import Interval, Resampler
from modwright.schema import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Column:
    """The known rows of one label: scores, positives and weights are (n,), groups one name per row or None."""

    scores: FloatArray
    positives: BoolArray
    weights: FloatArray
    groups: tuple[str, ...] | None

    @property
    def evidence(self) -> int:
        """Return the number of positives or of negatives, the smaller; rows without weight do not count."""
        counting = self.positives[self.weights > 0]
        return min(int(counting.sum()), int((~counting).sum()))

    @property
    def prevalence(self) -> float:
        """Return the weighted share of positives; 0.0 without rows of weight."""
        total = float(self.weights.sum())
        return float(self.weights[self.positives].sum()) / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Chosen:
    """A threshold, and those (R,) of the resamples, NaN where one says nothing."""

    threshold: float
    resampled: FloatArray

    def towards(self, common: float, share: float) -> Chosen:
        """Return the mean with a common threshold, its own counting `share`."""
        if share == 1:
            return self
        return Chosen(
            share * self.threshold + (1 - share) * common, share * self.resampled + (1 - share) * common
        )


@dataclass(frozen=True, slots=True)
class Draw:
    """The resamples that everything of one choice is averaged over."""

    seed: int
    resamples: int

    def chosen(
        self, aims: Mapping[str, Objective], column: Column, prevalence: float | None
    ) -> dict[str, Chosen]:
        """Choose a threshold for every aim, all on the same resamples of a column with a positive and a negative."""
        ranking = Ranking.of(column.scores)
        merits = {name: aim.merit(prevalence) for name, aim in aims.items()}
        found = resampled_thresholds(
            list(merits.values()), ranking, column.positives, column.weights, self._counts(column, ranking)
        )
        chosen = {}
        for (name, merit), values in zip(merits.items(), found, strict=True):
            averaged = not aims[name].aim.is_bound and not np.isnan(values).all()
            exact = best_cut(merit, column.scores, column.positives, column.weights)[0]
            chosen[name] = Chosen(float(np.nanmean(values)) if averaged else exact, values)
        return chosen

    def reached(self, aim: Objective, column: Column, prevalence: float | None, chosen: Chosen) -> Reached:
        """Return what a threshold reaches on a column, with intervals."""
        n = len(column.scores)
        threshold = Interval.of(chosen.threshold, chosen.resampled, n)
        if not (column.weights > 0).any():
            return Reached(threshold, Interval(None, None, None, n), aim.met(None))
        flagged, positive = column.scores >= chosen.threshold, column.positives
        cells = (
            np.stack([flagged & positive, flagged, positive, np.ones(n)], axis=1) * column.weights[:, None]
        )
        totals = resampled_totals(cells, column.groups, seed=self.seed, resamples=self.resamples)
        at = np.vstack([cells.sum(axis=0), totals])
        values = aim.reached(CutCounts(at[:, :1], at[:, 1:2], at[:, 2:3], at[:, 3:]), prevalence)[:, 0]
        value = Interval.of(float(values[0]), values[1:], n)
        return Reached(threshold, value, aim.met(value.value))

    def _counts(self, column: Column, ranking: Ranking) -> Iterable[FloatArray]:
        """Yield counts (r, n) in ranked order."""
        if column.groups is None:
            return ranked_counts(len(column.scores), self.seed, self.resamples)
        resampler = Resampler(len(column.scores), column.groups, self.resamples, self.seed)
        return (counts[:, ranking.order] for counts in resampler.counts())
