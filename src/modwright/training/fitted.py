"""What every trainer returns, whatever the family."""

from __future__ import annotations

from dataclasses import dataclass

from modwright.evaluation.calibration import TargetCalibration
from modwright.evaluation.thresholds import OperatingPoint
from modwright.schema import Classifier, FloatArray
from modwright.training.rows import TrainingRows

#: Names under which the figures of unseen rows stand in metrics.json.
OUT_OF_FOLD = "out_of_fold"  # every training row, judged by fits that have not seen it
HELD_OUT = "held_out"  # a part carved from the training rows
VALIDATION = "validation"  # the dataset's own split


@dataclass(frozen=True, slots=True)
class Unseen:
    """Rows judged by fits that had not seen them; what calibration and thresholds were chosen on.

    Attributes:
        name: one of OUT_OF_FOLD, HELD_OUT and VALIDATION.
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
        calibration: per target, fitted on unseen rows.
        operating_point: thresholds of best F1 on unseen rows, on calibrated scores.
        unseen: those rows.
    """

    classifier: Classifier
    calibration: dict[str, TargetCalibration]
    operating_point: OperatingPoint
    unseen: Unseen
