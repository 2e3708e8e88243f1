"""Calibration: turns a model's raw scores into probabilities that mean what they say.

Multi-label targets are calibrated per label on log-odds: by a temperature, ``sigmoid(slope * logit(p))`` (Guo et al.
2017, "On calibration of modern neural networks"), by Platt scaling, ``sigmoid(slope * logit(p) + intercept)`` (Platt
1999, "Probabilistic outputs for support vector machines"), or by isotonic regression (`isotonic`). Single-label
targets get ``softmax(slope * log(p))``, the same with an intercept per class, or isotonic regression of each class
against the rest, brought to a sum of 1 (Zadrozny and Elkan 2002).

Slopes and intercepts are fitted under a Gaussian prior on ``log(slope)`` and ``intercept`` that is centred on the
identity: a label with few positives stays where it was. Every map of log-odds is strictly rising: the ranking of a
multi-label target's label is never reversed, and tied only within `CLIP` of 0 and 1, or where numbers end. A class of a
single-label target is judged beside the others, so that the order of two texts may change. What
was calibrated on rows of one prevalence may be shifted to another (`prevalence`).
"""

from modwright.evaluation.calibration.fitting import (
    PRIOR_PRECISION,
    CalibrationRule,
    fit_calibration,
)
from modwright.evaluation.calibration.forms import CalibrationMethod, TargetCalibration
from modwright.evaluation.calibration.isotonic import Curve, fit_curve
from modwright.evaluation.calibration.links import CLIP, logit, sigmoid, softmax

__all__ = [
    "CLIP",
    "PRIOR_PRECISION",
    "CalibrationMethod",
    "CalibrationRule",
    "Curve",
    "TargetCalibration",
    "fit_calibration",
    "fit_curve",
    "logit",
    "sigmoid",
    "softmax",
]
