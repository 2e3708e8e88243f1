"""What turns raw scores into decisions: calibration, operating points and the review band, chosen on unseen rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from modwright.errors import RecipeError, SchemaError, nearest
from modwright.evaluation.calibration import (
    CalibrationMethod,
    CalibrationRule,
    TargetCalibration,
    fit_calibration,
)
from modwright.evaluation.calibration.fitting import whole_rows
from modwright.evaluation.objectives import Aim, Objective
from modwright.evaluation.prevalence import PriorShift
from modwright.evaluation.review import Promise, ReviewBand, TooFew
from modwright.evaluation.review_fit import fit_review
from modwright.evaluation.thresholds import OperatingPoint, choose_points
from modwright.recipe import DEFAULT_POINT, CommonRecipe
from modwright.schema import FloatArray, Schema, Target, TargetKind, check_keys

_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class DecidedOn:
    """The rows that decisions were chosen on.

    Attributes:
        split: their name: `out_of_fold`, `held_out`, or a split of the dataset.
        rows: how many.
        dataset_id: of the dataset they are from; empty where that is the one the model was trained on, or unknown.
    """

    split: str
    rows: int
    dataset_id: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {"split": self.split, "rows": self.rows, "dataset_id": self.dataset_id}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json` data; raises SchemaError for other keys or values."""
        check_keys(data, {"split", "rows", "dataset_id"}, "decided_on")
        if type(data["rows"]) is not int or not all(
            isinstance(data[key], str) for key in ("split", "dataset_id")
        ):
            raise SchemaError(f"found {dict(data)!r}, expected names and a number", where="decided_on")
        return cls(data["split"], data["rows"], data["dataset_id"])


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a model's raw scores are turned into decisions by.

    Attributes:
        calibration: target to its calibration.
        points: operating points by name; `default` is among them.
        review: which texts go to a person; None where nothing was promised.
        decided_on: the rows; None where nothing was measured.
    """

    calibration: dict[str, TargetCalibration]
    points: dict[str, OperatingPoint]
    review: ReviewBand | None = None
    decided_on: DecidedOn | None = None

    @property
    def point(self) -> OperatingPoint:
        """Return the operating point that answers where none is named."""
        return self.points[DEFAULT_POINT]

    def calibrated(self, scores: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """Return calibrated scores of raw ones, target to (N, L)."""
        return {name: self.calibration[name].apply(values) for name, values in scores.items()}


def decide(
    recipe: CommonRecipe,
    schema: Schema,
    scores: Mapping[str, FloatArray],
    labels: Mapping[str, FloatArray],
    *,
    weights: FloatArray | None = None,
    groups: Sequence[str] | None = None,
    decided_on: DecidedOn | None = None,
) -> Decisions:
    """Choose calibration, operating points and review band on rows that the model was not fitted on.

    Calibration is fitted at the rows' own prevalence and then shifted to the deployment's, where one is stated
    (`prevalence`); thresholds and review load are chosen on the shifted scores, for that prevalence. The rows' own is the
    mean of their labels, soft ones as they are. Every calibration is
    strictly rising, so that cuts chosen on the rows it was fitted on are cuts of their raw scores.

    Args:
        recipe: its sections calibration, deployment, operating_points and review.
        scores: target to (N, L) raw scores.
        labels: target to (N, L) values in 0..1, NaN unknown.
        weights: (N,) or None.
        groups: one name per row; rows of a group are resampled together, and a promise is about a new group.
        decided_on: what the rows are called, kept with the result.

    Raises:
        RecipeError: a prevalence of no label, of several, or one that the rows or the other labels contradict.
        UsageError: shapes that do not fit.
    """
    stated = stated_prevalence(recipe, schema)
    rule = rule_of(recipe)
    calibration = {}
    for target in schema:
        fitted = fit_calibration(target, scores[target.name], labels[target.name], weights, rule)
        shift = _shift(target, labels[target.name], weights, stated.get(target.name, {}))
        calibration[target.name] = fitted.shifted(shift)
    calibrated = {name: calibration[name].apply(values) for name, values in scores.items()}
    deployed = {
        target.name: _deployed(target, calibration[target.name].shift, stated[target.name])
        for target in schema
        if target.name in stated
    }
    points = choose_points(
        objectives_of(recipe), schema, calibrated, labels, weights, groups=groups, prevalence=deployed
    )
    review = fit_review(
        schema,
        calibrated,
        labels,
        promise_of(recipe),
        groups=groups,
        prevalence=deployed,
        prefer=points[DEFAULT_POINT].thresholds,
    )
    return Decisions(calibration, points, review, decided_on)


def rule_of(recipe: CommonRecipe) -> CalibrationRule:
    """Return which calibration the recipe gives a label."""
    asked = recipe.calibration
    method = None if asked.method == "auto" else CalibrationMethod(asked.method)
    return CalibrationRule(method, asked.platt_from, asked.isotonic_from)


def objectives_of(recipe: CommonRecipe) -> dict[str, Objective]:
    """Return the recipe's operating points as objectives, by name."""
    return {name: Objective(Aim(one.aim), one.value) for name, one in recipe.operating_points.items()}


