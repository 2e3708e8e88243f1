"""What every trainer returns, whatever the family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modwright.evaluation.calibration import TargetCalibration
from modwright.evaluation.decisions import DecidedOn, Decisions, decide
from modwright.evaluation.thresholds import OperatingPoint
from modwright.recipe import CommonRecipe
from modwright.schema import Classifier, FloatArray, Schema
from modwright.training.rows import TrainingRows

#: Names under which the figures of unseen rows stand in metrics.json.
OUT_OF_FOLD = "out_of_fold"  # every training row, judged by fits that have not seen it
HELD_OUT = "held_out"  # a part carved from the training rows
VALIDATION = "validation"  # the dataset's own split
CALIBRATION = "calibration"  # the dataset's own split, which nothing else was chosen on


@dataclass(frozen=True, slots=True)
class Unseen:
    """Rows judged by fits that had not seen them; what calibration and thresholds were chosen on.

    Attributes:
        name: one of OUT_OF_FOLD, HELD_OUT, VALIDATION and CALIBRATION.
        rows: M of them.
        scores: target to (M, L) calibrated scores.
    """

    name: str
    rows: TrainingRows
    scores: dict[str, FloatArray]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained model with what belongs to it.

    Attributes:
        classifier: without calibration.
        decisions: calibration, operating points and review band, chosen on unseen rows.
        unseen: those rows.
    """

    classifier: Classifier
    decisions: Decisions
    unseen: Unseen

    @property
    def calibration(self) -> dict[str, TargetCalibration]:
        """Return the calibration per target."""
        return self.decisions.calibration

    @property
    def operating_point(self) -> OperatingPoint:
        """Return the thresholds of the operating point `default`, on calibrated scores."""
        return self.decisions.point


def decided(
    recipe: CommonRecipe, schema: Schema, name: str, rows: TrainingRows, scores: Mapping[str, FloatArray]
) -> tuple[Decisions, Unseen]:
    """Return the decisions that unseen rows lead to, and those rows with calibrated scores.

    Args:
        name: of the rows, as in `Unseen`.
        scores: target to (M, L) raw scores of theirs.

    Raises:
        RecipeError: a deployment prevalence that does not fit labels or rows.
    """
    decisions = decide(
        recipe,
        schema,
        scores,
        rows.labels,
        weights=rows.weights,
        groups=rows.groups,
        decided_on=DecidedOn(name, len(rows.inputs)),
    )
    return decisions, Unseen(name, rows, decisions.calibrated(scores))
