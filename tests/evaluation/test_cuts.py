"""The best F1 cut: exact against brute force over every tie pattern, and its average over resamples."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from modwright.errors import UsageError
from modwright.evaluation import cuts
from modwright.evaluation.cuts import (
    Ranking,
    best_f1,
    f1_merit,
    ranked_counts,
    resampled_counts,
    resampled_thresholds,
)

#: Few distinct values, so that every tie pattern of up to 8 points turns up.
POINTS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0]),
        st.booleans(),
        st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    ),
    min_size=1,
    max_size=8,
).filter(lambda points: any(weight for _, _, weight in points))


def arrays(points):
    scores, positives, weights = zip(*points, strict=True)
    return np.array(scores), np.array(positives), np.array(weights)


def brute_force(scores, positives, weights):
    """Try every set a threshold can flag; return the one with the best F1 and, of equals, flagging least."""
    scores, positives, weights = (values[weights > 0] for values in (scores, positives, weights))
    distinct = sorted(set(scores), reverse=True)
    candidates = [np.nextafter(distinct[0], np.inf)]
    candidates += [(high + low) / 2 for high, low in itertools.pairwise(distinct)] + [0.0]
    results = []
    for threshold in candidates:
        flagged = scores >= threshold
        divisor = weights[flagged].sum() + weights[positives].sum()
        results.append((threshold, 2 * weights[flagged & positives].sum() / divisor if divisor else 0.0))
    best = max(f1 for _, f1 in results)
    return next((threshold, f1) for threshold, f1 in results if f1 > best - 1e-12)


@settings(max_examples=600, deadline=None)
@given(POINTS)
def test_best_f1_is_the_brute_force(points):
    threshold, f1 = best_f1(*arrays(points))
    expected_threshold, expected_f1 = brute_force(*arrays(points))
    assert f1 == pytest.approx(expected_f1)
    assert threshold == pytest.approx(expected_threshold)


def test_every_tie_pattern_of_four_points():
    for ranks in itertools.product(range(4), repeat=4):
        for positives in itertools.product([False, True], repeat=4):
            given_points = np.array(ranks) / 4 + 0.1, np.array(positives), np.ones(4)
            assert best_f1(*given_points) == pytest.approx(brute_force(*given_points))


@given(POINTS)
def test_the_threshold_gives_the_promised_f1(points):
    scores, positives, weights = arrays(points)
    threshold, f1 = best_f1(scores, positives, weights)
    assert f1 == pytest.approx(
        f1_score(positives, scores >= threshold, sample_weight=weights, zero_division=0.0)
    )


def test_both_ends():
    assert best_f1(np.array([0.2, 0.8]), np.array([True, True]))[0] == 0.0
    threshold, f1 = best_f1(np.array([0.2, 1.0]), np.array([False, False]))
    assert threshold > 1.0
    assert np.isfinite(threshold)
    assert f1 == 0.0


def test_flag_all_reaches_scores_below_zero_too():
    threshold, _ = best_f1(np.array([-3.0, -1.0]), np.array([True, True]))
    assert threshold == -3.0


def test_neighbouring_floats_are_told_apart():
    low = 0.3
    high = np.nextafter(low, 1.0)
    threshold, f1 = best_f1(np.array([low, high]), np.array([False, True]))
    assert (threshold, f1) == (high, 1.0)


def test_weights_none_is_all_ones():
    scores, positives = np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True])
    assert best_f1(scores, positives) == best_f1(scores, positives, np.full(4, 2.5))


@pytest.mark.parametrize("values", [[], [0.1, np.nan]])
def test_no_rows_and_nan_are_refused(values):
    with pytest.raises(UsageError):
        best_f1(np.array(values), np.zeros(len(values), bool))


def test_no_weight_and_other_shapes_are_refused():
    with pytest.raises(UsageError, match="weight above zero"):
        best_f1(np.array([0.5]), np.array([True]), np.zeros(1))
    with pytest.raises(UsageError, match="same"):
        best_f1(np.array([0.5]), np.array([True, False]))


def bagged_f1(scores, positives, weights=None, seed=0, resamples=200):
    """The mean of the best thresholds over resamples; NaN where none has a positive."""
    weights = np.ones(len(scores)) if weights is None else weights
    counts = ranked_counts(len(scores), seed, resamples)
    (found,) = resampled_thresholds([f1_merit], Ranking.of(scores), positives, weights, counts)
    return float(found[~np.isnan(found)].mean()) if not np.isnan(found).all() else np.nan


@settings(max_examples=60, deadline=None)
@given(POINTS, st.integers(0, 5))
def test_bagged_is_the_mean_over_a_naive_loop(points, seed):
    # the counts of a resample go by rank
    scores, positives, weights = arrays(sorted(points, key=lambda point: -point[0]))
    counts = resampled_counts(np.random.default_rng(seed), len(scores), 30) * weights
    telling = [count for count in counts if (count * positives).any()]
    if not telling:
        assert np.isnan(bagged_f1(scores, positives, weights, seed, 30))
        return
    naive = np.mean([best_f1(scores, positives, count)[0] for count in telling])
    assert bagged_f1(scores, positives, weights, seed, 30) == pytest.approx(naive)


def test_bagged_in_chunks_is_bagged_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    scores = rng.random(50)
    positives = rng.random(50) < scores
    at_once = bagged_f1(scores, positives)
    monkeypatch.setattr(cuts, "_CHUNK_COUNTS", 170)
    assert bagged_f1(scores, positives) == pytest.approx(at_once)


def test_bagged_varies_less_between_samples_and_costs_no_f1_on_unseen_rows():
    rng = np.random.default_rng(11)
    unseen = rng.beta(1, 2, 100_000)
    unseen_positive = rng.random(len(unseen)) < unseen
    exact, bagged = [], []
    for _ in range(60):
        scores = rng.beta(1, 2, 150)
        positives = rng.random(150) < scores
        exact.append(best_f1(scores, positives)[0])
        bagged.append(bagged_f1(scores, positives, resamples=50))
    assert np.std(bagged) < np.std(exact)
    reached = [np.mean([f1_score(unseen_positive, unseen >= t) for t in found]) for found in (exact, bagged)]
    assert reached[1] > reached[0]
