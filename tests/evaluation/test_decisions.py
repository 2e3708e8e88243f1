"""Raw scores, labels and a recipe in; calibration, named thresholds and a band out, at a stated prevalence too."""

from __future__ import annotations

import typing

import numpy as np
import pytest

from modwright.errors import RecipeError, SchemaError
from modwright.evaluation.calibration import CalibrationMethod, fit_calibration, sigmoid, softmax
from modwright.evaluation.decisions import (
    DecidedOn,
    decide,
    objectives_of,
    promise_of,
    rule_of,
)
from modwright.evaluation.deployment import stated_prevalence
from modwright.evaluation.objectives import Aim
from modwright.evaluation.review import TooFew
from modwright.recipe import CalibrationRecipe, OperatingPointRecipe, ReviewRecipe, load_recipe
from modwright.schema import Schema, Target, TargetKind

MULTI = Target.create("moderation", TargetKind.MULTI_LABEL, ["insult", "threat", "safe"])
SINGLE = Target.create("tone", TargetKind.SINGLE_LABEL, ["kind", "rude", "safe"])
SCHEMA = Schema((MULTI, SINGLE))


def recipe(*overrides):
    return load_recipe("fast", overrides)


def rows(n=600, seed=0, prevalence=0.5):
    """Raw scores that are too sure, and the labels they are of."""
    rng = np.random.default_rng(seed)
    held = rng.random((n, 3)) < [prevalence, prevalence, 0.5]
    z = 2 * rng.normal(np.where(held, 1.0, -1.0), 1.0)  # the log-odds at one half
    truth = rng.integers(0, 3, n)
    scores = {
        "moderation": sigmoid(2 * z),
        "tone": softmax(3 * (1.5 * np.eye(3)[truth] + rng.normal(size=(n, 3)))),
    }
    return scores, {"moderation": held.astype(float), "tone": np.eye(3)[truth]}


def test_the_words_of_a_recipe_are_those_of_the_code():
    (methods,) = (typing.get_args(CalibrationRecipe.model_fields["method"].annotation),)
    assert set(methods) == {"auto", *CalibrationMethod}
    assert set(typing.get_args(OperatingPointRecipe.model_fields["aim"].annotation)) == set(Aim)
    assert set(typing.get_args(ReviewRecipe.model_fields["too_few"].annotation)) == set(TooFew)


def test_a_recipe_says_what_is_fitted_chosen_and_promised():
    asked = recipe(
        "calibration.method=temperature",
        "operating_points.strict.value=0.99",
        "operating_points={default={aim='cost', value=5}}",
        "review.misses=0.01",
        "review.too_few=review",
    )
    assert rule_of(asked).choose(10_000) is CalibrationMethod.TEMPERATURE
    assert rule_of(recipe()).choose(999) is CalibrationMethod.PLATT
    assert rule_of(recipe()).choose(1000) is CalibrationMethod.ISOTONIC
    assert [(name, one.aim, one.value) for name, one in objectives_of(asked).items()] == [
        ("default", Aim.COST, 5.0)
    ]
    assert (promise_of(asked).misses, promise_of(asked).wrong_actions) == (0.01, 0.05)
    assert promise_of(asked).too_few is TooFew.REVIEW


def test_everything_is_chosen_on_calibrated_scores():
    scores, labels = rows()
    found = decide(recipe(), SCHEMA, scores, labels, decided_on=DecidedOn("out_of_fold", 600))
    for target in SCHEMA:
        fitted = fit_calibration(target, scores[target.name], labels[target.name], rule=rule_of(recipe()))
        assert found.calibration[target.name] == fitted
    strict, default, lenient = (
        found.points[name].thresholds["moderation"] for name in ("strict", "default", "lenient")
    )
    calibrated = found.calibrated(scores)["moderation"]
    for place, label in enumerate(("insult", "threat")):
        assert lenient[label] < default[label] < strict[label]
        flagged, held = calibrated[:, place] >= strict[label], labels["moderation"][:, place] == 1
        assert held[flagged].mean() >= 0.9
        assert (calibrated[held, place] >= lenient[label]).mean() >= 0.9
    assert set(strict) == {"insult", "threat"}
    assert found.points["strict"].thresholds["tone"] == {}
    band = found.review.bands["moderation"]["insult"]
    assert 0 < band.low <= band.high < 1
    assert set(found.review.bands["tone"]) == {"kind", "rude", "safe"}
    assert found.point is found.points["default"]
    assert found.decided_on == DecidedOn("out_of_fold", 600)


