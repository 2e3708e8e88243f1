"""Objectives: exact against brute force over every tie pattern, what they reach, and their JSON form."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import fbeta_score, precision_score, recall_score

from modwright.errors import SchemaError, UsageError
from modwright.evaluation.cuts import NEVER, CutCounts, Ranking, best_cut
from modwright.evaluation.objectives import Aim, Objective, at_prevalence

OBJECTIVES = [
    Objective(Aim.F_BETA, 1.0),
    Objective(Aim.F_BETA, 0.5),
    Objective(Aim.F_BETA, 2.0),
    Objective(Aim.PRECISION, 0.5),
    Objective(Aim.PRECISION, 0.75),
    Objective(Aim.PRECISION, 1.0),
    Objective(Aim.RECALL, 0.5),
    Objective(Aim.RECALL, 1.0),
    Objective(Aim.FALSE_POSITIVE_RATE, 0.0),
    Objective(Aim.FALSE_POSITIVE_RATE, 0.25),
    Objective(Aim.COST, 0.2),
    Objective(Aim.COST, 4.0),
]
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
PREVALENCES = st.sampled_from([None, 0.0, 0.05, 0.5, 0.9, 1.0])


def arrays(points):
    scores, positives, weights = zip(*points, strict=True)
    return np.array(scores), np.array(positives), np.array(weights)


def naive(objective, scores, positives, weights, threshold, prevalence=None):
    """What an aim measures, written out from its definition; None where undefined."""
    yes, no = weights * positives, weights * ~positives
    if prevalence is not None:  # each kind of text scaled to its stated share
        yes = yes * (prevalence / yes.sum()) if yes.any() else yes
        no = no * ((1 - prevalence) / no.sum()) if no.any() else no
    flagged = scores >= threshold
    hits, wrong, missed = yes[flagged].sum(), no[flagged].sum(), yes[~flagged].sum()
    beta2 = objective.value**2
    above, below = {
        Aim.F_BETA: ((1 + beta2) * hits, (1 + beta2) * hits + beta2 * missed + wrong),
        Aim.PRECISION: (hits, hits + wrong),
        Aim.RECALL: (hits, hits + missed),
        Aim.FALSE_POSITIVE_RATE: (wrong, no.sum()),
        Aim.COST: (missed + objective.value * wrong, yes.sum() + no.sum()),
    }[objective.aim]
    return above / below if below else None


def brute_force(objective, scores, positives, weights, prevalence=None):
    """Try every set that a threshold can flag: the threshold of the best, of equals the one that flags least."""
    scores, positives, weights = (values[weights > 0] for values in (scores, positives, weights))
    distinct = sorted(set(scores), reverse=True)
    candidates = [np.nextafter(distinct[0], np.inf)]
    candidates += [(high + low) / 2 for high, low in itertools.pairwise(distinct)] + [0.0]
    judged = []
    for threshold in candidates:
        rows = scores, positives, weights, threshold, prevalence
        value = naive(objective, *rows)
        match objective.aim:
            case Aim.F_BETA:
                judged.append((threshold, value or 0.0))
            case Aim.COST:
                judged.append((threshold, 0.0 if value is None else -value))
            case Aim.RECALL:
                if value is not None and value >= objective.value - 1e-9:
                    judged.append((threshold, naive(Objective(Aim.PRECISION, 1.0), *rows) or 0.0))
            case Aim.PRECISION:
                if value is not None and value >= objective.value - 1e-9:
                    judged.append((threshold, naive(Objective(Aim.RECALL, 1.0), *rows) or 0.0))
            case Aim.FALSE_POSITIVE_RATE:
                if value is not None and value <= objective.value + 1e-9:
                    judged.append((threshold, naive(Objective(Aim.RECALL, 1.0), *rows) or 0.0))
    if not judged:
        return NEVER, -np.inf
    best = max(merit for _, merit in judged)
    return next((threshold, best) for threshold, merit in judged if merit > best - 1e-12)


@settings(max_examples=1500, deadline=None)
@given(POINTS, st.sampled_from(OBJECTIVES), PREVALENCES)
def test_the_best_cut_is_the_brute_force(points, objective, prevalence):
    rows = arrays(points)
    if objective.aim is Aim.COST and prevalence is not None and _one_sided_without_weight(rows, prevalence):
        return  # no text is left that could cost anything
    threshold, merit = best_cut(objective.merit(prevalence), *rows)
    expected_threshold, expected_merit = brute_force(objective, *rows, prevalence)
    assert merit == pytest.approx(expected_merit)
    assert threshold == pytest.approx(expected_threshold)


def _one_sided_without_weight(rows, prevalence):
    _, positives, weights = rows
    yes, no = weights[positives].sum() > 0, weights[~positives].sum() > 0
    return (not yes and prevalence == 1) or (not no and prevalence == 0)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda one: f"{one.aim}-{one.value:g}")
def test_every_tie_pattern_of_four_points(objective):
    for ranks in itertools.product(range(4), repeat=4):
        for positives in itertools.product([False, True], repeat=4):
            rows = np.array(ranks) / 4 + 0.1, np.array(positives), np.ones(4)
            assert best_cut(objective.merit(), *rows) == pytest.approx(brute_force(objective, *rows))


@settings(max_examples=300, deadline=None)
@given(POINTS, st.sampled_from(OBJECTIVES), PREVALENCES)
def test_what_is_reached_follows_the_definition_at_every_cut(points, objective, prevalence):
    scores, positives, weights = arrays(points)
    ranking = Ranking.of(scores)
    counts = CutCounts.of(ranking, weights[None, ranking.order], positives[ranking.order])
    reached = objective.reached(counts, prevalence)[0]
    for value, threshold in zip(reached, [np.inf, *ranking.scores], strict=True):
        expected = naive(objective, scores, positives, weights, threshold, prevalence)
        assert np.isnan(value) if expected is None else value == pytest.approx(expected)


@pytest.mark.parametrize("threshold", [0.15, 0.45, 0.75])
def test_what_is_reached_is_scikit_learns(threshold):
    rng = np.random.default_rng(3)
    scores, weights = rng.random(200).round(2), rng.random(200)
    positives = rng.random(200) < scores
    flagged = scores >= threshold
    counts = CutCounts(
        *(
            np.array([[part.sum()]])
            for part in (weights * (flagged & positives), weights * flagged, weights * positives, weights)
        )
    )
    for aim, reference in (
        (Aim.PRECISION, precision_score(positives, flagged, sample_weight=weights)),
        (Aim.RECALL, recall_score(positives, flagged, sample_weight=weights)),
        (Aim.FALSE_POSITIVE_RATE, recall_score(~positives, flagged, sample_weight=weights)),
    ):
        assert Objective(aim, 0.5).reached(counts)[0, 0] == pytest.approx(reference)
    beta = fbeta_score(positives, flagged, beta=2, sample_weight=weights)
    assert Objective(Aim.F_BETA, 2.0).reached(counts)[0, 0] == pytest.approx(beta)


@given(POINTS, PREVALENCES)
def test_recall_and_false_alarms_do_not_depend_on_the_prevalence(points, prevalence):
    scores, positives, weights = arrays(points)
    ranking = Ranking.of(scores)
    counts = CutCounts.of(ranking, weights[None, ranking.order], positives[ranking.order])
    if prevalence in (0.0, 1.0):
        return
    for aim in (Aim.RECALL, Aim.FALSE_POSITIVE_RATE):
        plain, shifted = (Objective(aim, 0.5).reached(counts, one) for one in (None, prevalence))
        assert np.allclose(plain, shifted, equal_nan=True)


def test_the_cheapest_cut_of_calibrated_scores_is_where_theory_puts_it():
    """With true probabilities the least cost flags from cost / (1 + cost) on (Elkan 2001)."""
    rng = np.random.default_rng(5)
    scores = rng.random(200_000)
    positives = rng.random(len(scores)) < scores
    for cost in (0.25, 1.0, 4.0):
        threshold, _ = best_cut(Objective(Aim.COST, cost).merit(), scores, positives)
        assert threshold == pytest.approx(cost / (1 + cost), abs=0.03)


def test_a_rare_deployment_needs_a_higher_cut_for_the_same_precision():
    rng = np.random.default_rng(6)
    scores = rng.random(20_000)
    positives = rng.random(len(scores)) < scores
    merit = Objective(Aim.PRECISION, 0.8).merit
    assert best_cut(merit(0.05), scores, positives)[0] > best_cut(merit(), scores, positives)[0] + 0.1


def test_a_bound_that_no_cut_meets_is_never_flagged():
    scores, positives = np.array([0.9, 0.5, 0.1]), np.array([False, True, False])
    assert best_cut(Objective(Aim.PRECISION, 0.75).merit(), scores, positives) == (NEVER, -np.inf)
    assert best_cut(Objective(Aim.RECALL, 0.9).merit(), scores, ~np.ones(3, bool))[0] == NEVER
    assert NEVER > 1.0


def test_what_is_met():
    assert Objective(Aim.F_BETA, 1.0).met(0.1) is None
    assert Objective(Aim.COST, 1.0).met(None) is None
    assert Objective(Aim.PRECISION, 0.9).met(0.9 - 1e-12) is True
    assert Objective(Aim.PRECISION, 0.9).met(0.89) is False
    assert Objective(Aim.RECALL, 0.9).met(None) is False
    assert Objective(Aim.FALSE_POSITIVE_RATE, 0.1).met(0.1) is True
    assert Objective(Aim.FALSE_POSITIVE_RATE, 0.1).met(0.2) is False
    assert Objective(Aim.FALSE_POSITIVE_RATE, 0.1).met(float("nan")) is False


@pytest.mark.parametrize(
    ("aim", "value"),
    [
        (Aim.F_BETA, 0.0),
        (Aim.F_BETA, float("inf")),
        (Aim.PRECISION, 0.0),
        (Aim.PRECISION, 1.1),
        (Aim.RECALL, -0.1),
        (Aim.FALSE_POSITIVE_RATE, 1.0),
        (Aim.COST, 0.0),
        (Aim.COST, float("nan")),
    ],
)
def test_values_out_of_range_are_refused(aim, value):
    with pytest.raises(UsageError, match="expected"):
        Objective(aim, value)


def test_prevalence_out_of_range_is_refused():
    ones = np.ones((1, 1))
    with pytest.raises(UsageError, match=r"prevalence is 1\.5"):
        at_prevalence(CutCounts(ones, ones, ones, ones), 1.5)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda one: f"{one.aim}-{one.value:g}")
def test_json_round_trip_and_words(objective):
    assert Objective.from_json(json.loads(json.dumps(objective.to_json()))) == objective
    assert f"{objective.value:g}" in objective.words


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"aim": "precison", "value": 0.9}, "did you mean 'precision'"),
        ({"aim": "precision", "value": 2}, "at most 1"),
        ({"aim": "precision", "value": "0.9"}, "expected a number"),
        ({"aim": "precision", "value": True}, "expected a number"),
        ({"aim": "precision"}, "'value' is missing"),
        ({"aim": ["precision"], "value": 1.0}, "aim is"),
    ],
)
def test_json_of_another_shape_is_refused(data, found):
    with pytest.raises(SchemaError, match=found):
        Objective.from_json(data)
