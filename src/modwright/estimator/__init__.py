"""scikit-learn's face: `ModerationClassifier` has fit, predict and predict_proba over every family."""

from modwright.estimator.classifier import ModerationClassifier

__all__ = ["ModerationClassifier"]
