"""What any threshold of a label would give, at any prevalence: a short table that stands for all rows.

Precision, the share that is flagged and the share that is sent to people follow from three things: what part of the
texts that deserve a flag, and of those that do not, scores at least so much (both counted here), and how common the
former are where the model is to work. So a few hundred thresholds answer every question without a row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modwright.evaluation.curves import wilson
from modwright.evaluation.resampling import Interval
from modwright.evaluation.scored import ScoredSplit
from modwright.schema import BoolArray, FloatArray

#: Thresholds kept per label.
MOST_POINTS = 200
#: Digits with which a threshold is written where they tell it from its neighbours; what it gives was counted before.
_DIGITS = 7


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one threshold, or two with people between them, comes to at one prevalence; all are shares.

    Attributes:
        precision: of what is flagged, the share that deserves it; undefined where nothing is flagged.
        recall: of what deserves a flag, the share that is flagged.
        flagged, review: shares of all texts that are flagged, and that are sent to people.
        wrong: share of all texts that are flagged and do not deserve it.
        missed: share of all texts that deserve a flag and are neither flagged nor sent to people.
    """

    precision: Interval
    recall: Interval
    flagged: float
    review: float
    wrong: float
    missed: float


@dataclass(frozen=True, slots=True)
class Explorer:
    """The thresholds of one label in one split.

    Attributes:
        positives, negatives: known rows of either kind.
        thresholds: (K,) rising, from "flags everything" to "flags nothing".
        found, alarms: (K,) positives and negatives that score at least so much.
        points: operating points by name, with their threshold; one of the thresholds.
        band: scores from which on a text is sent to people, and from which on it is flagged; both are thresholds.
        deployment: the prevalence that was stated for deployment.
    """

    split: str
    target: str
    label: str
    positives: int
    negatives: int
    thresholds: FloatArray
    found: FloatArray
    alarms: FloatArray
    points: Mapping[str, float]
    band: tuple[float, float] | None = None
    deployment: float | None = None

    @property
    def prevalence(self) -> float:
        """Return the share of positives among the known rows."""
        return self.positives / (self.positives + self.negatives)

    def place(self, threshold: float) -> int:
        """Return the place of a threshold, or of the next higher one."""
        return min(int(np.searchsorted(self.thresholds, threshold)), len(self.thresholds) - 1)

    def outcome(self, act: float, prevalence: float | None = None, review: float | None = None) -> Outcome:
        """Return what flagging from a threshold on comes to.

        Args:
            act: flagged from this score on.
            prevalence: of texts that deserve it, 0 to 1; the measured one if None.
            review: sent to people from this score on, up to `act`; nothing is if None.
        """
        share = self.prevalence if prevalence is None else prevalence
        acted = self.place(act)
        hits, false = self._rates(acted)
        seen_hits, seen_false = self._rates(min(acted, self.place(act if review is None else review)))
        n = self.positives + self.negatives
        return Outcome(
            precision=_precision(self._bounds(acted), hits, false, share, n),
            recall=Interval(hits, *self._bounds(acted)[0], self.positives),
            flagged=share * hits + (1 - share) * false,
            review=share * (seen_hits - hits) + (1 - share) * (seen_false - false),
            wrong=(1 - share) * false,
            missed=share * (1 - seen_hits),
        )

    def _rates(self, place: int) -> tuple[float, float]:
        return float(self.found[place] / self.positives), float(self.alarms[place] / self.negatives)

    def _bounds(self, place: int) -> tuple[tuple[float, float], tuple[float, float]]:
        hits, false = self._rates(place)
        return wilson(hits, self.positives), wilson(false, self.negatives)

    def to_json(self) -> dict[str, Any]:
        """Return what the page's slider and report.json need."""
        return {
            "split": self.split,
            "target": self.target,
            "label": self.label,
            "positives": self.positives,
            "negatives": self.negatives,
            "thresholds": _written(self.thresholds),
            "found": [int(value) for value in self.found],
            "alarms": [int(value) for value in self.alarms],
            "points": {name: self.place(value) for name, value in self.points.items()},
            "band": None if self.band is None else [self.place(value) for value in self.band],
            "deployment": self.deployment,
        }


