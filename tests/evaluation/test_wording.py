"""Words: numbers as they are read, and honest sentences about small samples and weak F1."""

from __future__ import annotations

import numpy as np

from modwright.evaluation import wording
from modwright.evaluation.metrics import evaluate_split
from modwright.evaluation.resampling import Interval
from modwright.evaluation.wording import (
    key_figures,
    no_better_than_flagging_all,
    sample_warning,
    summary_rows,
)
from modwright.schema import Schema, Target, TargetKind

MULTI = Target.create("moderation", TargetKind.MULTI_LABEL, ["insult", "rare", "safe", "threat"])
SINGLE = Target.create("tone", TargetKind.SINGLE_LABEL, ["calm", "rude"])


def evaluated(n, noise=0.2, seed=0):
    """A model whose scores are the labels with noise; 'rare' holds twice."""
    rng = np.random.default_rng(seed)
    labels = {
        "moderation": (rng.random((n, 4)) < 0.2).astype(float),
        "tone": np.eye(2)[rng.integers(0, 2, n)],
    }
    labels["moderation"][:, 1] = np.arange(n) < 2
    scores = {name: np.clip(part + rng.normal(0, noise, part.shape), 0, 1) for name, part in labels.items()}
    flags = {name: part > 0.5 for name, part in scores.items()}
    flags["moderation"][:, 2] = False
    return evaluate_split(Schema((MULTI, SINGLE)), scores, labels, flags, resamples=100)


def test_intervals_and_thresholds():
    assert wording.with_interval(Interval(0.641, 0.6, 0.67, 9)) == "0.64 (0.60–0.67)"
    assert wording.with_interval(Interval(0.6412, 0.64, 0.6449, 9)) == "0.641 (0.640–0.645)"
    assert wording.with_interval(Interval(0.64, None, None, 9)) == "0.64"
    assert wording.with_interval(Interval(None, None, None, 9)) == "–"
    cuts = (None, 0.0, 0.25, np.nextafter(1, 2), 0.000412, 0.01)
    assert [wording.threshold(value) for value in cuts] == [
        *("–", "always", "0.250", "never", "0.000412", "0.010")
    ]


def test_an_interval_below_zero_can_be_read():
    assert wording.with_interval(Interval(-0.1, -0.2, -0.05, 9)) == "-0.10 (-0.20 to -0.05)"


def test_a_small_sample_is_called_small_and_a_large_one_is_not():
    small, large = evaluated(80), evaluated(3000)
    assert "80 labelled rows. F1 is 1.00 in every resample" in sample_warning(small.targets["moderation"])
    assert "F1 could as well" in sample_warning(evaluated(80, noise=0.6).targets["moderation"])
    assert "Accuracy is 1.00 in every resample" in sample_warning(small.targets["tone"])
    assert sample_warning(large.targets["moderation"]) == sample_warning(large.targets["tone"]) == ""
    assert "No row" in sample_warning(evaluated(0).targets["tone"])


def test_an_f1_that_flagging_everything_reaches_is_called_so():
    guessing = evaluated(400, noise=50.0)
    assert "flagging every row" in no_better_than_flagging_all(MULTI, guessing.targets["moderation"])
    assert no_better_than_flagging_all(MULTI, evaluated(400).targets["moderation"]) == ""
    assert no_better_than_flagging_all(SINGLE, guessing.targets["tone"]) == ""


def test_key_figures_fit_the_target():
    found = evaluated(200)
    names = [[f.name for f in key_figures(t, found.targets[t.name])] for t in (MULTI, SINGLE)]
    assert names == [["Precision", "Recall", "F1", "ROC-AUC"], ["Accuracy", "ROC-AUC"]]
    accuracy = key_figures(SINGLE, found.targets["tone"])[0]
    assert 0.5 <= accuracy.baseline < 0.6


def test_summary_rows_hold_what_a_table_shows():
    rows = summary_rows({"test": evaluated(200)})
    assert [(row.target, row.label) for row in rows] == [
        ("moderation", "insult"),
        ("moderation", "rare"),
        ("moderation", "threat"),
        ("moderation", "macro"),
        ("tone", "calm"),
        ("tone", "rude"),
        ("tone", "macro"),
    ]
    assert rows[1].note == "not enough evidence: only 2 positives; judged from 10 on"
    assert rows[0].note == ""
    assert rows[0].rows == "200"
    assert rows[3].note == "mean of 2 labels"


def test_sentences_agree_in_number():
    assert wording.question(MULTI) == "Which of 4 labels hold, any number of them?"
    assert wording.question(Target.create("t", TargetKind.MULTI_LABEL, ["a"])) == "Does the one label hold?"
    assert wording.question(SINGLE) == "Which one of 2 labels holds?"
