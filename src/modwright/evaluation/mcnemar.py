"""McNemar's exact test of two models' decisions on the same rows, and Holm's adjustment for many tests."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def mcnemar_p(only_one: int, only_other: int) -> float:
    """Return the exact two-sided p of McNemar's test: as unequal a parting of the rows that only one decides rightly."""
    n, fewer = only_one + only_other, min(only_one, only_other)
    if not n:
        return 1.0
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(fewer + 1)]
    return min(1.0, 2 * math.exp(float(np.logaddexp.reduce(logs)) - n * math.log(2)))


def holm(values: Sequence[float]) -> list[float]:
    """Return p values adjusted for being many (Holm 1979, "A simple sequentially rejective multiple test procedure")."""
    adjusted, highest = [1.0] * len(values), 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = highest
    return adjusted
