"""Prior shift: the odds of Elkan's theorem, and the prevalence that unlabelled scores give away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modwright.errors import SchemaError, UsageError
from modwright.evaluation.calibration import logit, sigmoid, softmax
from modwright.evaluation.prevalence import PriorShift, corrected, estimated_prevalence, labels_held
from modwright.schema import Target, TargetKind

MULTI, SINGLE = TargetKind.MULTI_LABEL, TargetKind.SINGLE_LABEL
SHARE = st.floats(0.01, 0.99)


@given(st.floats(0, 1), SHARE, SHARE)
def test_it_is_elkans_formula(p, b, b_new):
    expected = b_new * (p - p * b) / (b - p * b + b_new * p - b * b_new)  # theorem 2
    found = corrected(MULTI, np.array([[p]]), np.array([b]), np.array([b_new]))[0, 0]
    assert found == pytest.approx(expected, abs=1e-12)


@given(SHARE, SHARE, SHARE)
def test_there_and_back_is_nothing_and_an_even_chance_of_the_prior_is_the_new_prior(p, one, other):
    scores, here, there = np.array([[p]]), np.array([one]), np.array([other])
    assert corrected(MULTI, here[None], here, there)[0, 0] == pytest.approx(other)
    back = corrected(MULTI, corrected(MULTI, scores, here, there), there, here)
    assert back[0, 0] == pytest.approx(p)


def test_two_classes_are_corrected_like_one_label():
    p, here, there = np.array([0.2, 0.7]), np.array([0.5]), np.array([0.05])
    two = corrected(SINGLE, np.stack([p, 1 - p], 1), np.array([0.5, 0.5]), np.array([0.05, 0.95]))
    assert two[:, 0] == pytest.approx(corrected(MULTI, p[:, None], here, there)[:, 0])
    assert two.sum(axis=1) == pytest.approx(1.0)


def test_after_a_shift_scores_are_what_the_labels_are():
    rng = np.random.default_rng(1)
    labels = rng.random(200_000) < 0.5
    z = rng.normal(np.where(labels, 1.0, -1.0), 1.0)  # so that sigmoid(2 z) is the truth at one half
    kept = rng.random(len(z)) < np.where(labels, 0.05 / 0.95, 1.0)
    p = sigmoid(2 * z[kept])[:, None]
    shifted = PriorShift((0.5,), (0.05,)).apply(MULTI, p)
    assert p.mean() > 0.15
    assert shifted.mean() == pytest.approx(0.05, abs=0.003)
    sure = shifted[:, 0] > 0.5
    assert labels[kept][sure].mean() == pytest.approx(shifted[sure, 0].mean(), abs=0.03)
    assert np.median(np.abs(logit(shifted) - logit(p) - np.log(0.05 / 0.95))) < 1e-6


def test_the_prevalence_of_unlabelled_scores_is_found():
    rng = np.random.default_rng(2)
    labels = rng.random(20_000) < 0.03
    p = sigmoid(2 * rng.normal(np.where(labels, 1.0, -1.0), 1.0))[:, None]
    assert estimated_prevalence(MULTI, p, np.array([0.5]))[0] == pytest.approx(0.03, abs=0.01)
    truth = rng.choice(3, 20_000, p=[0.1, 0.2, 0.7])
    z = rng.normal(size=(20_000, 3)) + 1.5 * np.eye(3)[truth]
    q = softmax(1.5 * z)  # of unit normals shifted by 1.5, at equal priors
    found = estimated_prevalence(SINGLE, q, np.full(3, 1 / 3))
    assert found == pytest.approx([0.1, 0.2, 0.7], abs=0.02)


def test_a_prevalence_that_is_none_is_refused():
    scores = np.array([[0.5]])
    for bad in (0.0, 1.0, -1.0, np.nan):
        with pytest.raises(UsageError, match="deployed prevalence"):
            corrected(MULTI, scores, np.array([0.5]), np.array([bad]))
    with pytest.raises(UsageError, match="fitted prevalence"):
        corrected(MULTI, scores, np.array([0.5, 0.5]), np.array([0.5]))
    with pytest.raises(UsageError, match="no scores"):
        estimated_prevalence(MULTI, np.zeros((0, 1)), np.array([0.5]))


def test_json_round_trip():
    two, three = (Target.create("moderation", MULTI, list(labels)) for labels in ("ab", "abc"))
    shift = PriorShift((0.5, 0.25), (0.1, 0.2))
    assert PriorShift.from_json(two, shift.to_json(), "x") == shift
    with pytest.raises(SchemaError, match="3 numbers"):
        PriorShift.from_json(three, shift.to_json(), "x")


def test_classes_that_exclude_each_other_must_sum_to_one_in_a_file():
    one_of = Target.create("tone", SINGLE, ["a", "b"])
    good = PriorShift((0.5, 0.5), (0.1, 0.9))
    assert PriorShift.from_json(one_of, good.to_json(), "x") == good
    with pytest.raises(SchemaError, match=r"deployed sums to 0\.3, expected 1"):
        PriorShift.from_json(one_of, PriorShift((0.5, 0.5), (0.1, 0.2)).to_json(), "x")


def test_what_a_row_has():
    multi, single = (Target.create("t", kind, ["a", "b"]) for kind in (MULTI, SINGLE))
    values = np.array([[0.6, 0.4], [0.5, np.nan], [0.0, 0.0]])
    held = labels_held(multi, values, 0.5)
    assert held[0].tolist() == [1, 0]
    assert held[1, 0] == 0
    assert np.isnan(held[1, 1])
    held = labels_held(single, values, 0.5)
    assert held[0].tolist() == [1, 0]
    assert np.isnan(held[1:]).all()