def _precision(
    bounds: tuple[tuple[float, float], tuple[float, float]], hits: float, false: float, share: float, n: int
) -> Interval:
    """Return the precision; its interval takes both rates at the bad, then at the good end of theirs."""

    def at(one: float, other: float) -> float | None:
        flagged = share * one + (1 - share) * other
        return share * one / flagged if flagged > 0 else None

    (low_hits, high_hits), (low_false, high_false) = bounds
    value = at(hits, false)
    if value is None:
        return Interval(None, None, None, n)
    return Interval(value, at(low_hits, high_false), at(high_hits, low_false), n)


def explorers(
    split: ScoredSplit,
    points: Mapping[str, Mapping[str, Mapping[str, float]]],
    bands: Mapping[str, Mapping[str, tuple[float, float]]] | None = None,
    deployment: Mapping[str, Mapping[str, float]] | None = None,
) -> list[Explorer]:
    """Return an explorer for every flaggable label of a split with rows of either kind.

    Args:
        points: operating point to target to label to threshold.
        bands: target to label to the scores from which on people look, and from which on it is flagged.
        deployment: target to label to the prevalence stated for deployment.
    """
    made = []
    for target in split.schema:
        for label in target.flaggable:
            known, positives = split.positives(target.name, label)
            if not positives.any() or not (known & ~positives).any():
                continue
            named = {
                name: found[target.name][label]
                for name, found in points.items()
                if label in found[target.name]
            }
            band = (bands or {}).get(target.name, {}).get(label)
            scores = split.scores[target.name][known, target.index(label)]
            made.append(
                explorer(
                    (split.name, target.name, label),
                    scores,
                    positives[known],
                    named,
                    band,
                    (deployment or {}).get(target.name, {}).get(label),
                )
            )
    return made


def explorer(
    names: tuple[str, str, str],
    scores: FloatArray,
    positives: BoolArray,
    points: Mapping[str, float],
    band: tuple[float, float] | None = None,
    deployment: float | None = None,
) -> Explorer:
    """Make the explorer of one label; names are split, target and label, scores and positives (n,) of known rows."""
    high, low = np.sort(scores[positives]), np.sort(scores[~positives])
    thresholds = _thresholds(high, low, [*points.values(), *(band or ())])
    return Explorer(
        *names,
        positives=len(high),
        negatives=len(low),
        thresholds=thresholds,
        found=_at_least(high, thresholds),
        alarms=_at_least(low, thresholds),
        points=dict(points),
        band=band,
        deployment=deployment,
    )


def _at_least(rising: FloatArray, thresholds: FloatArray) -> FloatArray:
    return (len(rising) - np.searchsorted(rising, thresholds, side="left")).astype(np.float64)


def _thresholds(high: FloatArray, low: FloatArray, wanted: Iterable[float]) -> FloatArray:
    """Return the thresholds to keep: those wanted, both ends, and others where the rates change most.

    They are spread evenly over the sum of both rates' log-odds, so that a false-alarm rate of a thousandth is as finely
    told as one of a half.
    """
    every = np.unique(np.concatenate([high, low]))
    fixed = [0.0, *wanted, math.nextafter(float(every[-1]), math.inf)]
    room = max(2, MOST_POINTS - len(fixed))
    if len(every) > room:
        way = _log_odds(_at_least(high, every), len(high)) + _log_odds(_at_least(low, every), len(low))
        stops = np.linspace(way[0], way[-1], room)
        every = every[np.unique(np.searchsorted(-way, -stops, side="left").clip(0, len(every) - 1))]
    return np.unique(np.concatenate([every, fixed]))


def _written(thresholds: FloatArray) -> list[float]:
    """Return thresholds (K,) with few digits, or all where few would make two equal, or one above 1 ("never") a 1."""
    exact = thresholds.tolist()
    short = [float(f"{value:.{_DIGITS}g}") for value in exact]
    often = Counter(short)
    return [
        value if often[few] > 1 or (value > 1) != (few > 1) else few
        for value, few in zip(exact, short, strict=True)
    ]


def _log_odds(counts: FloatArray, total: int) -> FloatArray:
    return np.asarray(np.log((counts + 0.5) / (total - counts + 0.5)), dtype=np.float64)