def test_a_stated_prevalence_moves_scores_thresholds_and_load():
    scores, labels = rows()
    asked = recipe("deployment.prevalence={insult=0.05, kind=0.8}")
    before, after = (decide(one, SCHEMA, scores, labels) for one in (recipe(), asked))
    rare, rare_labels = rows(40_000, 1, prevalence=0.05)
    calibrated = after.calibrated(rare)["moderation"]
    assert before.calibrated(rare)["moderation"][:, 0].mean() > 0.1
    assert calibrated[:, 0].mean() == pytest.approx(rare_labels["moderation"][:, 0].mean(), abs=0.015)
    assert np.array_equal(calibrated[:, 1:], before.calibrated(rare)["moderation"][:, 1:])
    flagged = calibrated[:, 0] >= after.points["strict"].thresholds["moderation"]["insult"]
    assert rare_labels["moderation"][flagged, 0].mean() > 0.7
    unaware = (
        before.calibrated(rare)["moderation"][:, 0]
        >= before.points["strict"].thresholds["moderation"]["insult"]
    )
    assert rare_labels["moderation"][unaware, 0].mean() < 0.6
    shift = after.calibration["tone"].shift
    assert shift.deployed[0] == 0.8
    assert sum(shift.deployed) == pytest.approx(1.0)
    assert shift.deployed[1] / shift.deployed[2] == pytest.approx(shift.fitted[1] / shift.fitted[2])
    assert after.review.prevalence["tone"] == dict(zip(SINGLE.labels, shift.deployed, strict=True))
    assert after.calibrated(rare)["tone"].sum(axis=1) == pytest.approx(1.0)
    load = [one.review.bands["moderation"]["insult"].expected.load.value for one in (before, after)]
    assert load[0] != load[1]


def test_weights_count_in_the_prevalence_that_is_corrected_from():
    scores, labels = rows(400)
    weights = np.where(labels["moderation"][:, 0] == 1, 3.0, 1.0)
    asked = recipe("deployment.prevalence={insult=0.5}")
    found = decide(asked, SCHEMA, scores, labels, weights=weights)
    share = weights @ labels["moderation"][:, 0] / weights.sum()
    assert found.calibration["moderation"].shift.fitted[0] == pytest.approx(share)
    assert (
        found.calibration["moderation"].shift.deployed[1] == found.calibration["moderation"].shift.fitted[1]
    )


@pytest.mark.parametrize(
    ("prevalence", "message", "remedy"),
    [
        ("{insolt=0.1}", "no label is called 'insolt'", "insult"),
        ("{safe=0.1}", "a label of several targets", "moderation/safe or tone/safe"),
        ('{insult=0.1, "moderation/insult"=0.2}', "named twice", ""),
        ("{kind=0.7, rude=0.4}", "sum to 1.1", ""),
        ('{kind=0.7, rude=0.1, "tone/safe"=0.1}', "sum to 0.9, expected 1", ""),
        ("{threat=0.1}", "no positives of it", "with and without"),
    ],
)
def test_a_prevalence_that_fits_nothing_is_refused(prevalence, message, remedy):
    scores, labels = rows(60)
    labels["moderation"][:, 1] = 0
    with pytest.raises(RecipeError) as caught:
        decide(recipe(f"deployment.prevalence={prevalence}"), SCHEMA, scores, labels)
    assert message in str(caught.value)
    assert "deployment.prevalence" in caught.value.where
    assert remedy in (caught.value.remedy or "")


def test_a_label_is_named_alone_or_below_its_target():
    asked = recipe('deployment.prevalence={"moderation/safe"=0.9, rude=0.1}')
    assert stated_prevalence(asked, SCHEMA) == {"moderation": {"safe": 0.9}, "tone": {"rude": 0.1}}
    assert stated_prevalence(recipe(), SCHEMA) == {}


def test_the_rows_are_kept_as_data():
    rows = DecidedOn("calibration", 7, "f" * 64)
    assert DecidedOn.from_json(rows.to_json()) == rows
    with pytest.raises(SchemaError):
        DecidedOn.from_json({"split": "x", "rows": "7", "dataset_id": ""})
    with pytest.raises(SchemaError):
        DecidedOn.from_json({"split": "x", "rows": 7})


def test_what_cannot_be_had_is_named():
    scores, labels = rows(200)
    assert decide(recipe("operating_points.strict.value=0.5"), SCHEMA, scores, labels).notes == ()
    rng = np.random.default_rng(3)
    scores["moderation"][:, 0] = rng.random(200) * 0.5
    labels["moderation"][5:, 1] = 0
    point, review = decide(recipe("operating_points.strict.value=1.0"), SCHEMA, scores, labels).notes
    assert point.startswith("operating point 'strict': precision at least 1")
    assert "moderation/insult" in point
    assert review == "review band: too few rows for a promise about moderation/threat"
