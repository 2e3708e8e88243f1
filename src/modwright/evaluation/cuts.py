"""Where to cut a ranking: the threshold that serves a merit best (F1, and what `objectives` says), exactly, and
averaged over bootstrap resamples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from modwright.errors import UsageError
from modwright.schema import BoolArray, FloatArray, IntArray

#: Bootstrap resamples over which a threshold is averaged, and their seed.
RESAMPLES = 200
SEED = 0
#: Resamples handled at once hold at most this many counts, so that memory stays small and arrays in cache.
_CHUNK_COUNTS = 500_000
#: Merits that differ by less are equal, and the cut that flags least wins: sums of weights carry rounding.
_EQUAL = 1e-12
#: The threshold that no probability reaches: the label is never flagged.
NEVER = float(np.nextafter(1.0, 2.0))


@dataclass(frozen=True, slots=True)
class Ranking:
    """Rows in falling order of score, ties grouped into G groups.

    Attributes:
        order: (N,) the rows in that order.
        ends: (G,) place in that order of each group's last row.
        scores: (G,) each group's score, falling.
    """

    order: IntArray
    ends: IntArray
    scores: FloatArray

    @classmethod
    def of(cls, scores: FloatArray) -> Ranking:
        """Rank scores (N,), N at least 1."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
        return cls(order, ends, ranked[ends])

    def cumulated(self, counts: FloatArray | BoolArray) -> FloatArray:
        """Return sums (..., G) over the first g groups of counts (..., N) in ranked order."""
        sums = np.cumsum(counts, axis=-1, dtype=np.float64)
        return sums if len(self.ends) == len(self.order) else sums[..., self.ends]


@dataclass(frozen=True, slots=True)
class CutCounts:
    """Weighted counts of every cut of a ranking under R weightings of its rows; C cuts, the first flags nothing.

    Attributes:
        hits, flagged: (R, C) positives among the flagged rows, and all flagged rows.
        positive, total: (R, 1) of all rows.
    """

    hits: FloatArray
    flagged: FloatArray
    positive: FloatArray
    total: FloatArray

    @classmethod
    def of(cls, ranking: Ranking, totals: FloatArray, positives: BoolArray) -> CutCounts:
        """Count every cut for weights (R, N) and positives (N,) in ranked order."""
        none = np.zeros((len(totals), 1))
        hits = np.hstack([none, ranking.cumulated(totals * positives)])
        flagged = np.hstack([none, ranking.cumulated(totals)])
        return cls(hits, flagged, hits[:, -1:], flagged[:, -1:])


#: How good each cut is, (R, C), the higher the better; ``-inf`` for one that may not be taken.
Merit = Callable[[CutCounts], FloatArray]


def f1_merit(counts: CutCounts) -> FloatArray:
    """Return F1, 0.0 where there are neither positives nor flags."""
    divisor = counts.flagged + counts.positive
    return np.divide(2 * counts.hits, divisor, out=np.zeros_like(counts.hits), where=divisor > 0)


def best_cut(
    merit: Merit, scores: FloatArray, positives: BoolArray, weights: FloatArray | None = None
) -> tuple[float, float]:
    """Return the threshold that serves a merit best, and its merit; candidates and ties as in `best_f1`.

    Where no cut may be taken the threshold is `NEVER` and the merit ``-inf``.

    Raises:
        UsageError: as `best_f1`.
    """
    weights = _checked_weights(scores, positives, weights)
    ranking = Ranking.of(scores)
    counts = CutCounts.of(ranking, weights[None, ranking.order], positives[ranking.order])
    threshold, found = _best_cuts(ranking, counts, merit)
    return float(threshold[0]), float(found[0])


def best_f1(
    scores: FloatArray, positives: BoolArray, weights: FloatArray | None = None
) -> tuple[float, float]:
    """Return the threshold with the highest F1, and that F1; a row is flagged where its score reaches it.

    Rows of equal score are flagged together or not at all. Flagging all (threshold 0.0) and none (just above
    the highest score) are candidates; any other threshold lies midway between the lowest flagged score and
    the highest unflagged one. Among equals the one that flags least wins: without positives nothing is
    flagged.

    Args:
        scores: (N,) probabilities.
        positives: (N,)
        weights: (N,) not negative; None counts every row once, and a row of weight 0 is as good as absent.

    Raises:
        UsageError: no row of positive weight, a score that is NaN, or shapes that differ.
    """
    return best_cut(f1_merit, scores, positives, weights)


