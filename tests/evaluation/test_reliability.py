"""The calibration error of calibrated scores lies in the band, and that of others does not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from modwright.errors import UsageError
from modwright.evaluation.binary import LabelStatistics, Metric, Sample
from modwright.evaluation.calibration import sigmoid
from modwright.evaluation.reliability import _drawn, drawn_errors, ece_band, reliability


def drawn(seed, n=400, slope=1.0):
    """Scores, and labels whose probability is sigmoid(slope * logit(score))."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 1.5, n)
    labels = (rng.random(n) < sigmoid(slope * z)).astype(float)
    return Sample(sigmoid(z), labels, labels > 0.5, None)


def test_the_errors_of_drawn_labels_are_those_of_the_metrics():
    scores = np.round(drawn(1, 150).scores, 2)
    order = np.argsort(-scores, kind="stable")
    ((*_, labels),) = _drawn(scores[order], 5, 7)
    back = np.empty(len(scores))
    back[order] = labels
    expected = LabelStatistics(Sample(scores, back, back > 0.5, None)).at()[Metric.ECE]
    assert drawn_errors(scores, 5, 7)[-1] == pytest.approx(expected, abs=1e-12)


def test_calibrated_scores_lie_within_the_band_as_often_as_it_says():
    inside = [reliability(drawn(seed, 300), resamples=0).within for seed in range(120)]
    assert 0.87 < np.mean(inside) <= 1.0
    assert not any(reliability(drawn(seed, 2_000, slope=0.4), resamples=0).within for seed in range(5))


def test_the_band_narrows_with_rows():
    bands = [ece_band(drawn(3, n).scores, 300) for n in (100, 1_000, 10_000)]
    assert bands[0] > 2 * bands[1] > 4 * bands[2] > 0


def test_losses_are_scikit_learns_and_intervals_hold_them():
    sample = drawn(4)
    found = reliability(sample, resamples=200)
    assert found.brier.value == pytest.approx(brier_score_loss(sample.labels, sample.scores))
    assert found.log_loss.value == pytest.approx(log_loss(sample.labels, sample.scores))
    for interval in (found.brier, found.log_loss):
        assert interval.low < interval.value < interval.high
    assert found.ece.low <= found.ece.value <= found.ece.high
    assert sum(one.rows for one in found.bins) == 400
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert data["within"] is True
    assert data["ece"]["n"] == 400


def test_groups_widen_the_intervals():
    sample = drawn(5, 100)
    many = Sample(*(np.tile(part, 4) for part in (sample.scores, sample.labels, sample.positives)), None)
    groups = [str(row % 100) for row in range(400)]
    alone, together = reliability(many, resamples=200), reliability(many, groups, resamples=200)
    assert together.brier.high - together.brier.low > 1.5 * (alone.brier.high - alone.brier.low)


def test_without_rows_or_resamples():
    empty = np.zeros(0)
    with pytest.raises(UsageError, match="no rows"):
        reliability(Sample(empty, empty, empty > 0, None))
    found = reliability(drawn(6, 50), resamples=0)
    assert found.ece.low is None
    assert found.band > 0
    assert drawn_errors(np.full(10, 1.0), 20).max() == 0
