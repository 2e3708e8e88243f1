"""Rates, areas and means: each is scikit-learn's or SciPy's on the rows, repeated as often as they are counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from modwright.evaluation.binary import LabelStatistics, Metric, Sample
from modwright.evaluation.curves import wilson
from modwright.evaluation.cuts import resampled_counts
from modwright.evaluation.measuring import Bootstrapped, DecisionStatistics, RateStatistics
from modwright.evaluation.rates import (
    FlagRates,
    Rate,
    Separation,
    Together,
    gap,
    is_clear,
    power_mean,
    stacked,
    standard_error,
)
from modwright.evaluation.resampling import Interval

NAN = float("nan")


@st.composite
def judged(draw):
    """Scores with ties, positives and flags of 1 to 30 rows."""
    row = st.tuples(
        st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]) | st.floats(0, 1), st.booleans(), st.booleans()
    )
    return tuple(np.array(part) for part in zip(*draw(st.lists(row, min_size=1, max_size=30)), strict=True))


def expected(scores, positives, flagged):
    """Every figure as scikit-learn says it; undefined ones are NaN."""
    both = positives.any() and not positives.all()
    return {
        Rate.RECALL: reference.recall_score(positives, flagged, zero_division=NAN),
        Rate.FALSE_POSITIVE: reference.confusion_matrix(
            positives, flagged, labels=[False, True], normalize="true"
        )[0, 1]
        if not positives.all()
        else NAN,
        Rate.FLAGGED: flagged.mean(),
        Metric.ROC_AUC: reference.roc_auc_score(positives, scores) if both else NAN,
        Metric.F1: reference.f1_score(positives, flagged, zero_division=NAN),
        Metric.PRECISION: reference.precision_score(positives, flagged, zero_division=NAN),
        Metric.PREVALENCE: positives.mean(),
        "accuracy": reference.accuracy_score(positives, flagged),
    }


@settings(max_examples=60)
@given(judged(), st.integers(0, 9))
def test_decisions_rates_and_areas_are_scikit_learns_for_every_resample(rows, seed):
    scores, positives, flagged = rows
    statistics = Together(
        DecisionStatistics(flagged, positives), FlagRates(flagged, positives), Separation(scores, positives)
    )
    counts = resampled_counts(np.random.default_rng(seed), len(scores), 3)
    found = statistics.resampled(counts)
    for row, count in enumerate(counts.astype(int)):
        repeated = [np.repeat(values, count) for values in rows]
        for name, value in expected(*repeated).items():
            assert found[name][row] == pytest.approx(value, nan_ok=True), name
    for name, value in expected(*rows).items():
        assert statistics.at()[name] == pytest.approx(value, nan_ok=True), name


@settings(max_examples=60)
@given(judged())
def test_of_hard_labels_brier_score_and_log_loss_are_scikit_learns_own(rows):
    scores, positives, flagged = rows
    found = LabelStatistics(Sample(scores, positives.astype(float), positives, flagged)).at()
    assert found[Metric.BRIER] == pytest.approx(reference.brier_score_loss(positives, scores, pos_label=True))
    assert found[Metric.LOG_LOSS] == pytest.approx(
        reference.log_loss(positives, scores, labels=[False, True])
    )


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.integers(0, 5))
def test_a_rate_is_the_mean(holds, seed):
    rows = np.array(holds)
    counts = resampled_counts(np.random.default_rng(seed), len(rows), 2)
    assert RateStatistics(rows).at()["rate"] == pytest.approx(rows.mean())
    found = RateStatistics(rows).resampled(counts)["rate"]
    assert found == pytest.approx([np.repeat(rows, count).mean() for count in counts.astype(int)])


@given(st.integers(1, 200), st.data())
def test_wilsons_interval_is_scipys(rows, data):
    hits = data.draw(st.integers(0, rows))
    low, high = stats.binomtest(hits, rows).proportion_ci(method="wilson")
    assert wilson(hits / rows, rows) == pytest.approx((low, high), abs=1e-9)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=8), st.sampled_from([-5.0, -1.0, 1.0, 2.0]))
def test_the_power_mean_is_the_formula_and_scipys(values, power):
    array = np.array(values)
    found = float(power_mean(array, power))
    assert found == pytest.approx(np.mean(array**power) ** (1 / power))
    assert found == pytest.approx(float(stats.pmean(array, power)))
    assert found == pytest.approx(float(power_mean(np.array([*values, NAN]), power)))


def test_the_power_mean_at_its_ends():
    assert power_mean(np.array([0.0, 0.9]), -5.0) == 0.0  # the worst decides
    assert np.isnan(power_mean(np.array([NAN, NAN]), -5.0))
    by_resample = power_mean(np.array([[0.5, 1.0], [NAN, 0.5]]), -1.0)
    assert by_resample == pytest.approx([0.5, 2 / 3])


def test_what_is_never_flagged_has_no_rates():
    found = FlagRates(None, np.array([True, False]))
    assert all(np.isnan(value) for value in found.at().values())
    assert found.resampled(np.ones((3, 2)))[Rate.RECALL].shape == (3,)


def test_arrays_without_rows_become_nan_rows():
    found = stacked([np.array([0.1, 0.2]), np.full(0, NAN)])
    assert found.shape == (2, 2)
    assert np.isnan(found[1]).all()
    assert stacked([]).shape == (0,)


def bootstrapped(rows, flagged, positives, counts):
    """Rates of the chosen rows over given resamples."""
    measured = Bootstrapped(rows, FlagRates(flagged[rows], positives[rows]))
    measured.take(counts)
    return measured


def test_a_gap_is_paired_by_resample():
    rng = np.random.default_rng(0)
    flagged, positives = rng.random(200) < 0.4, rng.random(200) < 0.5
    counts = resampled_counts(rng, 200, 300)
    everything = np.ones(200, dtype=bool)
    most = everything.copy()
    most[:2] = False
    whole, part = (bootstrapped(rows, flagged, positives, counts) for rows in (everything, most))
    assert gap(whole, whole, Rate.RECALL) == Interval(0.0, 0.0, 0.0, 200)
    found = gap(part, whole, Rate.RECALL)
    assert found.value == pytest.approx(part.values[Rate.RECALL] - whole.values[Rate.RECALL])
    assert found.n == 198
    single = whole.interval(Rate.RECALL)
    assert found.high - found.low < 0.2 * (single.high - single.low)


def test_a_gap_from_nothing_is_undefined():
    nothing = Bootstrapped(np.zeros(4, dtype=bool), None)
    whole = bootstrapped(np.ones(4, dtype=bool), np.ones(4, bool), np.ones(4, bool), np.ones((5, 4)))
    assert gap(nothing, whole, Rate.RECALL) == Interval(None, None, None, 0)


def test_the_standard_errors_are_those_of_simulated_rows():
    rng = np.random.default_rng(1)
    seen = (rng.random((4000, 40)) < 0.3).mean(axis=1)
    assert standard_error(Rate.RECALL, 0.3, 40, 7) == pytest.approx(seen.std(), rel=0.05)
    assert standard_error(Rate.FALSE_POSITIVE, 0.3, 7, 40) == pytest.approx(seen.std(), rel=0.05)
    positives = np.arange(70) < 20
    areas = []
    for _ in range(1500):
        scores = rng.exponential(1.0, 70) * np.where(positives, 3.0, 1.0)  # an area of 3 / 4
        areas.append(Separation(scores, positives).at()[Metric.ROC_AUC])
    assert np.mean(areas) == pytest.approx(0.75, abs=0.01)
    assert standard_error(Metric.ROC_AUC, 0.75, 20, 50) == pytest.approx(np.std(areas), rel=0.1)
    assert standard_error(Metric.ROC_AUC, 0.75, 0, 50) == 0.0


def test_rows_that_all_agree_are_not_clear_while_they_are_few():
    agreed, reference_rate = Interval(-0.05, -0.05, -0.05, 12), Interval(0.05, 0.03, 0.07, 1000)
    assert not is_clear(Rate.FALSE_POSITIVE, agreed, reference_rate, 0, 12)
    assert is_clear(Rate.FALSE_POSITIVE, agreed, reference_rate, 0, 200)
    assert not is_clear(Rate.FALSE_POSITIVE, Interval(0.1, -0.01, 0.2, 99), reference_rate, 0, 99)
    assert not is_clear(Rate.FALSE_POSITIVE, Interval(0.1, None, None, 99), reference_rate, 0, 99)
