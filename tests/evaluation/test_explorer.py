"""The explorer's counts are those of all rows, at any prevalence; few thresholds stand for many."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from modwright.evaluation.cuts import NEVER
from modwright.evaluation.explorer import MOST_POINTS, explorer, explorers
from modwright.evaluation.scored import scored_split
from modwright.evaluation.thresholds import OperatingPoint
from modwright.schema import Schema, Target, TargetKind, text_input

NAMES = ("test", "moderation", "insult")


def sample(n=4000, seed=0, share=0.1):
    rng = np.random.default_rng(seed)
    positives = rng.random(n) < share
    return 1 / (1 + np.exp(-rng.normal(np.where(positives, 1.0, -1.5), 1.2))), positives


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans()), min_size=2, max_size=30
    ),
    st.sampled_from([0.0, 0.25, 0.3, 1.0, 1.5]),
)
def test_every_count_is_that_of_the_rows(rows, wanted):
    scores, positives = np.array([score for score, _ in rows]), np.array([on for _, on in rows])
    if positives.all() or not positives.any():
        return
    found = explorer(NAMES, scores, positives, {"default": wanted})
    assert (np.diff(found.thresholds) > 0).all()
    for threshold, hits, alarms in zip(found.thresholds, found.found, found.alarms, strict=True):
        assert hits == (positives & (scores >= threshold)).sum()
        assert alarms == (~positives & (scores >= threshold)).sum()
    assert found.thresholds[found.place(wanted)] == wanted
    assert found.found[0] + found.alarms[0] == len(rows)
    assert found.found[-1] + found.alarms[-1] == 0


def test_at_the_measured_prevalence_it_agrees_with_scikit_learn():
    scores, positives = sample()
    found = explorer(NAMES, scores, positives, {"default": 0.37})
    flagged = scores >= 0.37
    outcome = found.outcome(0.37)
    assert outcome.precision.value == pytest.approx(sk.precision_score(positives, flagged))
    assert outcome.recall.value == pytest.approx(sk.recall_score(positives, flagged))
    assert outcome.flagged == pytest.approx(flagged.mean())
    assert outcome.missed == pytest.approx((positives & ~flagged).mean())
    assert outcome.wrong == pytest.approx((~positives & flagged).mean())
    assert outcome.review == 0
    for interval in (outcome.precision, outcome.recall):
        assert interval.low < interval.value < interval.high


def test_at_another_prevalence_it_is_what_rows_weighted_to_it_give():
    scores, positives = sample()
    found = explorer(NAMES, scores, positives, {"default": 0.5}, band=(0.2, 0.5))
    weights = np.where(positives, 0.02 / positives.mean(), 0.98 / (1 - positives.mean()))
    flagged, looked = scores >= 0.5, (scores >= 0.2) & (scores < 0.5)
    outcome = found.outcome(0.5, 0.02, 0.2)
    assert outcome.precision.value == pytest.approx(
        sk.precision_score(positives, flagged, sample_weight=weights)
    )
    assert outcome.flagged == pytest.approx(np.average(flagged, weights=weights))
    assert outcome.review == pytest.approx(np.average(looked, weights=weights))
    assert outcome.missed == pytest.approx(np.average(positives & (scores < 0.2), weights=weights))


def test_few_thresholds_stand_for_many_rows_in_both_tails():
    scores, positives = sample(60_000, share=0.03)
    found = explorer(NAMES, scores, positives, {"default": 0.4, "strict": 0.93})
    assert len(found.thresholds) <= MOST_POINTS
    assert len(json.dumps(found.to_json())) < 8_000
    flagged = found.alarms / found.negatives
    for rate in (0.5, 0.1, 0.01, 0.001):
        assert np.abs(np.log(flagged[flagged > 0] / rate)).min() < 0.15
    recall = found.found / found.positives
    for rate in (0.99, 0.9, 0.5, 0.1):
        assert np.abs(recall - rate).min() < 0.02


def test_nothing_flagged_has_no_precision():
    scores, positives = sample(50, share=0.5)
    found = explorer(NAMES, scores, positives, {"never": 2.0})
    outcome = found.outcome(2.0)
    assert outcome.precision.value is None
    assert (outcome.flagged, outcome.recall.value) == (0, 0)
    assert outcome.missed == pytest.approx(found.prevalence)


def test_labels_with_rows_of_one_kind_have_none():
    many = Target.create("moderation", TargetKind.MULTI_LABEL, ["insult", "threat", "safe"])
    one = Target.create("tone", TargetKind.SINGLE_LABEL, ["safe", "rude"])
    labels = {
        "moderation": np.array([[1, 0, 0], [0, 0, 1], [np.nan, 0, 1]]),
        "tone": np.array([[1, 0], [0, 1], [1, 0]]),
    }
    scores = {"moderation": np.full((3, 3), 0.4), "tone": np.full((3, 2), 0.5)}
    point = OperatingPoint("default", "test", {"moderation": {"insult": 0.3, "threat": 0.3}, "tone": {}})
    split = scored_split("test", Schema((many, one)), [text_input("x")] * 3, labels, scores, point)
    found = explorers(
        split,
        {"default": point.thresholds},
        {"moderation": {"insult": (0.1, 0.9), "threat": (0.1, 0.9)}},
        {"moderation": {"insult": 0.05}},
    )
    assert [(one.target, one.label) for one in found] == [("moderation", "insult"), ("tone", "rude")]
    assert (found[0].positives, found[0].negatives, found[0].band, found[0].deployment) == (
        1,
        1,
        (0.1, 0.9),
        0.05,
    )
    assert found[1].points == {}
    assert found[0].to_json()["band"] == [found[0].place(0.1), found[0].place(0.9)]


def test_few_digits_neither_make_thresholds_equal_nor_never_a_one():
    scores = np.array([0.1234567891, 0.1234567892, 0.5, 1.0])
    found = explorer(NAMES, scores, np.array([False, True, True, True]), {"default": NEVER})
    told = found.to_json()["thresholds"]
    assert all(one < other for one, other in itertools.pairwise(told))
    assert told[found.to_json()["points"]["default"]] > 1
    assert told[1:3] == [0.1234567891, 0.1234567892]


@given(st.lists(st.floats(0, 1) | st.floats(0.5, 0.5000001), min_size=2, max_size=40))
def test_written_thresholds_rise_as_the_thresholds_do(scores):
    positives = np.arange(len(scores)) % 2 == 0
    found = explorer(NAMES, np.array(scores), positives, {"default": NEVER, "strict": 1.0})
    told = found.to_json()["thresholds"]
    assert all(one < other for one, other in itertools.pairwise(told))
    assert [value > 1 for value in told] == [value > 1 for value in found.thresholds]
    assert told == pytest.approx(found.thresholds.tolist(), rel=1e-6)