def promise_of(recipe: CommonRecipe) -> Promise:
    """Return what the recipe's review band is to promise."""
    asked = recipe.review
    return Promise(asked.misses, asked.wrong_actions, TooFew(asked.too_few))


def stated_prevalence(recipe: CommonRecipe, schema: Schema) -> dict[str, dict[str, float]]:
    """Return the recipe's deployment prevalence, target to label to share; targets without any left out.

    Raises:
        RecipeError: a name is that of no label, or of labels of several targets.
    """
    keys: dict[str, list[tuple[str, str]]] = {}
    for target in schema:
        for label in target.labels:
            for key in (label, f"{target.name}/{label}"):
                keys.setdefault(key, []).append((target.name, label))
    stated: dict[str, dict[str, float]] = {}
    for key, share in recipe.deployment.prevalence.items():
        where = f"deployment.prevalence.{key}"
        found = keys.get(key, [])
        if len(found) != 1:
            several = " or ".join(f"{target}/{label}" for target, label in found)
            raise RecipeError(
                f"'{key}' is a label of several targets" if found else f"no label is called '{key}'",
                where=where,
                remedy=f"write {several}" if found else nearest(key, keys),
            )
        ((target_name, label),) = found
        if label in stated.setdefault(target_name, {}):
            raise RecipeError(f"the label '{label}' is named twice", where=where)
        stated[target_name][label] = share
    return stated


def _shift(
    target: Target, labels: FloatArray, weights: FloatArray | None, stated: Mapping[str, float]
) -> PriorShift | None:
    """Return the shift from the rows' prevalence to the stated one; labels that are not named stay as they are."""
    if not stated:
        return None
    fitted = _prevalence(target, labels, weights)
    for label in stated:
        if not 0 < fitted[target.index(label)] < 1:
            raise RecipeError(
                f"the rows that calibrate have {'only' if fitted[target.index(label)] > 0 else 'no'} positives of it",
                where=f"deployment.prevalence.{label}",
                remedy="calibrate on rows with and without the label",
            )
    deployed = fitted.copy()
    for label, share in stated.items():
        deployed[target.index(label)] = share
    if target.kind is TargetKind.SINGLE_LABEL:
        deployed = _summing_to_one(target, fitted, deployed, stated)
    usable = (fitted > 0) & (fitted < 1)
    fitted, deployed = np.where(usable, fitted, 0.5), np.where(usable, deployed, 0.5)
    return PriorShift(tuple(fitted.tolist()), tuple(deployed.tolist()))


def _summing_to_one(
    target: Target, fitted: FloatArray, deployed: FloatArray, stated: Mapping[str, float]
) -> FloatArray:
    """Return the prevalence of classes that exclude each other: those not named share what is left as among the rows."""
    named = np.array([label in stated for label in target.labels])
    left, rest = 1.0 - float(deployed[named].sum()), float(fitted[~named].sum())
    where = f"deployment.prevalence, target '{target.name}'"
    if named.all() and abs(left) > _SUM_TOLERANCE:
        raise RecipeError(f"the classes sum to {1.0 - left:g}, expected 1", where=where)
    if not named.all() and (left <= 0 or not rest):
        raise RecipeError(
            f"the named classes sum to {1.0 - left:g}, which leaves nothing for the others", where=where
        )
    return (
        deployed / deployed.sum() if named.all() else np.where(named, deployed, fitted * left / (rest or 1))
    )


def _prevalence(target: Target, labels: FloatArray, weights: FloatArray | None) -> FloatArray:
    """Return the weighted mean (L,) of known labels; NaN where none is known."""
    weights = np.ones(len(labels)) if weights is None else weights
    known = ~np.isnan(labels)
    if target.kind is TargetKind.SINGLE_LABEL:
        known = np.repeat(whole_rows(labels)[:, None], labels.shape[1], axis=1)
        labels = labels / np.where(known, labels.sum(axis=1, keepdims=True), 1.0)
    each = np.where(known, weights[:, None], 0.0)
    with np.errstate(invalid="ignore"):
        return np.asarray((each * np.nan_to_num(labels)).sum(axis=0) / each.sum(axis=0), dtype=np.float64)


def _deployed(target: Target, shift: PriorShift | None, stated: Mapping[str, float]) -> dict[str, float]:
    """Return label to prevalence, of all classes where they exclude each other, else of those that were named."""
    if target.kind is TargetKind.MULTI_LABEL or shift is None:
        return dict(stated)
    return dict(zip(target.labels, shift.deployed, strict=True))
