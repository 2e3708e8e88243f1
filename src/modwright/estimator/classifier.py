"""The estimator: a recipe behind scikit-learn's fit, predict and predict_proba."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from modwright.errors import InputError, MissingExtraError, UsageError
from modwright.estimator.inputs import Answers, group_keys, read_answers, read_inputs
from modwright.estimator.kept import FittedState, state_of_artifact, state_of_fit
from modwright.estimator.parameters import PREFIX, flat, overridden, resolve
from modwright.pipeline.evaluate import score
from modwright.pipeline.fitting import fit_rows
from modwright.schema import MODERATION_TARGET, FloatArray, Schema
from modwright.settings import load_settings
from modwright.training.events import Event
from modwright.training.rows import TrainingRows

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.validation import check_is_fitted
except ImportError:
    raise MissingExtraError("train", "the scikit-learn estimator") from None


class ModerationClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn's types are not followed
    """Train any recipe on texts, prompt/response pairs or conversations.

    X is a list, array, series or data frame: N texts, N pairs ``(prompt, response)`` whose response is judged, or N
    lists of ``{"role", "content"}``. y is one of:

    - classes, (N,): the target is `single_label`, `predict` gives the most probable class and `predict_proba` is
      (N, C) in the order of `classes_`. With ``kind="multi_label"`` two classes become one label, and `predict` flags it
      from the threshold of best F1 on unseen rows on.
    - a matrix (N, L) of values in 0..1, NaN unknown: the target is `multi_label`. `predict` is (N, L) of 0 and 1, a
      label holding from its threshold of best F1 on unseen rows on (a negative one from 0.5 on); `predict_proba` is
      (N, L), as scikit-learn's own OneVsRestClassifier and MLPClassifier give it; `classes_` is a list of L arrays
      ``[0, 1]``, as its multi-output classifiers have it, which is what its scorers tell a matrix by.

    Every score is calibrated and every threshold chosen on training rows by fits that had not seen them; no further
    calibration is needed. The recipe's values are parameters, too: ``recipe__head__folds`` is ``head.folds``, so that
    ``GridSearchCV(ModerationClassifier(), {"recipe__head__folds": [3, 5]})`` works. Bases and caches are where the
    MODWRIGHT_* variables say.

    Args:
        recipe: a shipped name or a path.
        overrides: recipe values, ``{"head.folds": 10}`` or ``["head.folds=10"]``.
        target: name of the question that y answers.
        kind: ``single_label`` or ``multi_label``; None takes what y looks like.
        labels: names of a matrix' columns; None takes a data frame's own, else label_0, label_1, …
        negative: labels that say "nothing wrong"; None takes `safe`, else the lower of two classes.
        on_event: called with every `modwright.training.events.Event`.

    Attributes:
        classes_: see above.
        labels_: (L,) names, in the order of the scores.
        thresholds_: label to the score from which on it is flagged; empty for single_label.
        schema_: the model's targets.
        engine_: the `modwright.serving.engine.Engine` that judges.
    """

    def __init__(
        self,
        recipe: str = "fast",
        overrides: Mapping[str, Any] | Sequence[str] = (),
        *,
        target: str = MODERATION_TARGET,
        kind: str | None = None,
        labels: Sequence[str] | None = None,
        negative: Sequence[str] | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.recipe = recipe
        self.overrides = overrides
        self.target = target
        self.kind = kind
        self.labels = labels
        self.negative = negative
        self.on_event = on_event

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train on labelled rows.

        Args:
            X: N texts, pairs or conversations.
            y: (N,) classes or (N, L) values.
            sample_weight: (N,) not negative; None counts every row once.
            groups: (N,) rows that share one are never on both sides of an inner fold; None groups equal texts, and
                pairs by their prompt.

        Raises:
            UsageError: X, y, weights and groups do not fit each other.
            RecipeError, DataError, SourceError, MissingExtraError: as training raises them.
        """
        recipe = resolve(self.recipe, self.overrides)
        inputs = read_inputs(X)
        answers = read_answers(
            y, name=self.target, kind=self.kind, labels=self.labels, negative=self.negative
        )
        rows = _rows(inputs, answers, sample_weight, groups)
        trained = fit_rows(
            recipe, answers.schema, rows, load_settings(), on_event=self.on_event or (lambda event: None)
        )
        self._take(state_of_fit(trained, answers.classes))
        return self

    def predict(self, X: Any) -> Any:
        """Return (N,) classes, or (N, L) of 0 and 1 where y was a matrix."""
        scores = self.predict_proba(X)
        state = self._state
        if state.classes is None:
            return (scores >= np.array([self.thresholds_.get(label, 0.5) for label in self.labels_])).astype(
                int
            )
        if self.thresholds_:
            return state.classes[(scores[:, 1] >= self.thresholds_[str(self.labels_[0])]).astype(int)]
        return state.classes[scores.argmax(axis=1)]

    def predict_proba(self, X: Any) -> FloatArray:
        """Return calibrated probabilities: (N, C) for classes, (N, L) where y was a matrix."""
        check_is_fitted(self, "classes_")
        inputs = read_inputs(X)
        state = self._state
        found = score(self.engine_, inputs)[state.target] if inputs else np.zeros((0, len(self.labels_)))
        if state.classes is not None and len(self.labels_) == 1:
            return np.hstack([1.0 - found, found])
        return found

    def save(self, folder: str | Path, *, replace: bool = False) -> Path:
        """Write the model as an artifact folder, which `modwright evaluate` and `modwright serve` take.

        A fresh process is shown to give the same scores before the folder appears.

        Raises:
            UsageError: the folder holds something else, or an artifact and `replace` is not set.
        """
        check_is_fitted(self, "classes_")
        return self._state.save(Path(folder), replace=replace)

    @classmethod
    def load(cls, folder: str | Path, *, target: str | None = None) -> Self:
        """Return a fitted estimator over an artifact, whatever trained it.

        Args:
            folder: an artifact; the classes of another program's are its labels.
            target: which of its questions is answered; None takes `moderation` or the only one.

        Raises:
            NotFoundError, ArtifactError: there is no artifact, or it is broken.
            UsageError: it has several targets and none was named.
        """
        state = state_of_artifact(Path(folder), target)
        estimator = cls(recipe=str(Path(folder) / "recipe.toml"), target=state.target)
        estimator._take(state)
        return estimator

    def _take(self, state: FittedState) -> None:
        """Set what a fit leaves behind, under scikit-learn's names."""
        target = state.engine.schema.target(state.target)
        self._state = state
        self.engine_ = state.engine
        self.schema_: Schema = state.engine.schema
        self.labels_ = np.asarray(target.labels)
        point = state.engine.operating_point("default")
        self.thresholds_ = dict(point.thresholds[target.name])
        matrix = state.classes is None
        self.classes_ = [np.array([0, 1]) for _ in target.labels] if matrix else state.classes

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; with `deep` those of the recipe, too, as ``recipe__table__key``."""
        found: dict[str, Any] = super().get_params(deep=deep)
        return {**found, **self._recipe_parameters()} if deep else found

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``recipe__table__key`` overrides that value of the recipe."""
        own = {name: value for name, value in params.items() if not name.startswith(PREFIX)}
        super().set_params(**own)
        changes = {name.removeprefix(PREFIX): value for name, value in params.items() if name not in own}
        if changes:
            self.overrides = overridden(self.overrides, changes)
        return self

    def _recipe_parameters(self) -> dict[str, Any]:
        """Return the recipe's values; none where it cannot be read, which `fit` will say."""
        try:
            return flat(resolve(self.recipe, self.overrides))
        except InputError:
            return {}

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickling keeps: the parameters and, of a fitted one, the bytes of its artifact.

        So that a fitted one can go from process to process; what is to be kept is written by `save`.
        """
        return {name: value for name, value in vars(self).items() if not name.endswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` gave."""
        self.__dict__.update(state)
        if "_state" in state:
            self._take(state["_state"])

    def __sklearn_tags__(self) -> Any:
        """Say that rows are texts, and that several labels may hold at once."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.classifier_tags.multi_label = True
        return tags


def _rows(inputs: list[Any], answers: Answers, sample_weight: Any, groups: Any) -> TrainingRows:
    weights = np.ones(len(inputs)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    keys = group_keys(inputs) if groups is None else [str(group) for group in groups]
    counts = {"X": len(inputs), "y": len(answers.labels), "sample_weight": len(weights), "groups": len(keys)}
    if len(set(counts.values())) > 1:
        raise UsageError(f"rows differ in number: {counts}", remedy="give one of each per row")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise UsageError("sample_weight holds a value below zero or none", remedy="give finite weights")
    return TrainingRows(inputs, {answers.target.name: answers.labels}, weights, keys)
