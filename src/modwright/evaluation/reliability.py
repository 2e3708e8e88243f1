"""How far from calibrated true probabilities look by chance.

Even perfectly calibrated scores show a calibration error on finitely many rows. The band says how much: the error that the
very same scores have where the labels are drawn from them, each by itself, as 0 or 1 (consistency resampling; Bröcker and
Smith 2007, "Increasing the reliability of reliability diagrams"). An error within it is no evidence of miscalibration. Of
soft labels, which vary less, and of rows that come in groups, whose labels vary together, it says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modwright.evaluation.binary import equal_mass_bins
from modwright.evaluation.resampling import LEVEL, RESAMPLES, SEED
from modwright.schema import FloatArray

#: Drawn labels handled at once.
_CHUNK = 500_000


def ece_band(scores: FloatArray, draws: int = RESAMPLES, seed: int = SEED) -> float:
    """Return the calibration error below which 95 % of the draws lie, for scores (n,) in 0..1, n at least 2."""
    return float(np.quantile(drawn_errors(scores, draws, seed), LEVEL))


def drawn_errors(scores: FloatArray, draws: int, seed: int = SEED) -> FloatArray:
    """Return the debiased calibration errors (draws,) of scores (n,) whose labels are drawn from them."""
    order = np.argsort(-scores, kind="stable")
    p = np.asarray(scores, dtype=np.float64)[order]
    starts = np.flatnonzero(np.diff(equal_mass_bins(scores)[order], prepend=-1))
    rows = np.diff(np.append(starts, len(p))).astype(np.float64)
    share, usable = rows / rows.sum(), rows > 1
    errors = []
    for labels in _drawn(p, draws, seed):
        mean = np.add.reduceat(labels - p, starts, axis=1) / rows
        square = np.add.reduceat((labels - p) ** 2, starts, axis=1) / rows
        noise = np.maximum(square - mean**2, 0.0) / np.maximum(rows - 1, 1)
        errors.append((share * np.where(usable, mean**2 - noise, 0.0)).sum(axis=1))
    return np.asarray(np.sqrt(np.maximum(np.concatenate(errors), 0.0)), dtype=np.float64)


def _drawn(p: FloatArray, draws: int, seed: int) -> Iterator[FloatArray]:
    """Yield labels (r, n) of 0 and 1, a bounded number of draws at a time, the same for the same seed."""
    rng, chunk = np.random.default_rng(seed), max(1, _CHUNK // max(1, len(p)))
    for begin in range(0, draws, chunk):
        yield (rng.random((min(chunk, draws - begin), len(p))) < p).astype(np.float64)
