"""Operating points for stated objectives: several at once, shrunk where positives are few, and what they reached."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from modwright.errors import SchemaError, UsageError
from modwright.evaluation.cells import resampled_totals
from modwright.evaluation.choosing import Column, Draw
from modwright.evaluation.cuts import NEVER, best_cut
from modwright.evaluation.objectives import Aim, Objective
from modwright.evaluation.operating_points import Reached
from modwright.evaluation.resampling import Interval, Resampler
from modwright.evaluation.thresholds import OperatingPoint, choose_points, choose_thresholds
from modwright.schema import Schema, Target, TargetKind

MULTI = Target.create("moderation", TargetKind.MULTI_LABEL, ["insult", "safe", "threat"])
SINGLE = Target.create("tone", TargetKind.SINGLE_LABEL, ["safe", "rude"])
SCHEMA = Schema((MULTI, SINGLE))
STRICT, LENIENT = Objective(Aim.PRECISION, 0.9), Objective(Aim.RECALL, 0.9)
OBJECTIVES = {
    "default": Objective(Aim.F_BETA, 1.0),
    "strict": STRICT,
    "lenient": LENIENT,
    "quiet": Objective(Aim.FALSE_POSITIVE_RATE, 0.05),
    "cheap": Objective(Aim.COST, 4.0),
}


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


def of_label(part, label):
    return part["moderation"][:, MULTI.index(label)]


def test_every_name_gets_its_thresholds_and_its_words():
    points = choose_points(OBJECTIVES, SCHEMA, *rows(), resamples=20)
    assert list(points) == list(OBJECTIVES)
    for name, point in points.items():
        assert (point.name, point.aim, point.objective) == (name, OBJECTIVES[name], OBJECTIVES[name].words)
        assert list(point.thresholds["moderation"]) == list(point.found["moderation"]) == ["insult", "threat"]
        assert point.thresholds["tone"] == {}
        assert point.shared == ({} if point.aim.aim.is_bound else {"moderation": ("threat",)})


def test_a_bound_is_cut_exactly_where_the_rows_meet_it():
    scores, labels = rows()
    points = choose_points(OBJECTIVES, SCHEMA, scores, labels, resamples=20)
    truth = of_label(labels, "insult") > 0.5
    for name in ("strict", "lenient", "quiet"):
        expected, _ = best_cut(OBJECTIVES[name].merit(), of_label(scores, "insult"), truth)
        assert points[name].thresholds["moderation"]["insult"] == expected
    flagged = {
        name: of_label(scores, "insult") >= points[name].thresholds["moderation"]["insult"] for name in points
    }
    assert precision_score(truth, flagged["strict"]) >= 0.9
    assert recall_score(truth, flagged["lenient"]) >= 0.9
    assert recall_score(~truth, flagged["quiet"]) <= 0.05
    assert flagged["lenient"].sum() > flagged["strict"].sum() > 0


def test_several_objectives_at_once_are_as_each_alone():
    together = choose_points(OBJECTIVES, SCHEMA, *rows(), resamples=30)
    for name, objective in OBJECTIVES.items():
        assert choose_points({name: objective}, SCHEMA, *rows(), resamples=30)[name] == together[name]


def test_the_default_is_still_the_best_f1_of_before():
    plain = choose_thresholds(SCHEMA, *rows())
    point = choose_points({"default": Objective(Aim.F_BETA, 1.0)}, SCHEMA, *rows())["default"]
    assert (point.thresholds, point.shared) == (plain.thresholds, plain.shared)


def column_choice(aim, scores, labels):
    column = Column(scores, labels > 0.5, np.ones(len(scores)), None)
    return Draw(0, 20).chosen({"x": aim}, column, None)["x"].threshold


def test_few_positives_are_drawn_towards_the_shared_threshold_where_the_best_is_asked_for():
    scores, labels = rows()
    pooled = [
        np.concatenate([of_label(part, "insult"), of_label(part, "threat")]) for part in (scores, labels)
    ]
    points = choose_points(OBJECTIVES, SCHEMA, scores, labels, resamples=20)
    for point in points.values():
        own, common = (
            column_choice(point.aim, *some)
            for some in ((of_label(scores, "threat"), of_label(labels, "threat")), pooled)
        )
        expected = own if point.aim.aim.is_bound else 0.3 * own + 0.7 * common
        assert point.thresholds["moderation"]["threat"] == pytest.approx(expected)


def test_what_no_cut_reaches_is_said_and_never_flagged():
    rng = np.random.default_rng(1)
    scores, labels = rows()
    labels["moderation"][:, 0] = rng.random(400) < 0.3  # nothing to do with its scores
    labels["moderation"][scores["moderation"][:, 0] > 0.97, 0] = 0.0
    point = choose_points({"strict": STRICT}, SCHEMA, scores, labels, resamples=20)["strict"]
    assert point.thresholds["moderation"]["insult"] == NEVER
    found = point.found["moderation"]["insult"]
    assert (found.met, found.value.value) == (False, None)
    assert "insult" in point.unmet["moderation"]


def test_a_label_without_known_rows_is_unmet_at_a_bound_and_says_nothing_else():
    scores, labels = rows()
    labels["moderation"][:, 2] = np.nan
    points = choose_points(OBJECTIVES, SCHEMA, scores, labels, resamples=20)
    for point in points.values():
        threshold = point.thresholds["moderation"]["threat"]
        assert threshold == NEVER if point.aim.aim.is_bound else 0 < threshold < 1
        assert point.found["moderation"]["threat"].value == Interval(None, None, None, 0)
    assert points["default"].unmet == {}
    assert points["strict"].unmet == {"moderation": ("threat",)}


def test_intervals_hold_what_other_samples_give():
    """The interval of a threshold and of its recall, against fresh samples of the same population."""
    chosen = choose_points({"lenient": LENIENT}, SCHEMA, *rows(2000))["lenient"].found["moderation"]["insult"]
    fresh = [
        choose_points({"lenient": LENIENT}, SCHEMA, *rows(2000, seed), resamples=1)["lenient"]
        for seed in range(1, 41)
    ]
    found = np.array([point.thresholds["moderation"]["insult"] for point in fresh])
    width = chosen.threshold.high - chosen.threshold.low
    assert width == pytest.approx(4 * found.std(), rel=0.6)
    assert chosen.value.low < 0.9 < chosen.value.high
    assert chosen.value.n == 2000


def test_groups_widen_the_intervals():
    scores, labels = rows(300)
    repeated = [{name: np.repeat(part[name], 6, axis=0) for name in part} for part in (scores, labels)]
    groups = [str(i) for i in np.repeat(np.arange(300), 6)]
    plain, grouped = (
        choose_points({"lenient": LENIENT}, SCHEMA, *repeated, groups=one)["lenient"].found["moderation"][
            "insult"
        ]
        for one in (None, groups)
    )
    for name in ("threshold", "value"):
        narrow, wide = getattr(plain, name), getattr(grouped, name)
        assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    assert plain.threshold.value == grouped.threshold.value


def test_a_rare_deployment_raises_the_strict_threshold_and_leaves_recall():
    points, rare = (
        choose_points(OBJECTIVES, SCHEMA, *rows(4000), prevalence=stated, resamples=30)
        for stated in (None, {"moderation": {"insult": 0.05}})
    )
    before, after = (
        {name: point.thresholds["moderation"]["insult"] for name, point in made.items()}
        for made in (points, rare)
    )
    assert after["strict"] > before["strict"] + 0.02
    assert after["cheap"] > before["cheap"] + 0.02
    assert after["quiet"] == before["quiet"]
    assert after["lenient"] == pytest.approx(before["lenient"], abs=0.01)
    assert rare["strict"].prevalence == {"moderation": {"insult": 0.05}}
    assert rare["strict"].found["moderation"]["insult"].met


def test_weights_count_in_what_is_reached():
    scores, labels = rows()
    weights = np.random.default_rng(3).integers(0, 4, 400).astype(float)
    point = choose_points({"lenient": LENIENT}, SCHEMA, scores, labels, weights, resamples=20)["lenient"]
    flagged = of_label(scores, "insult") >= point.thresholds["moderation"]["insult"]
    expected = recall_score(of_label(labels, "insult"), flagged, sample_weight=weights)
    assert point.found["moderation"]["insult"].value.value == pytest.approx(expected)


def test_the_same_rows_give_the_same_points_and_json_keeps_them():
    options = {"groups": [str(i // 2) for i in range(400)], "prevalence": {"moderation": {"insult": 0.2}}}
    first, second = (choose_points(OBJECTIVES, SCHEMA, *rows(), resamples=20, **options) for _ in range(2))
    assert first == second
    for name, point in first.items():
        assert OperatingPoint.from_json(name, json.loads(json.dumps(point.to_json()))) == point


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"aim": {"aim": "precise", "value": 0.9}}, "did you mean 'precision'"),
        ({"aim": 3}, "expected an object"),
        ({"prevalence": {"m": {"a": "rare"}}}, "'a' is 'rare'"),
        ({"found": {"m": 3}}, "expected an object"),
        ({"found": {"m": {"a": {"met": True}}}}, "is missing"),
    ],
)
def test_json_of_another_shape_is_refused(change, found):
    data = {**OperatingPoint("default", "", {}).to_json(), **change}
    with pytest.raises(SchemaError, match=found):
        OperatingPoint.from_json("default", data)


@pytest.mark.parametrize("change", [{"met": "yes"}, {"value": {"value": "high"}}, {"value": 3}])
def test_what_was_reached_is_read_strictly(change):
    interval = Interval(0.5, 0.4, 0.6, 10)
    data = Reached(interval, interval, True).to_json()
    assert Reached.from_json(data, "x").met is True
    if isinstance(change.get("value"), dict):
        change = {"value": interval.to_json() | change["value"]}
    with pytest.raises(SchemaError):
        Reached.from_json(data | change, "x")


@pytest.mark.parametrize(
    ("prevalence", "found"),
    [
        ({"moderatoin": {}}, "unknown target 'moderatoin'"),
        ({"moderation": {"insutl": 0.1}}, "unknown label 'insutl'"),
        ({"moderation": {"insult": 1.5}}, "expected 0 to 1"),
    ],
)
def test_a_prevalence_that_fits_nothing_is_refused(prevalence, found):
    with pytest.raises(UsageError, match=found):
        choose_points(OBJECTIVES, SCHEMA, *rows(), prevalence=prevalence)


def test_no_resample_is_refused():
    with pytest.raises(UsageError, match="resamples is 0"):
        choose_points(OBJECTIVES, SCHEMA, *rows(), resamples=0)


@pytest.mark.parametrize("groups", [None, [str(i // 4) for i in range(120)]])
def test_totals_are_those_of_a_plain_bootstrap(groups):
    rng = np.random.default_rng(2)
    cells = np.stack([rng.random(120) < 0.3, rng.integers(0, 3, 120), np.ones(120)], axis=1).astype(float)
    drawn = resampled_totals(cells, groups, seed=0, resamples=4000)
    plain = np.concatenate([counts @ cells for counts in Resampler(120, groups, 4000, 1).counts()])
    assert drawn.shape == plain.shape
    assert drawn.mean(axis=0) == pytest.approx(plain.mean(axis=0), rel=0.03)
    assert drawn.std(axis=0) == pytest.approx(plain.std(axis=0), rel=0.08, abs=1e-9)
