"""Every window's truth and weight for every label, as a fine-tuned encoder's loss counts them.

A cell is one label of one window. It weighs its row's weight, shared by the row's windows, times the target's weight over
the target's number of labels; an unknown cell weighs nothing. Class weights multiply a cell's loss, not its weight, so that
a step's loss stays a mean over rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from modwright.errors import RecipeError, nearest
from modwright.models.windows import SingleLabelRule
from modwright.recipe import ClassWeights, TargetRecipe, TunedRecipe
from modwright.schema import FloatArray, Schema, Target, TargetKind
from modwright.training.documents import Documents, whole_rows
from modwright.training.rows import TrainingRows


@dataclass(frozen=True, slots=True)
class Cells:
    """One target's cells.

    Attributes:
        target: whose labels the columns are.
        categorical: one loss over all labels of a window, whose columns then all weigh alike; else one per label.
        truth: (W, L) values in 0..1 as they are learnt; anything where unknown.
        weight: (W, L) of the row, shared by its windows; 0 where unknown.
        scale: what a cell's weight is multiplied by: the target's weight over its number of labels.
        factor: (W, L) of class weights.
        document_truth: (N, L), NaN unknown.
    """

    target: Target
    categorical: bool
    truth: FloatArray
    weight: FloatArray
    scale: float
    factor: FloatArray
    document_truth: FloatArray

    def focused(self, documents: Documents, logits: FloatArray, rule: SingleLabelRule) -> Cells:
        """Return the same cells with a positive document's weight on the window that scores highest.

        Args:
            documents: and their windows.
            logits: (W, L) of a first fit.
            rule: how windows of a single-label target are combined.
        """
        weight = documents.focus(self.target, self.document_truth, self.weight, logits, rule)
        return replace(self, weight=weight)


def make_cells(recipe: TunedRecipe, schema: Schema, rows: TrainingRows, documents: Documents) -> list[Cells]:
    """Return the cells of every target.

    Raises:
        RecipeError: a section or class weights of a target or label that the schema does not have, or the categorical
            loss for labels that hold independently.
    """
    for name in recipe.targets:
        if name not in schema.names:
            where = f"targets.{name}"
            raise RecipeError(
                f"the dataset has no target '{name}'", where=where, remedy=nearest(name, schema.names)
            )
    every = {label for target in schema for label in target.labels}
    _check_labels(recipe.loss.class_weights, every, "loss.class_weights")
    return [_cells(recipe, schema, target, rows, documents) for target in schema]


def _cells(
    recipe: TunedRecipe, schema: Schema, target: Target, rows: TrainingRows, documents: Documents
) -> Cells:
    own = recipe.targets.get(target.name, TargetRecipe())
    categorical = _is_categorical(target, own)
    _check_labels(own.class_weights, set(target.labels), f"targets.{target.name}.class_weights")
    truth = whole_rows(target, rows.labels[target.name])
    if not recipe.loss.soft_labels:
        truth = _decided(target, truth, schema.positive_above)
    class_weights = recipe.loss.class_weights if own.class_weights is None else own.class_weights
    learnt, factor = _weighted(target, truth, rows.weights, class_weights, categorical=categorical)
    values, weight = documents.spread(learnt)
    return Cells(
        target=target,
        categorical=categorical,
        truth=_smoothed(values, recipe.loss.smoothing, categorical=categorical),
        weight=weight,
        scale=(1.0 if own.weight is None else own.weight) / len(target.labels),
        factor=factor[documents.owner],
        document_truth=truth,
    )


def _is_categorical(target: Target, own: TargetRecipe) -> bool:
    if own.loss == "categorical" and target.kind is TargetKind.MULTI_LABEL:
        raise RecipeError(
            "the categorical loss needs labels that exclude each other; these hold independently",
            where=f"targets.{target.name}.loss",
            remedy='take "binary"',
        )
    return target.kind is TargetKind.SINGLE_LABEL if own.loss is None else own.loss == "categorical"


def _check_labels(weights: ClassWeights | None, known: set[str], where: str) -> None:
    for label in weights if isinstance(weights, Mapping) else ():
        if label not in known:
            raise RecipeError(f"there is no label '{label}'", where=where, remedy=nearest(label, known))


def _decided(target: Target, truth: FloatArray, positive_above: float) -> FloatArray:
    """Return shares as 0 or 1; of labels that exclude each other the one of largest share holds."""
    known = ~np.isnan(truth)
    if target.kind is TargetKind.MULTI_LABEL:
        return np.where(known, (truth > positive_above).astype(np.float64), np.nan)
    chosen = np.eye(truth.shape[1])[np.nan_to_num(truth).argmax(axis=1)]
    return np.where(known, chosen, np.nan)


def _smoothed(truth: FloatArray, smoothing: float, *, categorical: bool) -> FloatArray:
    middle = 1.0 / truth.shape[1] if categorical else 0.5
    return truth * (1.0 - smoothing) + smoothing * middle


def _weighted(
    target: Target, truth: FloatArray, weights: FloatArray, class_weights: ClassWeights, *, categorical: bool
) -> tuple[FloatArray, FloatArray]:
    """Return truth and factors (N, L) under which each side of a label weighs as it should, soft labels included.

    With a table, a label's weight counts where the label holds. "balanced" gives each label's two sides (categorical: all
    labels) the same weight in all, and keeps the sum over rows.
    """
    if class_weights == "none":
        return truth, np.ones_like(truth)
    known = ~np.isnan(truth)
    held = np.where(known, truth, 0.0)
    with_label = (held * weights[:, None]).sum(axis=0)  # (L,)
    total = (known * weights[:, None]).sum(axis=0)
    positive = negative = np.ones(truth.shape[1])
    if isinstance(class_weights, Mapping):
        positive = np.asarray([float(class_weights.get(label, 1.0)) for label in target.labels])
    elif categorical:
        positive = _ratio(total, len(target.labels) * with_label)
    else:
        positive, negative = _ratio(total, 2.0 * with_label), _ratio(total, 2.0 * (total - with_label))
    if categorical:
        factor = np.repeat((held * positive).sum(axis=1, keepdims=True), truth.shape[1], axis=1)
    else:
        factor = held * positive + (1.0 - held) * negative
    return np.where(known, held * positive / np.where(factor > 0, factor, 1.0), np.nan), factor


def _ratio(total: FloatArray, part: FloatArray) -> FloatArray:
    return np.where(part > 0, total / np.where(part > 0, part, 1.0), 1.0)
