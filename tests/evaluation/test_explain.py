"""Occlusion finds the words that a model looks for, whatever the text's length, at a bounded cost."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modwright.errors import SchemaError, UsageError
from modwright.evaluation.explain import BATCH, explain
from modwright.schema import Message, Role, Schema, Target, TargetKind, text_input

SCHEMA = Schema(
    (
        Target.create("moderation", TargetKind.MULTI_LABEL, ["insult", "threat"]),
        Target.create("tone", TargetKind.SINGLE_LABEL, ["kind", "rude"]),
    )
)
#: Log-odds that a word of the last turn adds, and the whole of the turns before it.
WEIGHTS = {"silly": 2.0, "goose": 1.0, "dear": -1.5}


class Linear:
    """Adds up the words' weights, each word of a text as often as it occurs; a shout before it adds 0.75."""

    def __init__(self):
        self.batches = []

    def odds(self, value):
        found = sum(WEIGHTS.get(word.strip(".,!"), 0.0) for word in value[-1].content.lower().split())
        return found - 1.0 + 0.75 * any("!" in message.content for message in value[:-1])

    def __call__(self, inputs):
        self.batches.append(len(inputs))
        p = 1 / (1 + np.exp(-np.array([self.odds(value) for value in inputs])))
        return {
            "moderation": np.stack([p, np.full(len(p), 0.2)], axis=1),
            "tone": np.stack([1 - p, p], axis=1),
        }


def halved(scores):
    return {name: values / 2 for name, values in scores.items()}


def explained(value, labels=(("moderation", "insult"),), **options):
    model = Linear()
    value = text_input(value) if isinstance(value, str) else value
    return explain(value, SCHEMA, model, halved, labels, **options), model


def effects(found, number=0):
    return {
        piece.text: round(float(effect), 6)
        for piece, effect in zip(found.pieces, found.labels[number].effects, strict=True)
    }


def test_the_effect_of_a_word_is_what_it_adds_to_the_log_odds():
    found, _ = explained("you silly goose my dear")
    assert effects(found) == {"you": 0, "silly": 2.0, "goose": 1.0, "my": 0, "dear": -1.5}
    label = found.labels[0]
    assert label.score == pytest.approx(0.5 / (1 + np.exp(-0.5)))
    assert label.scores_without[1] == pytest.approx(0.5 / (1 + np.exp(1.5)))
    assert [found.pieces[place].text for place in label.reasons] == ["silly"]
    assert label.without_reasons == pytest.approx(label.scores_without[1])
    assert label.only_reasons == pytest.approx(0.5 / (1 + np.exp(-1.0)))


def test_a_repeated_word_is_left_out_everywhere_at_once():
    found, _ = explained("silly Silly silly thing")
    assert effects(found) == {"silly": 6.0, "thing": 0.0}
    assert len(found.pieces[0].spans) == 3


def test_an_earlier_turn_is_a_piece():
    found, _ = explained((Message(Role.USER, "hey!"), Message(Role.ASSISTANT, "silly")))
    assert effects(found) == {"silly": 2.0, "hey!": 0.75}


def test_several_labels_come_of_the_same_scorings():
    one, _ = explained("you silly goose")
    found, model = explained(
        "you silly goose", [("moderation", "insult"), ("tone", "kind"), ("moderation", "threat")]
    )
    assert effects(found, 1) == {"you": 0, "silly": -2.0, "goose": -1.0}
    assert found.labels[1].reasons == found.labels[2].reasons == ()
    assert found.labels[2].without_reasons is None
    assert found.scorings == one.scorings == sum(model.batches)


def test_a_long_text_is_narrowed_down_at_a_bounded_cost():
    words = [f"word{n}" for n in range(3000)]
    words[2345] = "silly"
    found, model = explained(" ".join(words), scorings=120)
    assert found.in_runs
    assert effects(found)["silly"] == 2.0
    assert sum(model.batches) == found.scorings <= 120
    assert max(model.batches) <= BATCH
    assert [found.pieces[place].text for place in found.labels[0].reasons] == ["silly"]
    spans = [span for piece in found.pieces for span in piece.spans]
    assert spans == sorted(spans)


def test_a_text_without_words_has_nothing_to_leave_out():
    found, _ = explained("  ")
    assert found.pieces == ()
    assert found.labels[0].effects.shape == (0,)
    assert found.scorings == 1
    json.dumps(found.to_json(), allow_nan=False)


def test_certain_scores_stay_finite():
    def certain(inputs):
        p = np.array([float("silly" in value[-1].content) for value in inputs])
        return {"moderation": np.stack([p, p], axis=1), "tone": np.stack([p, 1 - p], axis=1)}

    found = explain(
        text_input("silly you"), SCHEMA, certain, lambda scores: scores, [("moderation", "insult")]
    )
    assert np.isfinite(found.labels[0].effects).all()
    assert found.labels[0].effects[0] > 20


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["silly", "goose", "dear", "x", "y", "z"]), max_size=60), st.integers(8, 60))
def test_the_cost_is_bounded_and_every_word_is_in_one_piece(words, scorings):
    found, _ = explained(" ".join(words), scorings=scorings)
    assert found.scorings <= max(scorings, len(set(words)) + 3)
    covered = sorted((span.begin, span.end) for piece in found.pieces for span in piece.spans)
    assert all(one[1] <= other[0] for one, other in pairwise(covered))
    text = found.input[-1].content
    inside = {place for begin, end in covered for place in range(begin, end)}
    assert all(text[place] == " " for place in range(len(text)) if place not in inside)


def test_what_cannot_be_asked():
    with pytest.raises(UsageError, match="no label"):
        explained("x", [])
    with pytest.raises(UsageError, match="scorings is 7"):
        explained("x", scorings=7)
    with pytest.raises(SchemaError, match="unknown label 'insolt'"):
        explained("x", [("moderation", "insolt")])
