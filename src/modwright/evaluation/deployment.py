"""A recipe's deployment prevalence: which label it speaks of, and the shift from that of the rows that calibrate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modwright.errors import RecipeError, nearest
from modwright.evaluation.prevalence import PriorShift, labels_held
from modwright.recipe import CommonRecipe
from modwright.schema import BoolArray, FloatArray, Schema, Target, TargetKind

_SUM_TOLERANCE = 1e-6
#: The share of a class that no row has, where shares must be above 0.
_NEXT_TO_NOTHING = 1e-9


def stated_prevalence(recipe: CommonRecipe, schema: Schema) -> dict[str, dict[str, float]]:
    """Return the recipe's deployment prevalence, target to label to share; targets without any left out.

    Raises:
        RecipeError: a name is that of no label, or of labels of several targets, or the classes of a single-label target
            sum to more than 1, or all of them to less.
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
    for name, shares in stated.items():
        _check_sum(schema.target(name), shares)
    return stated


def _check_sum(target: Target, stated: Mapping[str, float]) -> None:
    """Raise RecipeError where classes that exclude each other hold for more than every text, or all of them for fewer."""
    if target.kind is TargetKind.MULTI_LABEL:
        return
    total = sum(stated.values())
    if total > 1 + _SUM_TOLERANCE or (len(stated) == len(target.labels) and total < 1 - _SUM_TOLERANCE):
        expected = "1" if len(stated) == len(target.labels) else "less than 1, the others share the rest"
        raise RecipeError(
            f"the classes sum to {total:g}, expected {expected}",
            where=f"deployment.prevalence, target '{target.name}'",
        )


def prior_shift(
    target: Target,
    labels: FloatArray,
    weights: FloatArray | None,
    stated: Mapping[str, float],
    *,
    positive_above: float,
) -> PriorShift | None:
    """Return the shift from the rows' prevalence to the stated one.

    Labels of a multi-label target that are not named stay as they are; classes of a single-label one that are not named
    share what the named ones leave, as they do among the rows, so that the scores of all of them move alike.

    Args:
        labels: (N, L) of the rows that calibrate, NaN unknown; which labels a row has is `prevalence.labels_held`.
        weights: (N,) or None.
        stated: label to share; without any there is no shift.

    Raises:
        RecipeError: the rows have no or only positives of a named label, or the classes of a single-label target that are
            not named have nothing left, or no rows to share it by.
    """
    if not stated:
        return None
    fitted = _prevalence(labels_held(target, labels, positive_above), weights)
    for label in stated:
        if not 0 < fitted[target.index(label)] < 1:
            raise RecipeError(
                f"the rows that calibrate have {'only' if fitted[target.index(label)] > 0 else 'no'} positives of it",
                where=f"deployment.prevalence.{label}",
                remedy="calibrate on rows with and without the label",
            )
    named = np.array([label in stated for label in target.labels])
    shares = np.array([stated.get(label, 0.0) for label in target.labels])
    if target.kind is TargetKind.SINGLE_LABEL:
        fitted, deployed = _sharing(target, fitted, named, shares)
    else:
        usable = (fitted > 0) & (fitted < 1)
        fitted = np.where(usable, fitted, 0.5)
        deployed = np.where(named, shares, fitted)
    return PriorShift(tuple(fitted.tolist()), tuple(deployed.tolist()))


def _sharing(
    target: Target, fitted: FloatArray, named: BoolArray, shares: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return both prevalences of classes that exclude each other, each summing to 1.

    A class without rows, which is never named, counts as a share next to nothing of them: it moves as the others that are
    not named do.
    """
    left, rest = 1.0 - float(shares[named].sum()), float(fitted[~named].sum())
    if not named.all() and (left <= 0 if rest else abs(left) > _SUM_TOLERANCE):
        raise RecipeError(
            f"the named classes sum to {1.0 - left:g}"
            + (", which leaves nothing for the others" if rest else ", and no row has any of the others"),
            where=f"deployment.prevalence, target '{target.name}'",
        )
    fitted = np.where(fitted > 0, fitted, _NEXT_TO_NOTHING)
    ratio = left / rest if rest else 1.0
    deployed = np.where(named, shares, fitted * ratio)
    return fitted / fitted.sum(), deployed / deployed.sum()


def _prevalence(held: FloatArray, weights: FloatArray | None) -> FloatArray:
    """Return the weighted share (L,) of the known rows that have each label; NaN where none is known."""
    weights = np.ones(len(held)) if weights is None else weights
    each = np.where(np.isnan(held), 0.0, weights[:, None])
    with np.errstate(invalid="ignore"):
        return np.asarray((each * np.nan_to_num(held)).sum(axis=0) / each.sum(axis=0), dtype=np.float64)


def deployed_prevalence(
    target: Target, shift: PriorShift | None, stated: Mapping[str, float]
) -> dict[str, float]:
    """Return label to prevalence, of all classes where they exclude each other, else of those that were named."""
    if target.kind is TargetKind.MULTI_LABEL or shift is None:
        return dict(stated)
    return dict(zip(target.labels, shift.deployed, strict=True))
