"""Sentences for a manager: whole texts of a thousand, and warnings where figures deserve them."""

from __future__ import annotations

import numpy as np
import pytest

from modwright.evaluation.metrics import evaluate_split
from modwright.evaluation.scored import scored_split
from modwright.evaluation.sections import Section
from modwright.evaluation.summary import headlines, per_thousand, sentences, warnings
from modwright.evaluation.thresholds import OperatingPoint
from modwright.schema import Schema, Target, TargetKind, text_input

MANY = Target.create("moderation", TargetKind.MULTI_LABEL, ["insult", "threat"])
ONE = Target.create("tone", TargetKind.SINGLE_LABEL, ["calm", "rude"])


def evaluated(target, scores, labels, resamples=0):
    schema = Schema((target,))
    point = OperatingPoint("default", "test", {target.name: dict.fromkeys(target.flaggable, 0.5)})
    scores, labels = (
        {target.name: np.array(scores, dtype=float)},
        {target.name: np.array(labels, dtype=float)},
    )
    split = scored_split("test", schema, [text_input("x")] * len(scores[target.name]), labels, scores, point)
    return schema, evaluate_split(schema, scores, labels, split.flagged, resamples=resamples)


def rows(*counted):
    return [row for row, times in counted for _ in range(times)]


def test_a_thousand_texts():
    scores = rows(([0.9, 0], 30), ([0.1, 0], 10), ([0.9, 0], 20), ([0.1, 0], 140))
    labels = rows(([1, 0], 40), ([0, 0], 160))
    _, found = evaluated(MANY, scores, labels)
    assert per_thousand(MANY, found.targets["moderation"]) == (
        "Of 1,000 texts like these, 200 deserve a flag. The model flags 250: 150 rightly and 100 wrongly; it misses 50."
    )


@pytest.mark.parametrize(
    ("scores", "labels", "told"),
    [
        (
            [[0.1, 0]] * 4,
            [[1, 0]] * 2 + [[0, 0]] * 2,
            "500 deserve a flag. The model flags 0: 0 rightly and 0 wrongly; it misses 500.",
        ),
        (
            [[0.9, 0]] * 2 + [[0, 0]] * 2,
            [[0, 0]] * 2 + [[1, 0]] * 2,
            "flags 500: 0 rightly and 500 wrongly; it misses 500.",
        ),
        (  # rows that nobody labelled count for nothing, neither where no flag is right
            [[0.9, 0]] * 8 + [[0, 0]] * 2,
            [[0, 0]] * 2 + [[np.nan, 0]] * 6 + [[1, 0]] * 2,
            "500 deserve a flag. The model flags 500: 0 rightly and 500 wrongly; it misses 500.",
        ),
        ([[0.9, 0]] * 4, [[np.nan, 0]] * 4, ""),
    ],
)
def test_a_thousand_texts_at_the_ends(scores, labels, told):
    _, found = evaluated(MANY, scores, labels)
    assert per_thousand(MANY, found.targets["moderation"]).endswith(told)


def test_a_target_without_a_negative_label_has_right_answers():
    schema, found = evaluated(
        ONE, [[0.9, 0.1], [0.4, 0.6], [0.8, 0.2], [0.1, 0.9]], [[1, 0], [1, 0], [1, 0], [0, 1]]
    )
    assert sentences(schema, {"test": found}) == {
        "test": ["Of 1,000 texts like these, 750 get the right label."]
    }


def test_best_and_worst_label_are_named():
    rng = np.random.default_rng(0)
    labels = (rng.random((400, 2)) < 0.4).astype(float)
    scores = np.stack([0.3 + 0.4 * labels[:, 0] + 0.1 * rng.random(400), rng.random(400)], axis=1)
    schema, found = evaluated(MANY, scores, labels, resamples=100)
    (told,) = sentences(schema, {"test": found})["test"]
    assert "It tells insult apart best, with a ROC-AUC of 1.00" in told
    warned = warnings(schema, "test", found, fitted_on={"test"})
    assert warned[0].startswith("The model was fitted on rows of this split")
    assert any(one.startswith("For threat it may be no better than guessing: ROC-AUC 0.") for one in warned)
    assert any(one.startswith("Scores of insult are off by about") for one in warned)


def test_thin_labels_are_named():
    schema, found = evaluated(MANY, [[0.9, 0.1]] * 40, [[1, 0]] * 20 + [[0, 0]] * 20, resamples=40)
    assert "Not enough evidence to judge: threat." in warnings(schema, "test", found)


def test_sections_tell_what_stands_out():
    told = Section("slices", "Slices", "", headline="Long texts fare worse.")
    assert headlines([told, Section("bias", "Bias", "")]) == ["Long texts fare worse."]
