"""A classifier behind a normaliser sees through disguises, and its spans are those of the text as it came."""

from __future__ import annotations

import numpy as np
import pytest

from modwright.errors import UsageError
from modwright.models.normalise import STEPS, Normaliser
from modwright.models.normalised import NormalisedClassifier, normalised
from modwright.schema import Message, Role, pair_input, text_input
from modwright.testing import TINY_SCHEMA, WordClassifier

ALL = Normaliser(tuple(STEPS))
#: "donkey" is an insult to the stand-in classifier.
DISGUISED = ["d\u200bonkey", "dоnkеу", "d o n k e y", "d0nk3y", "donkeyyyy", "ｄｏｎｋｅｙ"]


def insult(classifier, value):
    return classifier.predict_proba([value]).values["moderation"][0, 0]


@pytest.mark.parametrize("text", DISGUISED)
def test_it_sees_through_a_disguise(text):
    plain = WordClassifier()
    wrapped = normalised(plain, ALL)
    assert insult(plain, text_input(f"you {text}")) == pytest.approx(0.1)
    assert insult(wrapped, text_input(f"you {text}")) == pytest.approx(0.9)


def test_every_turn_is_read_so():
    seen = []

    class Recorder(WordClassifier):
        def predict_proba(self, inputs):
            seen.extend(inputs)
            return super().predict_proba(inputs)

    normalised(Recorder(), ALL).predict_proba([pair_input("s1lly?", "g00se!")])
    assert seen == [(Message(Role.USER, "silly?"), Message(Role.ASSISTANT, "goose!"))]


def test_the_span_is_that_of_the_text_as_it_came():
    inner = WordClassifier(window_chars=10)
    text = "\u200b".join("nice words " * 3) + " d.o.n.k.e.y x"
    scores = normalised(inner, ALL).predict_proba([text_input(text), text_input("a plain donkey")])
    begin, end = scores.spans["moderation"][0, 0]
    assert "n.k.e.y" in text[begin:end]
    assert scores.values["moderation"][0, 0] == pytest.approx(0.9)
    plain = inner.predict_proba([text_input("a plain donkey")])
    assert (scores.spans["moderation"][1] == plain.spans["moderation"][0]).all()


def test_plain_texts_and_no_texts_score_as_without():
    inner = WordClassifier()
    inputs = [text_input("a plain goose"), text_input("")]
    found, expected = normalised(inner, ALL).predict_proba(inputs), inner.predict_proba(inputs)
    for name in TINY_SCHEMA.names:
        assert (found.values[name] == expected.values[name]).all()
        assert (found.spans[name] == expected.spans[name]).all()
    empty = normalised(inner, ALL).predict_proba([])
    assert all(np.shape(empty.values[name])[0] == 0 for name in TINY_SCHEMA.names)


def test_no_steps_wrap_nothing():
    inner = WordClassifier()
    assert normalised(inner, Normaliser(())) is inner
    wrapped = normalised(inner, ALL)
    assert isinstance(wrapped, NormalisedClassifier)
    assert wrapped.schema is inner.schema


def test_it_is_loaded_with_its_family(tmp_path):
    with pytest.raises(UsageError):
        NormalisedClassifier.load(tmp_path, TINY_SCHEMA)
