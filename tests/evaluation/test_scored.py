"""A scored split: flagged at its point, its columns by name, and parts of other lengths refused."""

from __future__ import annotations

import numpy as np
import pytest

from modwright.errors import UsageError
from modwright.evaluation.scored import scored_split
from modwright.evaluation.thresholds import OperatingPoint
from modwright.schema import Schema, Target, TargetKind, text_input

MANY = Target.create("moderation", TargetKind.MULTI_LABEL, ["insult", "threat"])
ONE = Target.create("tone", TargetKind.SINGLE_LABEL, ["kind", "rude"])
SCHEMA = Schema((MANY, ONE))
POINT = OperatingPoint("default", "test", {"moderation": {"insult": 0.5, "threat": 0.9}, "tone": {}})
NAN = np.nan


def made(scores=None, **parts):
    inputs = [text_input(word) for word in ("one", "two", "three")]
    labels = {
        "moderation": np.array([[1, 0], [NAN, 1], [0.5, 0.6]]),
        "tone": np.array([[1, 0], [0, NAN], [0.2, 0.8]]),
    }
    scores = scores or {
        "moderation": np.array([[0.5, 0.8], [0.4, 0.95], [0.9, 0.9]]),
        "tone": np.array([[0.7, 0.3], [0.5, 0.5], [0.1, 0.9]]),
    }
    return scored_split("test", SCHEMA, inputs, labels, scores, POINT, **parts)


def test_it_is_flagged_at_the_point_and_rows_that_are_not_named_have_their_place():
    split = made()
    assert split.flagged["moderation"].tolist() == [[True, False], [False, True], [True, True]]
    assert split.flagged["tone"].tolist() == [[True, False], [True, False], [False, True]]
    assert (list(split.ids), list(split.groups), split.weights.tolist()) == (
        ["1", "2", "3"],
        ["1", "2", "3"],
        [1, 1, 1],
    )
    assert (len(split), split.texts) == (3, ["one", "two", "three"])


def test_positives_follow_the_schemas_rule_and_a_partly_known_class_is_unknown():
    split = made()
    assert [part.tolist() for part in split.positives("moderation", "insult")] == [
        [True, False, True],
        [True, False, False],
    ]
    assert split.positives("moderation", "threat")[1].tolist() == [False, True, True]
    assert [part.tolist() for part in split.positives("tone", "rude")] == [
        [True, False, True],
        [False, False, True],
    ]


def test_other_scores_are_flagged_at_the_same_point():
    again = made(columns={"source": ["a", "b", None]}).rescored(
        {"moderation": np.full((3, 2), 0.6), "tone": np.full((3, 2), 0.5)}
    )
    assert again.flagged["moderation"].tolist() == [[True, False]] * 3
    assert again.column("source") == ["a", "b", None]


def test_what_is_not_there_or_does_not_fit():
    with pytest.raises(UsageError, match="no column 'sorce'") as caught:
        made(columns={"source": ["a", "b", None]}).column("sorce")
    assert "source" in caught.value.remedy
    with pytest.raises(UsageError, match="no further columns"):
        raise AssertionError(made().column("x"))
    with pytest.raises(UsageError, match="groups: 2 for 3 inputs"):
        made(groups=["a", "b"])
    with pytest.raises(UsageError, match="scores of 'tone': 2 for 3"):
        made({"moderation": np.zeros((3, 2)), "tone": np.zeros((2, 2))})
