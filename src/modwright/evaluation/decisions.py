"""What turns raw scores into decisions: calibration, operating points and the review band, chosen on unseen rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from modwright.errors import SchemaError
from modwright.evaluation.calibration import (
    CalibrationMethod,
    CalibrationRule,
    TargetCalibration,
    fit_calibration,
)
from modwright.evaluation.deployment import deployed_prevalence, prior_shift, stated_prevalence
from modwright.evaluation.objectives import Aim, Objective
from modwright.evaluation.review import Promise, ReviewBand, TooFew
from modwright.evaluation.review_fit import fit_review
from modwright.evaluation.thresholds import OperatingPoint, choose_points
from modwright.recipe import DEFAULT_POINT, CommonRecipe
from modwright.schema import FloatArray, Schema, check_keys


@dataclass(frozen=True, slots=True)
class DecidedOn:
    """The rows that decisions were chosen on.

    Attributes:
        split: their name: `out_of_fold`, `held_out`, or a split of the dataset.
        rows: how many.
        dataset_id: of the dataset they are from; empty where the training chose them of its own, or it is unknown.
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

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what could not be had: bounds that no threshold reaches, and labels of which nothing can be promised."""
        notes = []
        for name, point in self.points.items():
            if unmet := _named(point.unmet):
                notes.append(f"operating point '{name}': {point.objective}: not reached for {unmet}")
        if self.review is not None:
            thin = {
                target: tuple(label for label, band in bands.items() if not band.promised)
                for target, bands in self.review.bands.items()
            }
            if any(thin.values()):
                notes.append(f"review band: too few rows for a promise about {_named(thin)}")
        return tuple(notes)

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
    share that has the label, here as for the thresholds: a soft one counts where it is above the schema's
    `positive_above`, of a single-label target the most probable. The calibration of a
    multi-label target's label is rising, so that cuts chosen on the rows it was fitted on are cuts of their raw scores.

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
        shift = prior_shift(
            target,
            labels[target.name],
            weights,
            stated.get(target.name, {}),
            positive_above=schema.positive_above,
        )
        calibration[target.name] = fitted.shifted(shift)
    calibrated = {name: calibration[name].apply(values) for name, values in scores.items()}
    deployed = {
        target.name: deployed_prevalence(target, calibration[target.name].shift, stated[target.name])
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


def _named(labels: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{target}/{label}" for target, some in labels.items() for label in some)


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