def resampled_thresholds(
    merits: Sequence[Merit],
    ranking: Ranking,
    positives: BoolArray,
    weights: FloatArray,
    counts: Iterable[FloatArray],
) -> list[FloatArray]:
    """Return for every merit the best threshold (R,) of each resample; NaN for one without a positive.

    The curve of a merit is jagged and its highest tooth is partly luck; the mean over resamples finds the middle of the
    plateau, which holds up better on rows not seen.

    Args:
        positives, weights: (N,) in the rows' own order.
        counts: chunks (r, N) of how often each resample draws each row, in ranked order.
    """
    weight, positive = weights[ranking.order], positives[ranking.order]
    chosen: list[list[FloatArray]] = [[] for _ in merits]
    for drawn in counts:
        counted = CutCounts.of(ranking, drawn * weight, positive)
        silent = counted.positive[:, 0] <= 0
        for merit, found in zip(merits, chosen, strict=True):
            found.append(np.where(silent, np.nan, _best_cuts(ranking, counted, merit)[0]))
    return [np.concatenate(found) if found else np.full(0, np.nan) for found in chosen]


def ranked_counts(rows: int, seed: int, resamples: int) -> Iterator[FloatArray]:
    """Yield counts (r, rows) of bootstrap resamples, a bounded number at a time."""
    rng, chunk = np.random.default_rng(seed), max(1, _CHUNK_COUNTS // rows)
    for begin in range(0, resamples, chunk):
        yield resampled_counts(rng, rows, min(chunk, resamples - begin))


def resampled_counts(rng: np.random.Generator, rows: int, resamples: int) -> FloatArray:
    """Return how often each bootstrap resample draws each row: (resamples, rows), each summing to rows."""
    counts = np.empty((resamples, rows))
    for counted in counts:
        counted[:] = np.bincount(rng.integers(0, rows, rows), minlength=rows)
    return counts


def _best_cuts(ranking: Ranking, counts: CutCounts, merit: Merit) -> tuple[FloatArray, FloatArray]:
    """Return the best threshold and its merit, both (R,); `NEVER` and ``-inf`` where no cut may be taken."""
    merits, flagged = merit(counts), counts.flagged
    most = merits.max(axis=1, keepdims=True)
    best = (merits >= most - _EQUAL).argmax(axis=1)[:, None]  # the first of equals: its last group has weight
    below = flagged > np.take_along_axis(flagged, best, axis=1)
    lower = ranking.scores[np.maximum(below.argmax(axis=1) - 1, 0)]
    thresholds = _between(lower, ranking.scores[best[:, 0] - 1])
    thresholds = np.where(best[:, 0] == 0, np.nextafter(lower, np.inf), thresholds)
    thresholds = np.where(below.any(axis=1), thresholds, min(0.0, float(ranking.scores[-1])))
    return np.where(np.isneginf(most[:, 0]), NEVER, thresholds), most[:, 0]


def _between(lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Return what lies midway; neighbouring floats have nothing between them, then the upper one."""
    middle = lower + (upper - lower) / 2
    return np.where(middle > lower, middle, upper)


def _checked_weights(scores: FloatArray, positives: BoolArray, weights: FloatArray | None) -> FloatArray:
    weights = np.ones(scores.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if scores.ndim != 1 or scores.shape != positives.shape or scores.shape != weights.shape:
        found = f"{scores.shape}, {positives.shape} and {weights.shape}"
        raise UsageError(f"scores, positives and weights have shapes {found}, expected the same (N,)")
    if np.isnan(scores).any():
        raise UsageError("a score is NaN, so no threshold can be chosen")
    if not (weights > 0).any():
        raise UsageError(f"of {len(scores)} rows none has a weight above zero, so no threshold can be chosen")
    return weights
