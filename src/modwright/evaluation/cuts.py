"""Where to cut a ranking: the threshold with the best F1, exactly, and averaged over bootstrap resamples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modwright.errors import UsageError
from modwright.schema import BoolArray, FloatArray, IntArray

#: Bootstrap resamples over which a threshold is averaged, and their seed.
RESAMPLES = 200
SEED = 0
#: Resamples handled at once hold at most this many counts, so that memory stays small and arrays in cache.
_CHUNK_COUNTS = 500_000


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
    weights = _checked_weights(scores, positives, weights)
    ranking = Ranking.of(scores)
    threshold, f1 = _best_cuts(ranking, weights[None, ranking.order], positives[ranking.order])
    return float(threshold[0]), float(f1[0])


def best_f1_bagged(
    scores: FloatArray,
    positives: BoolArray,
    weights: FloatArray | None = None,
    seed: int = SEED,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """Return the mean of the best thresholds over bootstrap resamples, and the F1 of it on all rows.

    The F1 curve is jagged and its highest tooth is partly luck; averaging finds the middle of the plateau,
    which holds up better on rows not seen. Resamples without a positive say nothing and are left out; without
    positives at all this is `best_f1`.

    Args:
        scores: (N,) probabilities.
        positives: (N,)
        weights: (N,) or None, as in `best_f1`; they multiply the resampled counts.
        seed: of the resampling; the same seed and rows give the same threshold.
        resamples: how many, at least 1.

    Raises:
        UsageError: as `best_f1`.
    """
    weights = _checked_weights(scores, positives, weights)
    ranking, rng = Ranking.of(scores), np.random.default_rng(seed)
    weight, positive = weights[ranking.order], positives[ranking.order]
    chosen: list[FloatArray] = []
    chunk = max(1, _CHUNK_COUNTS // len(scores))
    for begin in range(0, resamples, chunk):
        totals = resampled_counts(rng, len(scores), min(chunk, resamples - begin)) * weight
        thresholds, f1 = _best_cuts(ranking, totals, positive)
        chosen.append(thresholds[f1 > 0])
    found = np.concatenate(chosen)
    if not len(found):
        return best_f1(scores, positives, weights)
    threshold = float(found.mean())
    return threshold, f1_at(scores >= threshold, positives, weights)


def f1_at(flagged: BoolArray, positives: BoolArray, weights: FloatArray) -> float:
    """Return the F1 of flags (N,) against positives (N,), weighted; 0.0 where there is neither."""
    divisor = float(weights @ flagged + weights @ positives)
    return 2 * float(weights @ (flagged & positives)) / divisor if divisor else 0.0


def resampled_counts(rng: np.random.Generator, rows: int, resamples: int) -> FloatArray:
    """Return how often each bootstrap resample draws each row: (resamples, rows), each summing to rows."""
    counts = np.empty((resamples, rows))
    for counted in counts:
        counted[:] = np.bincount(rng.integers(0, rows, rows), minlength=rows)
    return counts


def _best_cuts(ranking: Ranking, totals: FloatArray, positives: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return the best threshold and its F1, both (R,), for R weightings (R, N) of ranked rows."""
    hits, flagged = ranking.cumulated(totals * positives), ranking.cumulated(totals)
    divisor = flagged + hits[:, -1:]
    f1 = np.divide(2 * hits, divisor, out=np.zeros_like(hits), where=divisor > 0)
    none = np.zeros((len(totals), 1))
    f1, flagged = np.hstack([none, f1]), np.hstack([none, flagged])
    best = f1.argmax(axis=1)[:, None]  # of cuts with equal F1 the first: its last flagged group has weight
    below = flagged > np.take_along_axis(flagged, best, axis=1)
    lower = ranking.scores[np.maximum(below.argmax(axis=1) - 1, 0)]
    thresholds = _between(lower, ranking.scores[best[:, 0] - 1])
    thresholds = np.where(best[:, 0] == 0, np.nextafter(lower, np.inf), thresholds)
    thresholds = np.where(below.any(axis=1), thresholds, min(0.0, float(ranking.scores[-1])))
    return thresholds, np.take_along_axis(f1, best, axis=1)[:, 0]


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
