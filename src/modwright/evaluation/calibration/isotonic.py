"""Isotonic calibration: the rising curve that fits best, kept as knots so that applying it needs numpy alone.

Pools of adjacent violators (Ayer et al. 1955; as a calibration: Zadrozny and Elkan 2002, "Transforming classifier
scores into accurate multiclass probability estimates") are centred (Oron and Flournoy 2017, "Centered isotonic
regression"): each pool becomes one knot at its mean log-odds, and the curve is straight between knots. So it has no
stretch where it is flat, and what was told apart before stays apart. Half a positive at the lower end and half a negative
at the upper end keep it from saying never or always on the strength of the rows it was fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from modwright.errors import SchemaError
from modwright.schema import FloatArray, check_keys

#: Weight of the positive below all rows and of the negative above them; rows have a mean weight of 1.
_END_WEIGHT = 0.5
#: How the curve goes on beyond its outermost knots, in log-odds per log-odds: nearly flat, for nothing is known there.
_END_SLOPE = 0.01
#: Knots that lie closer in log-odds than this are one.
_CLOSE = 1e-9


@dataclass(frozen=True, slots=True)
class Curve:
    """A strictly rising map of raw log-odds to calibrated ones, straight between K knots, K at least 1.

    Attributes:
        raw: (K,) rising.
        calibrated: (K,) rising.
    """

    raw: tuple[float, ...]
    calibrated: tuple[float, ...]

    def apply(self, z: FloatArray) -> FloatArray:
        """Return calibrated log-odds of raw ones, of any shape."""
        first, last = self.raw[0], self.raw[-1]
        inside = np.interp(z, np.array(self.raw), np.array(self.calibrated))
        beyond = np.minimum(z - first, 0.0) + np.maximum(z - last, 0.0)
        return np.asarray(inside + _END_SLOPE * beyond, dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return the knots as JSON-ready data."""
        return {"raw": list(self.raw), "calibrated": list(self.calibrated)}

    @classmethod
    def from_json(cls, data: Any, where: str) -> Self:
        """Rebuild from `to_json` data; raises SchemaError for other keys or knots that do not rise."""
        if not isinstance(data, Mapping):
            raise SchemaError(f"found {data!r}, expected an object of knots", where=where)
        check_keys(data, {"raw", "calibrated"}, where)
        raw, calibrated = _rising(data["raw"], where), _rising(data["calibrated"], where)
        if len(raw) != len(calibrated):
            raise SchemaError(
                f"found {len(raw)} raw and {len(calibrated)} calibrated knots, expected as many", where=where
            )
        return cls(raw, calibrated)


def fit_curve(z: FloatArray, labels: FloatArray, weights: FloatArray) -> Curve:
    """Fit raw log-odds (n,) to labels (n,) in 0..1 under weights (n,) above 0, n at least 1.

    Weights count relative to each other.
    """
    weights = weights / weights.mean()
    places, row_place = np.unique(z, return_inverse=True)
    weight = np.bincount(row_place, weights).astype(np.float64)
    positive = np.bincount(row_place, weights * labels).astype(np.float64)
    positive[0] += _END_WEIGHT
    weight[0] += _END_WEIGHT
    weight[-1] += _END_WEIGHT
    pools = _pooled(places, weight, positive)
    centres, rates = pools[:, 2] / pools[:, 0], pools[:, 1] / pools[:, 0]
    odds = np.log(rates) - np.log1p(-rates)
    kept = np.concatenate([[True], (np.diff(centres) > _CLOSE) & (np.diff(odds) > _CLOSE)])
    return Curve(tuple(map(float, centres[kept])), tuple(map(float, odds[kept])))


def _pooled(places: FloatArray, weight: FloatArray, positive: FloatArray) -> FloatArray:
    """Return pools (K, 3) of weight, positive weight and weighted place, their rates rising strictly."""
    pools: list[tuple[float, float, float]] = []
    for pool in zip(weight.tolist(), positive.tolist(), (weight * places).tolist(), strict=True):
        # The pool before is at least as positive: they are one.
        while pools and pools[-1][1] * pool[0] >= pool[1] * pools[-1][0]:
            before = pools.pop()
            pool = (before[0] + pool[0], before[1] + pool[1], before[2] + pool[2])
        pools.append(pool)
    return np.array(pools, dtype=np.float64)


def _rising(values: Any, where: str) -> tuple[float, ...]:
    good = isinstance(values, list) and values and all(type(value) in (int, float) for value in values)
    if not good or not np.isfinite(values).all() or not (np.diff(values) > 0).all():
        raise SchemaError(f"found {values!r}, expected finite numbers that rise", where=where)
    return tuple(float(value) for value in values)
