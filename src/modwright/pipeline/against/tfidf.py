"""The baseline that every model must beat: TF-IDF of words and characters, and scikit-learn's logistic regression."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from modwright.errors import MissingExtraError
from modwright.evaluation.thresholds import OperatingPoint, choose_thresholds, flags
from modwright.pipeline.against.answers import AnswerProgress, Answers, everything
from modwright.pipeline.against.local import base_rates
from modwright.schema import BoolArray, FloatArray, Input, Schema, Target, TargetKind
from modwright.training.rows import TrainingRows

FOLDS, SEED, MOST_ROWS = 5, 0, 100_000
_MOST_FEATURES = 200_000


class Tfidf:
    """Words and pairs of words, characters in runs of 2 to 5 within words; one logistic regression per label.

    Each label is fitted on the rows that know it, soft labels by the schema's rule; thresholds are the best F1 over
    scores out of fold, folds by groups, as those of our own models are. A conversation is its turns, joined.
    """

    name = "tfidf"
    what = "TF-IDF and logistic regression, fitted on the training split"
    remote = False

    def __init__(self, schema: Schema, training: TrainingRows) -> None:
        self._schema = schema
        rows = len(training.inputs)
        self.notes: tuple[str, ...] = ()
        if rows > MOST_ROWS:
            drawn = np.sort(np.random.default_rng(SEED).choice(rows, MOST_ROWS, replace=False))
            training = training.take(drawn)
            self.notes = (f"tfidf is fitted on {MOST_ROWS:,} of the {rows:,} training rows",)
        self._features = _vectoriser()
        vectors = self._features.fit_transform(_texts(training.inputs))
        self._heads = {
            target.name: _heads(target, vectors, training, schema.positive_above) for target in schema
        }
        self._point = self._thresholds(vectors, training)

    def answer(self, inputs: Sequence[Input], progress: AnswerProgress | None = None) -> Answers:
        """Score and flag inputs."""
        vectors = self._features.transform(_texts(inputs))
        scores = {target.name: _proba(target, self._heads[target.name], vectors) for target in self._schema}
        flagged = {
            target.name: flags(target, scores[target.name], self._point.thresholds[target.name])
            for target in self._schema
        }
        return Answers(flagged, scores, everything(self._schema), [None] * len(inputs))

    def close(self) -> None:
        """Nothing is held open."""

    def _thresholds(self, vectors: Any, training: TrainingRows) -> OperatingPoint:
        """Choose thresholds over scores of rows that the heads were not fitted on."""
        scores = {target.name: np.full(training.labels[target.name].shape, np.nan) for target in self._schema}
        above = self._schema.positive_above
        for held in _folds(training.groups):
            rest = np.flatnonzero(~held)
            for target in self._schema:
                heads = _heads(target, vectors[rest], training.take(rest), above)
                scores[target.name][held] = _proba(target, heads, vectors[np.flatnonzero(held)])
        return choose_thresholds(self._schema, scores, training.labels, training.weights)


def _folds(groups: Sequence[str]) -> list[BoolArray]:
    """Return (N,) masks of the rows held out, by groups; all rows at once where there is only one group."""
    member = np.unique(np.asarray(groups), return_inverse=True)[1]
    number = int(member.max()) + 1
    dealt = np.random.default_rng(SEED).permutation(number)[member] % FOLDS
    return [np.asarray(dealt == fold, dtype=np.bool_) for fold in range(min(FOLDS, number))]


def _texts(inputs: Sequence[Input]) -> list[str]:
    return ["\n".join(turn.content for turn in turns) for turns in inputs]


def _vectoriser() -> Any:
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_union
    except ImportError:
        raise MissingExtraError("train", "the baseline 'tfidf'") from None
    shared = {"sublinear_tf": True, "max_features": _MOST_FEATURES, "dtype": np.float32}
    return make_union(
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **shared),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), **shared),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Head:
    """A fitted regression and the labels it speaks of; without one, the base rates stand in."""

    model: Any
    places: tuple[int, ...]
    rates: FloatArray


def _heads(target: Target, vectors: Any, training: TrainingRows, positive_above: float) -> list[_Head]:
    """Fit one regression per label, or one over all classes."""
    labels, rates = training.labels[target.name], base_rates(target, training)
    if target.kind is TargetKind.SINGLE_LABEL:
        known = ~np.isnan(labels).any(axis=1)
        classes = np.nan_to_num(labels).argmax(axis=1)
        model, seen = _fitted(vectors, classes, known, training.weights)
        return [_Head(model, tuple(seen), rates)]
    heads = []
    for place in range(len(target.labels)):
        known = ~np.isnan(labels[:, place])
        model, _ = _fitted(vectors, labels[:, place] > positive_above, known, training.weights)
        heads.append(_Head(model, (place,), rates))
    return heads


def _fitted(vectors: Any, classes: Any, known: Any, weights: FloatArray) -> tuple[Any, list[int]]:
    """Return a regression of the known rows, None where they are all of one class, and the classes it has seen."""
    from sklearn.linear_model import LogisticRegression

    rows = np.flatnonzero(known & (weights > 0))
    if len(np.unique(classes[rows])) < 2:
        return None, []
    model = LogisticRegression(max_iter=1_000).fit(vectors[rows], classes[rows], sample_weight=weights[rows])
    return model, [int(found) for found in model.classes_]


def _proba(target: Target, heads: Sequence[_Head], vectors: Any) -> FloatArray:
    """Return (N, L) probabilities."""
    found = np.tile(heads[0].rates, (vectors.shape[0], 1))
    for head in heads:
        if head.model is None:
            continue
        proba = head.model.predict_proba(vectors)
        if target.kind is TargetKind.SINGLE_LABEL:
            found[:] = 0.0
            found[:, list(head.places)] = proba
        else:
            found[:, head.places[0]] = proba[:, 1]
    return np.asarray(found, dtype=np.float64)
