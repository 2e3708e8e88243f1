"""The surest errors come first, a group once, the room is shared, and texts are cut."""

from __future__ import annotations

import json

import numpy as np

from modwright.evaluation.scored import scored_split
from modwright.evaluation.thresholds import OperatingPoint
from modwright.evaluation.worst import MOST_ALIKE, TEXT_CHARACTERS, Mistake, excerpt, worst_errors
from modwright.schema import Schema, Target, TargetKind, pair_input, text_input

MANY = Target.create("moderation", TargetKind.MULTI_LABEL, ["insult", "threat", "safe"])
ONE = Target.create("tone", TargetKind.SINGLE_LABEL, ["kind", "rude", "hostile"], negative=("kind",))
NAN = np.nan


def split_of(target, scores, labels, thresholds=None, groups=None):
    point = OperatingPoint("default", "test", {target.name: thresholds or {}})
    inputs = [text_input(f"text {row}") for row in range(len(scores))]
    return scored_split(
        *("test", Schema((target,)), inputs, {target.name: np.array(labels, dtype=float)}),
        *({target.name: np.array(scores, dtype=float)}, point),
        groups=groups,
    )


def found(lists):
    return {(one.label, one.mistake): [error.row for error in one.errors] for one in lists}


def test_the_surest_first_and_unknown_rows_never():
    insult = [0.9, 0.8, 0.95, 0.1, 0.3, 0.99, 0.2]
    truth = [0, 0, 1, 1, 1, NAN, 0]
    scores = [[score, 0.1, 0.9] for score in insult]
    lists = worst_errors(
        [split_of(MANY, scores, [[one, 0, 1] for one in truth], {"insult": 0.5, "threat": 0.5})]
    )
    assert found(lists) == {
        ("insult", Mistake.FALSE_ALARM): ["1", "2"],
        ("insult", Mistake.MISSED): ["4", "5"],
    }
    assert [one.count for one in lists] == [2, 2]
    assert lists[0].errors[0].score == 0.9
    assert (lists[0].errors[0].truth, lists[0].errors[0].instead) == (0, "")


def test_a_row_per_group():
    scores = [[0.9, 0.1, 0.1], [0.8, 0.1, 0.1], [0.7, 0.1, 0.1]]
    split = split_of(MANY, scores, [[0, 0, 1]] * 3, {"insult": 0.5, "threat": 0.5}, groups=["a", "a", "b"])
    (one,) = worst_errors([split])
    assert [error.row for error in one.errors] == ["1", "3"]
    assert one.count == 3


def test_a_single_label_error_says_what_is_answered_instead():
    scores = [[0.1, 0.8, 0.1], [0.7, 0.1, 0.2], [0.2, 0.3, 0.5]]
    lists = worst_errors([split_of(ONE, scores, [[1, 0, 0], [0, 0, 1], [0, 0, 1]])])
    told = {(one.label, one.mistake): [(error.row, error.instead) for error in one.errors] for one in lists}
    assert told == {
        ("rude", Mistake.FALSE_ALARM): [("1", "kind")],
        ("hostile", Mistake.MISSED): [("2", "kind")],
    }


def test_the_most_probable_label_is_the_truth_of_a_soft_one():
    scores = [[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1]]
    lists = worst_errors([split_of(ONE, scores, [[0.3, 0.4, 0.3], [0.2, 0.35, 0.45], [0.4, NAN, 0.6]])])
    told = {(one.label, one.mistake): [(error.row, error.instead) for error in one.errors] for one in lists}
    assert told == {
        ("rude", Mistake.FALSE_ALARM): [("2", "hostile")],
        ("hostile", Mistake.MISSED): [("2", "rude")],
    }


def test_the_room_is_shared():
    scores = [[0.9, 0.1, 0.1]] * 30 + [[0.1, 0.1, 0.1]] * 30 + [[0.1, 0.1, 0.1]]
    labels = [[0, 0, 0]] * 30 + [[1, 0, 0]] * 30 + [[0, 1, 0]]
    split = split_of(MANY, scores, labels, {"insult": 0.5, "threat": 0.5})
    sizes = [len(one.errors) for one in worst_errors([split])]
    assert sizes == [MOST_ALIKE, MOST_ALIKE, 1]
    assert [len(one.errors) for one in worst_errors([split], 8)] == [4, 3, 1]
    assert worst_errors([split], 0) == []


def test_texts_are_cut_and_stay_out_of_the_json():
    long = "goose " * 200
    shown = excerpt(pair_input("what " * 100, long))
    assert len(shown.text) == TEXT_CHARACTERS
    assert shown.text.endswith("…")
    assert len(shown.before) < TEXT_CHARACTERS
    assert excerpt(text_input("a\nb")).text == "a b"
    split = split_of(MANY, [[0.9, 0.1, 0.1]], [[0, 0, 0]], {"insult": 0.5, "threat": 0.5})
    assert "text" not in json.dumps(worst_errors([split])[0].errors[0].to_json())
