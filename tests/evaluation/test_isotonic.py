"""The isotonic curve: scikit-learn's pools, centred; rising, and never sure at its ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.isotonic import IsotonicRegression

from modwright.evaluation.calibration import Curve, fit_curve, isotonic, sigmoid
from modwright.evaluation.calibration.isotonic import _pooled

VALUES = st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0])


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, 8, elements=VALUES),
    hnp.arrays(np.float64, 8, elements=st.sampled_from([0.0, 0.25, 1.0])),
    hnp.arrays(np.float64, 8, elements=st.sampled_from([0.5, 1.0, 3.0])),
)
def test_the_pools_are_those_of_scikit_learn(z, labels, weights):
    places, row = np.unique(z, return_inverse=True)
    weight, positive = np.bincount(row, weights), np.bincount(row, weights * labels)
    pools = _pooled(places, weight, positive)
    reference = IsotonicRegression().fit(z, labels, sample_weight=weights).predict(places)
    until = np.cumsum(weight)
    ours = pools[np.searchsorted(np.cumsum(pools[:, 0]), until - 1e-9), 1]
    ours = ours / pools[np.searchsorted(np.cumsum(pools[:, 0]), until - 1e-9), 0]
    assert ours == pytest.approx(reference, abs=1e-9)


def test_a_knot_stands_at_the_middle_of_its_pool(monkeypatch):
    monkeypatch.setattr(isotonic, "_END_WEIGHT", 1e-12)
    curve = fit_curve(np.array([0.0, 1.0, 2.0, 4.0]), np.array([0.5, 0.25, 0.75, 0.75]), np.ones(4))
    assert curve.raw == pytest.approx((0.5, 3.0))
    assert sigmoid(np.array(curve.calibrated)) == pytest.approx([0.375, 0.75])
    middle = curve.apply(np.array([1.75]))[0]
    assert middle == pytest.approx(sum(curve.calibrated) / 2)


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, 12, elements=st.floats(-13, 13)),
    hnp.arrays(np.float64, 12, elements=st.sampled_from([0.0, 0.3, 1.0])),
)
def test_it_rises_and_is_never_sure(z, labels):
    curve = fit_curve(z, labels, np.ones(12))
    assert (np.diff(curve.raw) > 0).all()
    assert (np.diff(curve.calibrated) > 0).all()
    wide = np.linspace(-14, 14, 400)
    found = curve.apply(wide)
    assert (np.diff(found) > 0).all()
    assert 0.01 < sigmoid(found).max() < 1 - 0.01
    assert 0.01 < 1 - sigmoid(found).min() < 1


def test_it_finds_a_curve_that_no_slope_and_intercept_follow():
    rng = np.random.default_rng(1)
    z = rng.normal(0, 2, 50_000)
    truth = 0.1 + 0.8 * sigmoid(6 * (np.abs(z + 1) * np.sign(z + 1) - 1))
    curve = fit_curve(z, (rng.random(len(z)) < truth).astype(float), np.ones(len(z)))
    assert np.abs(sigmoid(curve.apply(z)) - truth).mean() < 0.015


def test_weights_are_counts_and_their_unit_does_not_matter():
    rng = np.random.default_rng(2)
    z, labels, weights = rng.normal(size=50), rng.integers(0, 2, 50).astype(float), np.tile([1.0, 2.0], 25)
    again = fit_curve(z, labels, 7 * weights)
    for one, other in zip((again.raw, again.calibrated), vars_of(fit_curve(z, labels, weights)), strict=True):
        assert one == pytest.approx(other)
    twice = np.concatenate([np.arange(50), np.arange(1, 50, 2)])
    counted = fit_curve(z[twice], labels[twice], np.ones(75))
    weighted = fit_curve(z, labels, weights)
    ends = 0.6  # the rows weigh 1 on average, so the ends weigh a little otherwise
    assert len(counted.raw) == pytest.approx(len(weighted.raw), abs=2)
    assert np.abs(counted.apply(z) - weighted.apply(z)).max() < ends


def vars_of(curve):
    return curve.raw, curve.calibrated


def test_one_row_is_a_curve():
    curve = fit_curve(np.array([1.0]), np.array([1.0]), np.ones(1))
    assert curve.raw == (1.0,)
    assert sigmoid(np.array(curve.calibrated)) == pytest.approx([0.75])
    assert Curve.from_json(curve.to_json(), "x") == curve
