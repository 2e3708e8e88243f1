"""The bootstrap of a few sums: what happened to each row falls into cells, and a resample is a draw of their totals.

Rows (or groups of rows) with the same totals are exchangeable, so that how often a resample draws each kind is
multinomial: exact, and as cheap for millions of rows as for hundreds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modwright.schema import FloatArray

#: Resamples handled at once hold at most this many counts.
_CHUNK_COUNTS = 2_000_000


def resampled_totals(
    cells: FloatArray, groups: Sequence[str] | None, *, seed: int, resamples: int
) -> FloatArray:
    """Return bootstrap sums (R, C) of cells (N, C) over rows, or over the groups they belong to; N at least 1.

    Args:
        groups: one name per row; the rows of a group are drawn as a whole.
    """
    units = cells
    if groups is not None:
        member = np.unique(np.asarray(groups), return_inverse=True)[1]
        units = np.stack([np.bincount(member, column) for column in cells.T], axis=1)
    kinds, often = np.unique(units, axis=0, return_counts=True)
    rng, chunk = np.random.default_rng(seed), max(1, _CHUNK_COUNTS // len(kinds))
    drawn = [
        rng.multinomial(len(units), often / len(units), size=min(chunk, resamples - begin)) @ kinds
        for begin in range(0, resamples, chunk)
    ]
    return np.concatenate(drawn) if drawn else np.zeros((0, cells.shape[1]))
