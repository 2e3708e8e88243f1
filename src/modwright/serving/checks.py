"""What must hold of a model's answer before anybody sees it; a broken model is an error, never a number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from modwright.errors import ScoringError
from modwright.schema import Classifier, Input, Schema, Scores
from modwright.serving.engine import Judgement


class CheckedClassifier:
    """A classifier whose raw scores are checked for shape and range on their way out."""

    def __init__(self, inner: Classifier) -> None:
        self._inner = inner
        self.schema: Schema = inner.schema

    def predict_proba(self, inputs: Sequence[Input]) -> Scores:
        """Score inputs with the inner classifier; raises ScoringError where the answer cannot be one."""
        scores = self._inner.predict_proba(inputs)
        check_scores(self.schema, scores, len(inputs))
        return scores

    def save(self, folder: Path) -> None:
        """Write the inner classifier."""
        self._inner.save(folder)

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        """Nothing to load: a check wraps a classifier that is there already."""
        raise NotImplementedError


def check_scores(schema: Schema, scores: Scores, n: int) -> None:
    """Raise ScoringError unless every target has (N, L) probabilities, with windows and spans to match."""
    _check_shape("windows", np.shape(scores.windows), (n,))
    for target in schema:
        if target.name not in scores.values or target.name not in scores.spans:
            raise ScoringError(f"the model gave no scores for the target '{target.name}'")
        width = len(target.labels)
        _check_shape(f"scores of '{target.name}'", np.shape(scores.values[target.name]), (n, width))
        _check_shape(f"spans of '{target.name}'", np.shape(scores.spans[target.name]), (n, width, 2))
        values = np.asarray(scores.values[target.name], dtype=np.float64)
        if not ((values >= 0) & (values <= 1)).all():  # NaN fails both
            raise ScoringError(f"the model gave scores outside 0..1 for the target '{target.name}'")


def _check_shape(what: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if found != expected:
        raise ScoringError(f"the model gave {what} of shape {found}, expected {expected}")


def check_judgements(schema: Schema, judgements: Sequence[Judgement], n: int) -> None:
    """Raise ScoringError unless there are ``n`` judgements whose calibrated scores are numbers in 0..1."""
    if len(judgements) != n:
        raise ScoringError(f"the model gave {len(judgements)} answers to {n} inputs")
    for judgement in judgements:
        for target in schema:
            scores = judgement.targets[target.name].scores
            if not all(0.0 <= value <= 1.0 for value in scores.values()):
                raise ScoringError(f"calibration gave scores outside 0..1 for the target '{target.name}'")
