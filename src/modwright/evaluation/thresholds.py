"""Thresholds: from which calibrated score on a label is flagged, chosen per label for stated objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress

import numpy as np

from modwright.errors import SchemaError, UsageError, nearest
from modwright.evaluation.choosing import Chosen, Column, Draw
from modwright.evaluation.cuts import NEVER, RESAMPLES, SEED, best_f1
from modwright.evaluation.objectives import Aim, Objective
from modwright.evaluation.operating_points import OperatingPoint, Reached
from modwright.schema import BoolArray, FloatArray, Schema, Target, TargetKind

__all__ = [
    "NEVER",
    "OperatingPoint",
    "best_f1",
    "choose_points",
    "choose_thresholds",
    "flags",
]

#: Name and aim of the operating point that `choose_thresholds` gives.
DEFAULT_NAME = "default"
BEST_F1 = "best F1 out of fold"
#: Below this many positives (or negatives) a label's own threshold of best F-beta or least cost is mostly noise: it is
#: drawn towards the shared one.
FEW = 10
#: The shared threshold where a target has no positive at all to choose one by.
NO_EVIDENCE = 0.5
#: Target to label to the share of texts that have the label where the model is deployed.
Prevalence = Mapping[str, Mapping[str, float]]


def choose_thresholds(
    schema: Schema,
    scores: Mapping[str, FloatArray],
    labels: Mapping[str, FloatArray],
    weights: FloatArray | None = None,
) -> OperatingPoint:
    """Choose the thresholds of best F1, as `choose_points` does."""
    point = choose_points({DEFAULT_NAME: Objective(Aim.F_BETA, 1.0)}, schema, scores, labels, weights)
    return replace(point[DEFAULT_NAME], objective=BEST_F1)


def choose_points(
    objectives: Mapping[str, Objective],
    schema: Schema,
    scores: Mapping[str, FloatArray],
    labels: Mapping[str, FloatArray],
    weights: FloatArray | None = None,
    *,
    groups: Sequence[str] | None = None,
    prevalence: Prevalence | None = None,
    seed: int = SEED,
    resamples: int = RESAMPLES,
) -> dict[str, OperatingPoint]:
    """Choose a threshold for every flaggable label of every multi-label target, for every named objective.

    Best F-beta and least cost are averaged over bootstrap resamples (`cuts.resampled_thresholds` says why); a bound is
    cut exactly where the label's own rows meet it, however few. Where no cut meets it, or there are no positives or no
    negatives to tell by, the label is never flagged at that point (`NEVER`) and is named in `OperatingPoint.unmet`: a
    weaker promise is never put in its place.

    For best F-beta and least cost a label with fewer than `FEW` positives or negatives gets a mean of its own
    threshold and the one its target's labels share (the same objective with their rows pooled), its own counting by how
    near it is to `FEW`; with none it gets the shared one.

    Args:
        objectives: name of the operating point to what it is chosen for.
        scores: target to (N, L) calibrated scores of rows the model was not fitted on.
        labels: target to (N, L) values in 0..1, NaN unknown.
        weights: (N,) or None.
        groups: one name per row; rows of a group are resampled together.
        prevalence: at which precision, F-beta and cost are to hold; a label that is not named keeps the rows' own.
        resamples: at least 1; for the averages and the intervals.

    Raises:
        UsageError: no resample, or a prevalence that is not in 0..1 or of an unknown target or label.
    """
    if resamples < 1:
        raise UsageError(f"resamples is {resamples}, expected 1 or more")
    stated = _checked_prevalence(schema, prevalence or {})
    draw = Draw(seed, resamples)
    points = {
        name: OperatingPoint(name, objective.words, {}, {}, objective, stated)
        for name, objective in objectives.items()
    }
    for target in schema.targets:
        for point in points.values():
            point.thresholds[target.name] = {}
        if target.kind is TargetKind.MULTI_LABEL:
            columns = _columns(
                target, scores[target.name], labels[target.name], weights, groups, schema.positive_above
            )
            _fill(points, target, columns, stated.get(target.name, {}), draw)
    return points


def _fill(
    points: Mapping[str, OperatingPoint],
    target: Target,
    columns: Mapping[str, Column],
    prevalence: Mapping[str, float],
    draw: Draw,
) -> None:
    """Give every point its thresholds of one target, and what they reach."""
    aims = {name: point.aim for name, point in points.items() if point.aim is not None}
    few = {label: found for label, column in columns.items() if (found := column.evidence) < FEW}
    best = {name: aim for name, aim in aims.items() if not aim.aim.is_bound}
    common = _shared(best, columns, prevalence, draw) if few else dict.fromkeys(best, NO_EVIDENCE)
    for label, column in columns.items():
        stated = prevalence.get(label)
        share = min(few.get(label, FEW), FEW) / FEW
        chosen = draw.chosen(aims, column, stated) if share else {}
        for name, aim in aims.items():
            if name in best:
                own = chosen.get(name, Chosen(common[name], np.full(0, np.nan)))
                made = own.towards(common[name], share)
                reached = draw.reached(aim, column, stated, made)
            else:
                made, reached = _bounded(aim, column, stated, chosen.get(name), draw)
            points[name].thresholds[target.name][label] = made.threshold
            points[name].found.setdefault(target.name, {})[label] = reached
    if few:
        for name in best:
            points[name].shared[target.name] = tuple(few)


def _bounded(
    aim: Objective, column: Column, prevalence: float | None, own: Chosen | None, draw: Draw
) -> tuple[Chosen, Reached]:
    """Return the threshold at which the rows meet a bound, and what it reaches; `NEVER` where none does, or none is known.

    A mean with any other threshold would keep nobody's promise.
    """
    if own is not None and own.threshold < NEVER:
        reached = draw.reached(aim, column, prevalence, own)
        if reached.met:
            return own, reached
    never = Chosen(NEVER, np.full(0, np.nan) if own is None else own.resampled)
    return never, replace(draw.reached(aim, column, prevalence, never), met=False)


def _columns(
    target: Target,
    scores: FloatArray,
    labels: FloatArray,
    weights: FloatArray | None,
    groups: Sequence[str] | None,
    positive_above: float,
) -> dict[str, Column]:
    weights = np.ones(len(scores)) if weights is None else weights
    columns = {}
    for label in target.flaggable:
        values = labels[:, target.index(label)]
        known = ~np.isnan(values)
        columns[label] = Column(
            scores[known, target.index(label)],
            values[known] > positive_above,
            weights[known],
            None if groups is None else tuple(compress(groups, known)),
        )
    return columns


def _shared(
    aims: Mapping[str, Objective],
    columns: Mapping[str, Column],
    prevalence: Mapping[str, float],
    draw: Draw,
) -> dict[str, float]:
    """Return each aim's threshold with all labels' rows pooled; `NO_EVIDENCE` if all or none are positive.

    Where a prevalence is stated for a label, the pooled rows are weighted to the labels' mean.
    """
    many = list(columns.values())
    groups = [column.groups for column in many if column.groups is not None]
    pooled = Column(
        np.concatenate([column.scores for column in many]),
        np.concatenate([column.positives for column in many]),
        np.concatenate([column.weights for column in many]),
        tuple(name for some in groups for name in some) if groups else None,
    )
    if not pooled.evidence:
        return dict.fromkeys(aims, NO_EVIDENCE)
    stated = [prevalence.get(label, column.prevalence) for label, column in columns.items()]
    mean = float(np.mean(stated)) if prevalence else None
    return {name: chosen.threshold for name, chosen in draw.chosen(aims, pooled, mean).items()}


def _checked_prevalence(schema: Schema, prevalence: Prevalence) -> dict[str, dict[str, float]]:
    for name, labels in prevalence.items():
        if name not in schema.names:
            raise UsageError(
                f"unknown target '{name}'", where="prevalence", remedy=nearest(name, schema.names)
            )
        known = schema.target(name).labels
        for label, value in labels.items():
            where = f"prevalence of target '{name}'"
            if label not in known:
                raise UsageError(f"unknown label '{label}'", where=where, remedy=nearest(label, known))
            if not 0 <= value <= 1:
                raise UsageError(f"'{label}' is {value!r}, expected 0 to 1", where=where)
    return {name: dict(labels) for name, labels in prevalence.items()}


def flags(target: Target, scores: FloatArray, thresholds: Mapping[str, float]) -> BoolArray:
    """Return which labels are flagged, (N, L).

    Multi-label: those whose score reaches their threshold; single-label: the most probable one. A negative
    label is never flagged; a single-label row whose most probable label is negative has no flag.

    Raises:
        SchemaError: a flaggable label of a multi-label target has no threshold.
    """
    flagged = np.zeros(scores.shape, dtype=np.bool_)
    if target.kind is TargetKind.SINGLE_LABEL:
        flagged[np.arange(len(scores)), scores.argmax(axis=1)] = True
    else:
        for label in target.flaggable:
            if label not in thresholds:
                raise SchemaError(
                    f"label '{label}' has no threshold",
                    where=f"target '{target.name}'",
                    remedy=nearest(label, thresholds),
                )
            flagged[:, target.index(label)] = scores[:, target.index(label)] >= thresholds[label]
    flagged[:, [target.index(label) for label in target.negative_labels]] = False
    return flagged
