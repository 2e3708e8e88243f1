"""Whatever family trains: it gets normalised rows, and gives back a model and unseen rows for texts as they come."""

from __future__ import annotations

import numpy as np
import pytest

from modwright.evaluation.decisions import Decisions
from modwright.models.normalise import Normaliser
from modwright.models.normalised import NormalisedClassifier
from modwright.schema import text_input
from modwright.testing import TINY_SCHEMA, WordClassifier
from modwright.training.events import Stage, follow
from modwright.training.fitted import HELD_OUT, OUT_OF_FOLD, Fitted, Unseen
from modwright.training.normalised import fit_normalised
from modwright.training.rows import TrainingRows

TEXTS = ["a d0nk3y", "a plain goose", "a d\u200bonkey", "a donkey"]
READ = ["a donkey", "a plain goose", "a donkey", "a donkey"]
NORMALISER = Normaliser(("invisible", "leetspeak"))
DECISIONS = object.__new__(Decisions)  # nobody looks into them


def rows_of(texts):
    n = len(texts)
    labels = {target.name: np.zeros((n, len(target.labels))) for target in TINY_SCHEMA}
    return TrainingRows([text_input(text) for text in texts], labels, np.ones(n), [str(i) for i in range(n)])


def trainer(seen, held=None, name=OUT_OF_FOLD):
    def train(rows, validation):
        seen.append((rows, validation))
        yield Stage("train")
        unseen = validation if validation is not None else rows if held is None else rows.take(held)
        return Fitted(WordClassifier(), DECISIONS, Unseen(name, unseen, {}))

    return train


def run(rows, validation=None, normaliser=NORMALISER, **more):
    seen = []
    return follow(fit_normalised(trainer(seen, **more), normaliser, rows, validation), lambda _: None), seen[
        0
    ]


def texts_of(rows):
    return [value[-1].content for value in rows.inputs]


def test_the_trainer_reads_normalised_rows():
    _, (rows, validation) = run(rows_of(TEXTS), rows_of(TEXTS[:1]))
    assert texts_of(rows) == READ
    assert texts_of(validation) == READ[:1]


@pytest.mark.parametrize("held", [None, np.array([2, 0]), np.array([], dtype=int)])
def test_unseen_rows_are_the_ones_given(held):
    given = rows_of(TEXTS)
    fitted, _ = run(given, held=held, name=HELD_OUT)
    places = range(len(TEXTS)) if held is None else held
    assert [id(value) for value in fitted.unseen.rows.inputs] == [id(given.inputs[place]) for place in places]
    assert texts_of(fitted.unseen.rows) == [TEXTS[place] for place in places]


def test_unseen_validation_rows_are_the_ones_given():
    fitted, _ = run(rows_of(TEXTS), rows_of(TEXTS[::-1]))
    assert texts_of(fitted.unseen.rows) == TEXTS[::-1]


def test_the_model_reads_normalised_texts():
    fitted, _ = run(rows_of(TEXTS))
    assert isinstance(fitted.classifier, NormalisedClassifier)
    assert fitted.decisions is DECISIONS
    scores = fitted.classifier.predict_proba([text_input(text) for text in TEXTS]).values["moderation"][:, 0]
    assert scores.tolist() == pytest.approx([0.9, 0.9, 0.9, 0.9])


def test_without_steps_nothing_is_touched():
    given = rows_of(TEXTS)
    fitted, (rows, _) = run(given, normaliser=Normaliser(()))
    assert rows is given
    assert isinstance(fitted.classifier, WordClassifier)
