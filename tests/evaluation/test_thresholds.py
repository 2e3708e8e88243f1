"""Operating points: which labels get a threshold of their own, and what they flag."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modwright.errors import SchemaError
from modwright.evaluation.cuts import NEVER, Ranking, f1_merit, ranked_counts, resampled_thresholds
from modwright.evaluation.objectives import Aim, Objective
from modwright.evaluation.thresholds import (
    BEST_F1,
    OperatingPoint,
    choose_points,
    choose_thresholds,
    flags,
)
from modwright.schema import Schema, Target, TargetKind

MULTI = Target.create("moderation", TargetKind.MULTI_LABEL, ["insult", "safe", "threat"])
SINGLE = Target.create("tone", TargetKind.SINGLE_LABEL, ["safe", "rude"])
SCHEMA = Schema((MULTI, SINGLE))


def rows(n=400, seed=0):
    """Scores and labels of both targets; 'threat' holds in the first three rows only."""
    rng = np.random.default_rng(seed)
    scores = {"moderation": rng.random((n, 3)), "tone": np.full((n, 2), 0.5)}
    labels = {
        "moderation": (rng.random((n, 3)) < scores["moderation"]).astype(float),
        "tone": np.eye(2)[[0] * n],
    }
    labels["moderation"][:, 2] = np.arange(n) < 3
    return scores, labels


def bagged(scores, positives):
    counts = ranked_counts(len(scores), 0, 200)
    (found,) = resampled_thresholds([f1_merit], Ranking.of(scores), positives, np.ones(len(scores)), counts)
    return float(np.nanmean(found))


def test_every_flaggable_label_gets_a_threshold_and_single_label_targets_none():
    point = choose_thresholds(SCHEMA, *rows())
    assert (point.name, point.objective) == ("default", BEST_F1)
    assert list(point.thresholds["moderation"]) == ["insult", "threat"]
    assert point.thresholds["tone"] == {}
    assert point.shared == {"moderation": ("threat",)}


def test_a_label_with_evidence_has_its_own_bagged_threshold():
    scores, labels = rows()
    own = bagged(scores["moderation"][:, 0], labels["moderation"][:, 0] > 0.5)
    assert choose_thresholds(SCHEMA, scores, labels).thresholds["moderation"]["insult"] == own


def test_few_positives_are_drawn_towards_the_shared_threshold():
    scores, labels = rows()
    pooled = [np.concatenate([part["moderation"][:, i] for i in (0, 2)]) for part in (scores, labels)]
    common = bagged(pooled[0], pooled[1] > 0.5)
    own = bagged(scores["moderation"][:, 2], labels["moderation"][:, 2] > 0.5)
    found = choose_thresholds(SCHEMA, scores, labels).thresholds["moderation"]["threat"]
    assert found == pytest.approx(0.3 * own + 0.7 * common)


def test_a_label_without_positives_or_known_rows_takes_the_shared_threshold():
    for empty in (0.0, np.nan):
        scores, labels = rows()
        labels["moderation"][:, 2] = empty
        point = choose_thresholds(SCHEMA, scores, labels)
        assert 0 < point.thresholds["moderation"]["threat"] < 1
        assert point.shared == {"moderation": ("threat",)}
    labels["moderation"][:] = np.nan
    point = choose_thresholds(SCHEMA, scores, labels)
    assert point.thresholds["moderation"] == {"insult": 0.5, "threat": 0.5}


BOUNDS = {
    "precision": Objective(Aim.PRECISION, 0.9),
    "recall": Objective(Aim.RECALL, 0.9),
    "alarms": Objective(Aim.FALSE_POSITIVE_RATE, 0.01),
}


def test_a_bound_that_nothing_is_known_of_flags_nothing_and_is_named():
    for empty in (0.0, 1.0, np.nan):
        scores, labels = rows()
        labels["moderation"][:, 2] = empty
        for point in choose_points(BOUNDS, SCHEMA, scores, labels).values():
            assert point.thresholds["moderation"]["threat"] == NEVER, point.name
            assert "threat" in point.unmet["moderation"], point.name
            assert point.shared == {}


def test_a_bound_with_few_positives_is_kept_by_its_own_rows_or_given_up():
    """Three positives of random scores: what other labels can promise says nothing of this one."""
    scores, labels = rows()
    points = choose_points(BOUNDS, SCHEMA, scores, labels)
    assert points["precision"].thresholds["moderation"]["threat"] == NEVER
    assert points["precision"].unmet == {"moderation": ("threat",)}
    lowest = scores["moderation"][:3, 2].min()
    assert points["recall"].thresholds["moderation"]["threat"] <= lowest
    flagged = scores["moderation"][3:, 2] >= points["alarms"].thresholds["moderation"]["threat"]
    assert flagged.mean() <= 0.01
    assert points["alarms"].unmet == {}


def test_a_label_that_meets_a_bound_is_not_moved_by_one_that_cannot():
    scores, labels = rows()
    few = labels["moderation"][:, 0].copy()
    few[np.flatnonzero(few)[5:]] = 0  # five positives
    labels["moderation"][:, 0] = few
    scores["moderation"][few == 1, 0] = np.linspace(0.95, 0.99, 5)
    scores["moderation"][few == 0, 0] *= 0.5
    point = choose_points(BOUNDS, SCHEMA, scores, labels)["precision"]
    assert 0.5 < point.thresholds["moderation"]["insult"] < 0.96
    assert point.found["moderation"]["insult"].value.value == 1
    assert point.unmet == {"moderation": ("threat",)}


def test_soft_labels_follow_the_schemas_rule():
    scores, labels = rows()
    labels["moderation"][:, 0] *= 0.4
    strict = choose_thresholds(SCHEMA, scores, labels)
    lenient = choose_thresholds(Schema((MULTI, SINGLE), positive_above=0.3), scores, labels)
    assert "insult" in strict.shared["moderation"]
    assert "insult" not in lenient.shared["moderation"]


def test_weights_count_and_rows_without_weight_do_not():
    scores, labels = rows()
    weights = np.ones(400)
    weights[:200] = 0.0
    half = [{name: part[name][200:] for name in part} for part in (scores, labels)]
    weighted = choose_thresholds(SCHEMA, scores, labels, weights).thresholds["moderation"]
    assert weighted["insult"] == pytest.approx(
        choose_thresholds(SCHEMA, *half).thresholds["moderation"]["insult"], abs=0.05
    )
    assert weighted["insult"] != choose_thresholds(SCHEMA, scores, labels).thresholds["moderation"]["insult"]


def test_the_same_rows_give_the_same_point():
    assert choose_thresholds(SCHEMA, *rows()) == choose_thresholds(SCHEMA, *rows())


def test_json_round_trip():
    point = choose_thresholds(SCHEMA, *rows())
    assert OperatingPoint.from_json("default", json.loads(json.dumps(point.to_json()))) == point


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"threshold": {}}, "did you mean 'thresholds'"),
        ({"thresholds": {"moderation": {"insult": "0.5"}}}, "'insult' is '0.5'"),
        ({"thresholds": {"moderation": {"insult": float("nan")}}}, "nan"),
        ({"thresholds": {"moderation": 0.5}}, "expected an object"),
        ({"thresholds": []}, "expected an object"),
        ({"shared": []}, "expected an object"),
    ],
)
def test_json_of_another_shape_is_refused(change, found):
    data = {**OperatingPoint("default", BEST_F1, {}).to_json(), **change}
    with pytest.raises(SchemaError) as error:
        OperatingPoint.from_json("default", data)
    assert found in str(error.value)


def test_multi_label_flags_reach_their_threshold_and_never_a_negative_label():
    scores = np.array([[0.5, 0.9, 0.1], [0.49, 0.9, 0.2]])
    expected = [[True, False, False], [False, False, True]]
    assert flags(MULTI, scores, {"insult": 0.5, "threat": 0.2}).tolist() == expected


def test_single_label_flags_the_most_probable_one_unless_it_is_negative():
    scores = np.array([[0.6, 0.4], [0.4, 0.6]])
    assert flags(SINGLE, scores, {}).tolist() == [[False, False], [False, True]]


def test_no_rows_have_no_flags():
    assert flags(SINGLE, np.zeros((0, 2)), {}).shape == (0, 2)


def test_a_missing_threshold_is_named():
    with pytest.raises(SchemaError, match="'threat' has no threshold"):
        flags(MULTI, np.zeros((1, 3)), {"insult": 0.5})
