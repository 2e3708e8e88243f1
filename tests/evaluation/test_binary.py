"""Metrics of one label: each is scikit-learn's, for the rows as they are and for every resample."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from modwright.evaluation.binary import BINS, MIN_BIN_ROWS, LabelStatistics, Metric, Sample, equal_mass_bins
from modwright.evaluation.cuts import resampled_counts

LEVELS = [0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]


@st.composite
def samples(draw, soft=True):
    """Small samples with many ties, soft labels and any flags."""
    labels = st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0] if soft else [0.0, 1.0])
    row = st.tuples(st.sampled_from(LEVELS) | st.floats(0, 1), labels, st.booleans())
    scores, values, flagged = (
        np.array(part) for part in zip(*draw(st.lists(row, min_size=1, max_size=40)), strict=True)
    )
    return Sample(scores, values.astype(float), values > 0.5, flagged)


def expected(sample, counts):
    """What scikit-learn says of the rows, each repeated as often as it is counted; undefined ones are NaN."""
    scores, labels, positives, flagged = (
        np.repeat(values, counts)
        for values in (sample.scores, sample.labels, sample.positives, sample.flagged)
    )
    both = positives.any() and not positives.all()
    soft = np.concatenate([labels, 1 - labels])
    answers = np.repeat([1, 0], len(labels))
    nan = float("nan")
    return {
        Metric.F1: reference.f1_score(positives, flagged, zero_division=nan),
        Metric.PRECISION: reference.precision_score(positives, flagged, zero_division=nan),
        Metric.RECALL: reference.recall_score(positives, flagged, zero_division=nan),
        Metric.ROC_AUC: reference.roc_auc_score(positives, scores) if both else nan,
        Metric.AVERAGE_PRECISION: reference.average_precision_score(positives, scores)
        if positives.any()
        else nan,
        Metric.BRIER: np.mean((scores - labels) ** 2),
        # A soft label is a positive and a negative row that share its weight.
        Metric.LOG_LOSS: 2
        * reference.log_loss(answers, np.tile(scores, 2), sample_weight=soft, labels=[0, 1])
        * soft.sum()
        / len(soft),
        Metric.PREVALENCE: positives.mean(),
    }


def naive_squared_ece(sample, counts, bins):
    """Kumar et al. 2019, row by row: squared mean residual less its variance, per bin."""
    total, noise = 0.0, 0.0
    for number in range(bins.max() + 1):
        inside = bins == number
        residual = np.repeat((sample.labels - sample.scores)[inside], counts[inside])
        if len(residual) > 1:
            share = len(residual) / counts.sum()
            total += share * (residual.mean() ** 2 - residual.var(ddof=1) / len(residual))
            noise += share * residual.var(ddof=1) / len(residual)
    return total, noise


@settings(max_examples=200, deadline=None)
@given(samples())
def test_every_metric_is_scikit_learns(sample):
    found = LabelStatistics(sample).at()
    for metric, value in expected(sample, np.ones(len(sample.scores), int)).items():
        assert found[metric] == pytest.approx(value, nan_ok=True, abs=1e-12), metric


@settings(max_examples=30, deadline=None)
@given(samples(), st.integers(0, 9))
def test_the_bootstrap_is_a_naive_loop(sample, seed):
    counts = resampled_counts(np.random.default_rng(seed), len(sample.scores), 8)
    statistics = LabelStatistics(sample)
    found = statistics.resampled(counts)
    bins = equal_mass_bins(sample.scores)
    _, known_noise = naive_squared_ece(sample, np.ones(len(bins), int), bins)
    for i, count in enumerate(counts.astype(int)):
        for metric, value in expected(sample, count).items():
            assert found[metric][i] == pytest.approx(value, nan_ok=True, abs=1e-12), metric
        if len(bins) > 1:
            squared = naive_squared_ece(sample, count, bins)[0] - known_noise
            if not np.isnan(found[Metric.ECE][i]):
                assert found[Metric.ECE][i] ** 2 == pytest.approx(max(squared, 0.0), abs=1e-12)


def test_a_label_that_is_never_flagged_has_no_f1():
    found = LabelStatistics(
        Sample(np.array([0.2, 0.8]), np.array([0.0, 1.0]), np.array([False, True]), None)
    ).at()
    assert np.isnan([found[metric] for metric in (Metric.F1, Metric.PRECISION, Metric.RECALL)]).all()
    assert found[Metric.ROC_AUC] == 1.0


def drawn(rng, n, distort=lambda p: p):
    """Labels drawn from the true probability, scores distorted."""
    truth = rng.beta(1, 3, n)
    labels = (rng.random(n) < truth).astype(float)
    return Sample(distort(truth), labels, labels > 0.5, labels > 0.5)


def test_the_calibration_error_is_debiased():
    rng = np.random.default_rng(1)
    squares, plain = [], []
    for _ in range(300):
        sample = drawn(rng, 200)
        bins = equal_mass_bins(sample.scores)
        squared, noise = naive_squared_ece(sample, np.ones(200, int), bins)
        squares.append(squared)
        plain.append(squared + noise)
    assert np.mean(plain) > 1e-3  # what a perfectly calibrated model would be charged with
    assert abs(np.mean(squares)) < 2e-4


def test_the_calibration_error_of_a_shifted_score_is_the_shift():
    sample = drawn(np.random.default_rng(2), 100_000, lambda p: p * 0.8 + 0.1)
    bins = equal_mass_bins(sample.scores)
    truth = (sample.scores - 0.1) / 0.8
    true_error = np.sqrt(np.mean([(truth - sample.scores)[bins == b].mean() ** 2 for b in range(BINS)]))
    assert LabelStatistics(sample).at()[Metric.ECE] == pytest.approx(true_error, abs=0.004)


def test_the_interval_of_the_calibration_error_covers_the_truth():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(150):
        sample = drawn(rng, 300, lambda p: np.full(len(p), 0.4))
        counts = resampled_counts(rng, 300, 200)
        low, high = np.quantile(LabelStatistics(sample).resampled(counts)[Metric.ECE], [0.025, 0.975])
        covered += low <= 0.15 <= high
    assert covered >= 132  # 143 expected


@given(st.lists(st.sampled_from(LEVELS) | st.floats(0, 1), min_size=1, max_size=300))
def test_bins_hold_equal_mass_keep_ties_together_and_do_not_depend_on_order(values):
    scores = np.array(values)
    bins = equal_mass_bins(scores)
    order = np.argsort(scores, kind="stable")
    assert (np.diff(bins[order]) >= 0).all()
    assert set(bins) == set(range(bins.max() + 1))
    assert bins.max() < BINS
    assert np.array_equal(equal_mass_bins(scores[::-1]), bins[::-1])
    for value in set(values):
        assert len(set(bins[scores == value])) == 1
    if bins.max():
        assert min(np.bincount(bins)) >= min(MIN_BIN_ROWS, len(values) / BINS) / 2


def test_a_thousand_resamples_of_two_thousand_rows_take_about_a_second():
    sample = drawn(np.random.default_rng(4), 2_000)
    counts = resampled_counts(np.random.default_rng(5), 2_000, 1_000)
    begin = time.process_time()
    LabelStatistics(sample).resampled(counts)
    assert time.process_time() - begin < 3.0  # .2 s on an idle core
