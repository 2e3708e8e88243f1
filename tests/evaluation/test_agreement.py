"""Flagged proportions, agreement and kappa: scikit-learn's figures, intervals that cover, unknown verdicts left out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from modwright.errors import UsageError
from modwright.evaluation.agreement import (
    AgreementStatistics,
    agreements,
    flagged_proportion,
    proportion,
)
from modwright.evaluation.curves import wilson
from modwright.evaluation.resampling import Interval


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_kappa_and_agreement_are_scikit_learns(pairs):
    one, other = (np.array(values) for values in zip(*pairs, strict=True))
    found = AgreementStatistics(one, other).at()
    assert found["agreement"] == pytest.approx(sk.accuracy_score(one, other))
    if len(np.union1d(one, other)) == 1:
        assert np.isnan(found["kappa"])
    else:
        assert found["kappa"] == pytest.approx(sk.cohen_kappa_score(one, other), abs=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), min_size=2, max_size=30))
def test_a_weighted_row_is_a_row_that_often(rows):
    one, other, times = (np.array(values) for values in zip(*rows, strict=True))
    if not times.sum():
        return
    weighted = AgreementStatistics(one.astype(int), other.astype(int)).resampled(times[None].astype(float))
    repeated = AgreementStatistics(
        np.repeat(one, times).astype(int), np.repeat(other, times).astype(int)
    ).at()
    for name, value in repeated.items():
        assert weighted[name][0] == pytest.approx(value, nan_ok=True)


def test_a_proportion_of_independent_rows_is_wilsons():
    holds = np.arange(40) < 13
    assert proportion(holds) == Interval(13 / 40, *wilson(13 / 40, 40), 40)
    assert proportion(holds, [str(i) for i in range(40)]) == proportion(holds)
    assert proportion(holds[:0]) == Interval(None, None, None, 0)


def test_rows_that_repeat_their_group_count_once():
    holds = np.arange(40) < 13
    repeated, groups = np.repeat(holds, 5), np.repeat(np.arange(40), 5).astype(str).tolist()
    found, single = proportion(repeated, groups), proportion(holds)
    assert found.value == single.value
    assert found.high - found.low == pytest.approx(single.high - single.low, rel=0.03)
    assert found.high - found.low > 2 * (proportion(repeated).high - proportion(repeated).low)


def test_all_or_none_still_have_a_width():
    found = proportion(np.ones(30, dtype=bool), [str(i // 3) for i in range(30)])
    assert (found.value, found.high) == pytest.approx((1.0, 1.0))
    assert found.low == pytest.approx(wilson(1.0, 10)[0])
    assert proportion(np.zeros(5, dtype=bool), ["one"] * 5).high > 0.7


def test_the_interval_of_a_proportion_covers():
    """Over many draws of grouped rows the 95 % interval holds the true rate about as often as it says."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(400):
        rate = rng.beta(2, 3, 60)  # of each group; its mean is 0.4
        holds = rng.random((60, 4)) < rate[:, None]
        found = proportion(holds.ravel(), np.repeat(np.arange(60), 4).astype(str).tolist())
        inside += found.low <= 0.4 <= found.high
    assert 0.92 <= inside / 400 <= 0.98


def test_unknown_verdicts_are_left_out():
    verdicts = np.array([1.0, 0.0, np.nan, 1.0])
    assert flagged_proportion(verdicts).n == 3
    assert flagged_proportion(verdicts, ["a", "a", "b", "c"]).value == pytest.approx(2 / 3)
    assert flagged_proportion(np.full(3, np.nan)).value is None


def test_judges_are_compared_on_the_rows_that_both_judged():
    rng = np.random.default_rng(1)
    people = (rng.random(300) < 0.4).astype(float)
    model = np.where(rng.random(300) < 0.85, people, 1 - people)
    model[:50] = np.nan
    never = np.zeros(300)
    one, _, last = agreements({"people": people, "model": model, "never": never}, resamples=200)
    assert (one.one, one.other) == ("people", "model")
    assert one.counts.tolist() == sk.confusion_matrix(people[50:], model[50:]).tolist()
    assert one.agreement.value == pytest.approx((people[50:] == model[50:]).mean())
    assert one.kappa.value == pytest.approx(sk.cohen_kappa_score(people[50:], model[50:]))
    assert one.kappa.low < one.kappa.value < one.kappa.high
    assert one.kappa.n == one.agreement.n == 250
    assert last.kappa.value == 0.0
    assert one.to_json()["judges"] == ["people", "model"]


def test_groups_widen_kappas_interval():
    rng = np.random.default_rng(2)
    one = (rng.random(60) < 0.5).astype(float)
    other = np.where(rng.random(60) < 0.8, one, 1 - one)
    one, other = np.repeat(one, 6), np.repeat(other, 6)
    groups = np.repeat(np.arange(60), 6).astype(str).tolist()
    alone = agreements({"a": one, "b": other}, resamples=300)[0].kappa
    together = agreements({"a": one, "b": other}, groups, resamples=300)[0].kappa
    assert together.value == alone.value
    assert together.high - together.low > 1.8 * (alone.high - alone.low)


def test_judges_with_nothing_in_common_have_no_numbers():
    found = agreements({"a": np.array([1.0, np.nan]), "b": np.array([np.nan, 0.0])}, resamples=10)[0]
    assert found.agreement == found.kappa == Interval(None, None, None, 0)
    assert found.counts.sum() == 0


def test_wrong_verdicts_are_refused():
    with pytest.raises(UsageError, match="different numbers of rows"):
        agreements({"a": np.ones(2), "b": np.ones(3)})
    with pytest.raises(UsageError, match="neither 1, 0 nor unknown"):
        agreements({"a": np.array([0.5])})
    with pytest.raises(UsageError, match="2 groups for 3 rows"):
        proportion(np.ones(3, dtype=bool), ["a", "b"])
