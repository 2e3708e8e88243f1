"""A recipe's deployment prevalence: which label it speaks of, and the shift from that of the rows that calibrate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modwright.errors import RecipeError, nearest
from modwright.evaluation.calibration.fitting import whole_rows
from modwright.evaluation.prevalence import PriorShift
from modwright.recipe import CommonRecipe
from modwright.schema import FloatArray, Schema, Target, TargetKind

_SUM_TOLERANCE = 1e-6


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


def prior_shift(
    target: Target, labels: FloatArray, weights: FloatArray | None, stated: Mapping[str, float]
) -> PriorShift | None:
    """Return the shift from the rows' prevalence to the stated one; labels that are not named stay as they are.

    Args:
        labels: (N, L) of the rows that calibrate, NaN unknown; their prevalence is the mean of their values, soft ones as
            they are.
        weights: (N,) or None.
        stated: label to share; without any there is no shift.

    Raises:
        RecipeError: the rows have no or only positives of a named label, or the classes of a single-label target do not
            leave 1 in all.
    """
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


def deployed_prevalence(
    target: Target, shift: PriorShift | None, stated: Mapping[str, float]
) -> dict[str, float]:
    """Return label to prevalence, of all classes where they exclude each other, else of those that were named."""
    if target.kind is TargetKind.MULTI_LABEL or shift is None:
        return dict(stated)
    return dict(zip(target.labels, shift.deployed, strict=True))
