"""Calibration: it finds the distortion, stays near the identity without evidence, and never reorders."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.linear_model import LogisticRegression

from modwright.errors import SchemaError, UsageError
from modwright.evaluation.calibration import (
    CalibrationMethod,
    CalibrationRule,
    TargetCalibration,
    fit_calibration,
    fitting,
    logit,
    sigmoid,
    softmax,
)
from modwright.evaluation.prevalence import PriorShift
from modwright.schema import Target, TargetKind

MULTI = Target.create("moderation", TargetKind.MULTI_LABEL, ["insult", "threat"])
SINGLE = Target.create("tone", TargetKind.SINGLE_LABEL, ["kind", "neutral", "rude"])
PROBABILITIES = st.floats(0.0, 1.0)


def fit_one(scores, labels, weights=None, **more):
    target = Target.create("t", TargetKind.MULTI_LABEL, ["a"])
    known = np.asarray(labels, float)[:, None]
    return fit_calibration(target, np.asarray(scores)[:, None], known, weights, **more)


def drawn(rng, n, slope=1.0, intercept=0.0):
    """Raw scores whose true probability is sigmoid(slope * logit + intercept), and labels drawn from it."""
    raw = sigmoid(rng.normal(-1, 2, n))
    return raw, (rng.random(n) < sigmoid(slope * logit(raw) + intercept)).astype(float)


def test_platt_finds_the_distortion():
    raw, labels = drawn(np.random.default_rng(1), 20_000, slope=0.5, intercept=-1.0)
    fitted = fit_one(raw, labels)
    assert fitted.slopes[0] == pytest.approx(0.5, abs=0.05)
    assert fitted.intercepts[0] == pytest.approx(-1.0, abs=0.08)


def test_platt_is_the_logistic_regression_when_the_prior_is_weak(monkeypatch):
    monkeypatch.setattr(fitting, "PRIOR_PRECISION", 1e-9)
    raw, labels = drawn(np.random.default_rng(2), 400, slope=2.0, intercept=1.0)
    weights = np.random.default_rng(3).integers(1, 4, 400).astype(float)
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(raw)[:, None], labels, weights)
    fitted = fit_one(raw, labels, weights)
    assert fitted.slopes[0] == pytest.approx(reference.coef_[0, 0], rel=1e-4)
    assert fitted.intercepts[0] == pytest.approx(reference.intercept_[0], rel=1e-4, abs=1e-4)


def test_weights_are_counts_and_their_unit_does_not_matter():
    raw, labels = drawn(np.random.default_rng(4), 60)
    weights = np.tile([1.0, 2.0], 30)
    fitted = fit_one(raw, labels, weights)
    assert fit_one(raw, labels, weights * 100).slopes == pytest.approx(fitted.slopes, abs=1e-6)
    assert fit_one(raw, labels, None) != fitted
    without = fit_one(raw[weights == 2], labels[weights == 2])
    assert fit_one(raw, labels, weights - 1).slopes == pytest.approx(without.slopes, abs=1e-6)


def test_soft_labels_count_as_they_are():
    raw = np.full(4_000, 0.5)
    assert fit_one(raw, np.full(4_000, 0.2)).apply(np.array([[0.5]]))[0, 0] == pytest.approx(0.2, abs=0.005)


def test_unknown_cells_are_masked_one_by_one():
    rng = np.random.default_rng(5)
    raw, labels = drawn(rng, 300, 0.5)
    both, known = np.stack([raw, raw], 1), np.stack([labels, labels], 1)
    known[100:, 0] = np.nan
    fitted = fit_calibration(MULTI, both, known)
    assert fitted.slopes[0] == fit_one(raw[:100], labels[:100]).slopes[0]
    assert fitted.slopes[1] == fit_one(raw, labels).slopes[0]


def test_without_known_rows_it_is_the_identity():
    assert fit_one([0.1, 0.9], [np.nan, np.nan]) == TargetCalibration.identity(
        Target.create("t", TargetKind.MULTI_LABEL, ["a"])
    )
    nothing = fit_calibration(SINGLE, np.full((2, 3), 1 / 3), np.full((2, 3), np.nan))
    assert nothing == TargetCalibration.identity(SINGLE)


def test_few_positives_stay_near_the_identity():
    raw = np.array([0.4, 0.3, 0.5, 0.2])
    fitted = fit_one(raw, [1, 0, 1, 0])
    assert np.abs(fitted.apply(raw[:, None])[:, 0] - raw).max() < 0.12


def test_one_class_shrinks_the_intercept_only_as_far_as_the_prior_lets_it():
    fitted = fit_one(np.full(10, 0.5), np.zeros(10))
    assert -2.0 < fitted.intercepts[0] < -0.3


def test_scores_against_the_labels_never_reverse_the_ranking():
    raw, labels = drawn(np.random.default_rng(6), 500, slope=-2.0)
    fitted = fit_one(raw, labels)
    assert 0 < fitted.slopes[0] < 0.2


def test_temperature_finds_the_distortion():
    rng = np.random.default_rng(7)
    truth = softmax(rng.normal([0.5, 0.0, -0.5], 1, (20_000, 3)))
    labels = np.eye(3)[(truth.cumsum(1) > rng.random((20_000, 1))).argmax(1)]
    raw = softmax(2.5 * np.log(truth) + [0.3, 0.0, -0.3])
    fitted = fit_calibration(SINGLE, raw, labels)
    assert fitted.slopes[0] == pytest.approx(1 / 2.5, abs=0.02)
    assert np.abs(fitted.apply(raw) - truth).mean() < 0.01


def test_a_partly_known_single_label_row_is_masked_whole():
    rng = np.random.default_rng(8)
    raw = softmax(rng.normal(0, 1, (50, 3)))
    labels = np.eye(3)[rng.integers(0, 3, 50)]
    holes = labels.copy()
    holes[30:, 1] = np.nan
    assert fit_calibration(SINGLE, raw, holes) == fit_calibration(SINGLE, raw[:30], labels[:30])


def test_fitting_never_makes_the_log_loss_worse():
    rng = np.random.default_rng(9)
    for _ in range(20):
        raw, labels = drawn(rng, 50, rng.uniform(0.1, 3), rng.uniform(-3, 3))
        after = fit_one(raw, labels).apply(raw[:, None])[:, 0]
        losses = [-(labels * np.log(p) + (1 - labels) * np.log1p(-p)).mean() for p in (raw, after)]
        assert losses[1] <= losses[0] + 1e-9


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, (12, 2), elements=PROBABILITIES),
    hnp.arrays(np.float64, (12, 2), elements=st.sampled_from([0.0, 0.3, 1.0, np.nan])),
    hnp.arrays(np.float64, 12, elements=st.sampled_from([0.0, 0.5, 1.0, 20.0])),
    st.sampled_from(list(CalibrationMethod)),
)
def test_multi_label_keeps_the_order_and_the_range(scores, labels, weights, method):
    fitted = fit_calibration(MULTI, scores, labels, weights, CalibrationRule(method))
    assert min(fitted.slopes) > 0
    result = fitted.apply(scores)
    assert result.dtype == np.float64
    assert ((result >= 0) & (result <= 1)).all()
    for before, after in zip(scores.T, result.T, strict=True):
        higher = before[:, None] > before[None, :] + 1e-12
        assert (after[:, None] >= after[None, :])[higher].all()
        inside = (before > 1e-4) & (before < 1 - 1e-4)
        apart = higher & (before[:, None] > before[None, :] + 1e-6) & inside[:, None] & inside[None, :]
        assert (after[:, None] > after[None, :])[apart].all()


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, (9, 3), elements=PROBABILITIES),
    hnp.arrays(np.float64, (9, 3), elements=st.sampled_from([0.0, 0.3, 1.0, np.nan])),
    st.sampled_from(list(CalibrationMethod)),
)
def test_single_label_sums_to_one(scores, labels, method):
    result = fit_calibration(SINGLE, scores, labels, rule=CalibrationRule(method)).apply(scores)
    assert ((result >= 0) & (result <= 1)).all()
    assert result.sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("method", list(CalibrationMethod))
def test_zero_and_one_are_never_nan(method):
    raw = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert np.isfinite(fit_calibration(MULTI, raw, raw, rule=CalibrationRule(method)).apply(raw)).all()
    three = np.eye(3)
    assert np.isfinite(fit_calibration(SINGLE, three, three, rule=CalibrationRule(method)).apply(three)).all()
    assert np.isfinite(TargetCalibration.identity(SINGLE).apply(np.zeros((1, 3)))).all()


def test_a_temperature_moves_no_even_chance():
    raw, labels = drawn(np.random.default_rng(11), 5_000, slope=0.5)
    fitted = fit_one(raw, labels, rule=CalibrationRule(CalibrationMethod.TEMPERATURE))
    assert fitted.slopes[0] == pytest.approx(0.5, abs=0.05)
    assert fitted.intercepts == (0.0,)
    assert fitted.apply(np.array([[0.5]]))[0, 0] == pytest.approx(0.5)
    truth = softmax(np.random.default_rng(12).normal(0, 1, (20_000, 3)))
    classes = np.eye(3)[(truth.cumsum(1) > np.random.default_rng(13).random((20_000, 1))).argmax(1)]
    rule = CalibrationRule(CalibrationMethod.TEMPERATURE)
    cooled = fit_calibration(SINGLE, softmax(3 * np.log(truth)), classes, rule=rule)
    assert cooled.slopes[0] == pytest.approx(1 / 3, abs=0.02)
    assert cooled.intercepts == (0.0, 0.0, 0.0)


def test_a_temperature_is_what_the_logistic_regression_without_an_intercept_gives(monkeypatch):
    monkeypatch.setattr(fitting, "PRIOR_PRECISION", 1e-9)
    raw, labels = drawn(np.random.default_rng(14), 300, slope=0.7)
    reference = LogisticRegression(C=np.inf, tol=1e-10, fit_intercept=False).fit(logit(raw)[:, None], labels)
    fitted = fit_one(raw, labels, rule=CalibrationRule(CalibrationMethod.TEMPERATURE))
    assert fitted.slopes[0] == pytest.approx(reference.coef_[0, 0], rel=1e-4)


@pytest.mark.parametrize(
    ("positives", "method"),
    [(0, "none"), (1, "temperature"), (4, "temperature"), (5, "platt"), (19, "platt"), (20, "isotonic")],
)
def test_the_richest_method_that_the_evidence_bears_is_chosen_per_label(positives, method):
    rng = np.random.default_rng(15)
    labels = np.zeros((100, 2))
    labels[:positives, 0] = 1
    labels[:50, 1] = 1
    rule = CalibrationRule(None, platt_from=5, isotonic_from=20)
    fitted = fit_calibration(MULTI, rng.random((100, 2)), labels, rule=rule)
    assert fitted.methods == (CalibrationMethod(method), CalibrationMethod.ISOTONIC)
    turned = fit_calibration(MULTI, rng.random((100, 2)), 1 - labels, rule=rule)
    assert turned.methods == fitted.methods


def test_a_single_label_target_is_as_rich_as_its_rarest_class():
    rng = np.random.default_rng(16)
    labels = np.eye(3)[[0] * 60 + [1] * 30 + [2] * 10]
    for most, method in ((100, "platt"), (10, "isotonic")):
        rule = CalibrationRule(None, platt_from=10, isotonic_from=most)
        fitted = fit_calibration(SINGLE, softmax(rng.normal(0, 1, (100, 3))), labels, rule=rule)
        assert set(fitted.methods) == {CalibrationMethod(method)}


@pytest.mark.parametrize("method", list(CalibrationMethod))
@pytest.mark.parametrize("target", [MULTI, SINGLE])
def test_json_round_trip(target, method):
    rng = np.random.default_rng(10)
    width = len(target.labels)
    raw = softmax(rng.normal(0, 1, (40, width)))
    labels = np.eye(width)[rng.integers(0, width, 40)]
    fitted = fit_calibration(target, raw, labels, rule=CalibrationRule(method))
    uneven = np.arange(1, width + 1) / (width * (width + 1) / 2)
    fitted = fitted.shifted(PriorShift((1 / width,) * width, tuple(uneven.tolist())))
    again = TargetCalibration.from_json(target, json.loads(json.dumps(fitted.to_json())))
    assert again == fitted
    assert np.array_equal(again.apply(raw), fitted.apply(raw))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"labels": ["threat", "insult"]}, "threat"),
        ({"labels": "insult"}, "insult"),
        ({"methods": ["temperature"]}, "2 of none, temperature"),
        ({"methods": ["temperature", "plat"]}, "plat"),
        ({"methods": ["none", "isotonic"]}, "'threat' is missing"),
        ({"curves": {"insult": {}}}, "insult"),
        ({"curves": None}, "None"),
        ({"methods": ["none", "isotonic"], "curves": {"threat": 3}}, "an object of knots"),
        (
            {"methods": ["none", "isotonic"], "curves": {"threat": {"raw": [1, 0], "calibrated": [0, 1]}}},
            "numbers that rise",
        ),
        (
            {"methods": ["none", "isotonic"], "curves": {"threat": {"raw": [0], "calibrated": [0, 1]}}},
            "expected as many",
        ),
        ({"shift": {"fitted": [0.5, 0.5], "deployed": [0.5, 1.0]}}, "between 0 and 1"),
        ({"shift": {"fitted": [0.5]}}, "deployed"),
        ({"shift": 0.5}, "0.5"),
        ({"slopes": [1.0]}, "2 finite numbers"),
        ({"slopes": [1.0, 0.0]}, "above zero"),
        ({"slopes": [1.0, -1.0]}, "above zero"),
        ({"slopes": [1.0, True]}, "finite numbers"),
        ({"intercepts": [0.0, float("nan")]}, "finite numbers"),
        ({"intercepts": [0.0, "0"]}, "finite numbers"),
        ({"intercept": [0.0, 0.0]}, "did you mean 'intercepts'"),
    ],
)
def test_json_of_another_shape_is_refused(change, found):
    data = {**TargetCalibration.identity(MULTI).to_json(), **change}
    with pytest.raises(SchemaError) as error:
        TargetCalibration.from_json(MULTI, data)
    assert found in str(error.value)
    assert "moderation" in str(error.value)


def test_a_missing_key_is_named():
    data = TargetCalibration.identity(MULTI).to_json()
    del data["slopes"]
    with pytest.raises(SchemaError, match="'slopes' is missing"):
        TargetCalibration.from_json(MULTI, data)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match=r"expected \(N, 2\)"):
        fit_calibration(MULTI, np.zeros((3, 3)), np.zeros((3, 3)))
    with pytest.raises(UsageError, match="weights"):
        fit_calibration(MULTI, np.zeros((3, 2)), np.zeros((3, 2)), np.ones(2))
    with pytest.raises(UsageError, match=r"expected \(N, 2\)"):
        TargetCalibration.identity(MULTI).apply(np.zeros(2))


@pytest.mark.parametrize("method", list(CalibrationMethod))
def test_scores_next_to_an_end_are_told_apart(method):
    """As single precision tells them apart: what a model is sure of is not one tie."""
    rng = np.random.default_rng(12)
    raw = sigmoid(rng.normal(0, 3, 400))
    fitted = fit_one(raw, (rng.random(400) < raw).astype(float), rule=CalibrationRule(method))
    ends = np.array([1e-7, 3e-7, 1e-6, 3e-6])
    highest = np.nextafter(np.float32(1), np.float32(0), dtype=np.float32)
    near = np.concatenate([ends, 1 - ends[::-1], [float(highest), 1.0]])
    assert (np.diff(fitted.apply(near[:, None])[:, 0]) > 0).all()
