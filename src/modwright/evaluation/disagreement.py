"""The rows on which two models disagree most: where a person learns fastest what sets them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modwright.evaluation.comparison import Judged
from modwright.schema import BoolArray, FloatArray, IntArray, Schema, Target

MOST = 50


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A row, and the label on which two models are furthest apart there.

    Attributes:
        row: place in the split.
        scores: the one's and the other's; 1 or 0 for a model that only says yes or no.
        flags: the one's and the other's.
        truth: in 0..1, None unknown.
    """

    row: int
    target: str
    label: str
    scores: tuple[float, float]
    flags: tuple[bool, bool]
    truth: float | None


def disagreements(
    schema: Schema, labels: Mapping[str, FloatArray], one: Judged, other: Judged, most: int = MOST
) -> list[Disagreement]:
    """Return the rows on which two models disagree most, those that only one of them flags first.

    A row is listed once, under the label with the widest gap between the scores; a row that one of them gave no answer
    for says nothing of that and is left out, and so is one on which both say the very same.

    Args:
        labels: target to (N, L) in 0..1, NaN unknown.
    """
    parts = [_gaps(target, one, other) for target in schema]
    places: list[tuple[Target, str]] = [(target, label) for target in schema for label in target.labels]
    differs, gaps = (np.concatenate([part[i] for part in parts], axis=1) for i in (0, 1))
    widest = np.argmax(differs + np.minimum(gaps, 1.0) / 2, axis=1)
    rows = np.arange(len(widest))
    answered = ~(one.failed | other.failed)
    order = _order(answered, differs[rows, widest], gaps[rows, widest])[:most]
    found = []
    for row in order.tolist():
        target, label = places[int(widest[row])]
        found.append(_disagreement(row, target, label, labels, one, other))
    return found


def _gaps(target: Target, one: Judged, other: Judged) -> tuple[BoolArray, FloatArray]:
    """Return where one flags and the other does not, and the gap between the scores, both (N, L); 0 where not judged."""
    compared = one.covered[target.name] & other.covered[target.name]
    compared &= np.array([label in target.flaggable for label in target.labels])
    differs = (one.flags[target.name] != other.flags[target.name]) & compared
    gaps = np.abs(scores_of(one, target) - scores_of(other, target))
    return np.asarray(differs, dtype=np.bool_), np.where(compared, np.nan_to_num(gaps), 0.0)


def scores_of(model: Judged, target: Target) -> FloatArray:
    """Return a model's (N, L) scores; its flags as 1 and 0 where it has none."""
    if model.scores is None:
        return model.flags[target.name].astype(np.float64)
    return model.scores[target.name]


def _order(answered: BoolArray, differs: BoolArray, gaps: FloatArray) -> IntArray:
    order = np.lexsort((-gaps, ~differs))
    return np.asarray(
        [row for row in order if answered[row] and (differs[row] or gaps[row] > 0)], dtype=np.int64
    )


def _disagreement(
    row: int, target: Target, label: str, labels: Mapping[str, FloatArray], one: Judged, other: Judged
) -> Disagreement:
    place = target.index(label)
    truth = float(labels[target.name][row, place])
    scores = [float(scores_of(model, target)[row, place]) for model in (one, other)]
    flags = [bool(model.flags[target.name][row, place]) for model in (one, other)]
    known = None if np.isnan(truth) else truth
    return Disagreement(row, target.name, label, (scores[0], scores[1]), (flags[0], flags[1]), known)
