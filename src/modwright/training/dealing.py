"""Which rows each run of a fit learns from, and which judge it: folds or a held-out part, whole groups always."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modwright.data.split import folds, split_groups
from modwright.errors import DataError
from modwright.recipe import TunedRecipe
from modwright.schema import POSITIVE_ABOVE, BoolArray, FloatArray, IntArray, Schema
from modwright.training.fitted import HELD_OUT, VALIDATION
from modwright.training.rows import TrainingRows
from modwright.training.task import TunedFamily

#: The run whose model remains.
FINAL = "final"
_TRAIN = "train"


def fold_name(fold: int, number: int) -> str:
    """Return what the run is called that the fold, from 0, is held out of."""
    return f"fold {fold + 1} of {number}"


def trains_nothing(recipe: TunedRecipe) -> bool:
    """Return whether the base is taken as it is, and only calibrated."""
    return recipe.family == "causal" and recipe.adapter.method == "none"


def deal(recipe: TunedRecipe, schema: Schema, rows: TrainingRows) -> IntArray:
    """Return the (N,) fold of every row; fewer folds than the recipe's where there are fewer groups.

    Raises:
        DataError: a single group, or a fold that can judge nothing or leaves nothing to learn from.
    """
    number = max(2, min(recipe.validation.folds, len(set(rows.groups))))
    fold = folds(rows.groups, _together(schema, rows), number, recipe.seed)
    for held in range(number):
        _check(schema, rows, fold == held, fold_name(held, number))
    return fold


def hold_out(
    recipe: TunedRecipe, schema: Schema, rows: TrainingRows, validation: TrainingRows | None
) -> tuple[str, TrainingRows, TrainingRows]:
    """Return the name of the part that judges, the rows to learn from, and the part: a given one, or one carved.

    Raises:
        DataError: a single group, or a part that can judge nothing or leaves nothing to learn from.
    """
    if validation is not None:
        for side, some in (("what is trained on", rows), ("the split 'validation'", validation)):
            _check_side(schema, some.labels, f"the given {VALIDATION}: {side} ({len(some.inputs)} rows)")
        return VALIDATION, rows, validation
    share, groups = recipe.validation.share, len(set(rows.groups))
    if groups < 2:
        raise DataError(f"found {groups} groups of rows, expected at least 2 to hold a part out")
    shares = {_TRAIN: 1.0 - share, HELD_OUT: share}
    parts = split_groups(rows.groups, _together(schema, rows), shares, recipe.seed)
    held = np.zeros(len(rows.inputs), dtype=np.bool_)
    held[parts[HELD_OUT]] = True
    _check(schema, rows, held, "the held-out part")
    return HELD_OUT, rows.take(parts[_TRAIN]), rows.take(parts[HELD_OUT])


def seen_in_one_fold(schema: Schema, rows: TrainingRows, fold: IntArray) -> list[str]:
    """Return `target/label` of labels whose positives all stand in one fold (N,): who judges it has never seen one."""
    rare = []
    for target in schema:
        positive = rows.labels[target.name] > schema.positive_above
        for place, label in enumerate(target.labels):
            if len(set(fold[positive[:, place]].tolist())) == 1:
                rare.append(f"{target.name}/{label}")
    return rare


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One of the runs of a fit, before it starts.

    Attributes:
        name: as its `RunStarted` will say.
        train: the rows it learns from.
        judged: the rows that its looks score, None where it never looks.
        kept_by_folds: it may end earlier than planned, where the folds were best or ended.
    """

    name: str
    train: TrainingRows
    judged: TrainingRows | None
    kept_by_folds: bool = False


def planned_runs(
    recipe: TunedRecipe,
    schema: Schema,
    rows: TrainingRows,
    family: TunedFamily,
    validation: TrainingRows | None,
) -> list[PlannedRun]:
    """Return the runs that `fit_tuned` will make of the same arguments, in order; none where nothing is trained.

    Raises:
        DataError: as `fit_tuned`, before any model is made.
    """
    if recipe.validation.method == "holdout":
        _, train, held = hold_out(recipe, schema, rows, validation)
        return [] if trains_nothing(recipe) else [PlannedRun(FINAL, train, held)]
    if trains_nothing(recipe):
        return []
    fold = deal(recipe, schema, rows)
    number = int(fold.max()) + 1
    runs = []
    for held_out in range(number):
        train, judged = (rows.take(np.flatnonzero(some)) for some in (fold != held_out, fold == held_out))
        runs.append(PlannedRun(fold_name(held_out, number), train, judged))
    by_folds = recipe.validation.keep == "best" or recipe.validation.patience > 0
    return [*runs, PlannedRun(FINAL, rows, validation, kept_by_folds=by_folds)]


def _together(schema: Schema, rows: TrainingRows) -> FloatArray:
    return np.concatenate([rows.labels[target.name] for target in schema], axis=1)


def _check(schema: Schema, rows: TrainingRows, held: BoolArray, what: str) -> None:
    """Raise DataError unless held rows (N,) and the others have a label with a known positive and a known negative."""
    for side, some in (("what is left to train on", ~held), ("the rows to judge by", held)):
        labels = {target.name: rows.labels[target.name][some] for target in schema}
        _check_side(schema, labels, f"{what}: {side} ({int(some.sum())} rows)")


def _check_side(schema: Schema, labels: Mapping[str, FloatArray], what: str) -> None:
    if not any(_has_both(labels[target.name]) for target in schema):
        raise DataError(
            f"{what} has no label with both a positive and a negative",
            remedy="give more labelled rows, fewer folds or a larger share, or a split 'validation'",
        )


def _has_both(labels: FloatArray) -> bool:
    """Return whether any column of labels (N, L) has a known value above and one at or below the middle."""
    positive, negative = labels > POSITIVE_ABOVE, labels <= POSITIVE_ABOVE  # NaN is neither
    return bool((positive.any(axis=0) & negative.any(axis=0)).any())
