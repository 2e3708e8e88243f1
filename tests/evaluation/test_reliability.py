"""The calibration error of calibrated scores lies in the band, and that of others does not."""

from __future__ import annotations

import numpy as np
import pytest

from modwright.evaluation.binary import LabelStatistics, Metric, Sample
from modwright.evaluation.calibration import sigmoid
from modwright.evaluation.reliability import _drawn, drawn_errors, ece_band


def drawn(seed, n=400, slope=1.0):
    """Scores, and labels whose probability is sigmoid(slope * logit(score))."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 1.5, n)
    labels = (rng.random(n) < sigmoid(slope * z)).astype(float)
    return Sample(sigmoid(z), labels, labels > 0.5, None)


def within(sample):
    return LabelStatistics(sample).at()[Metric.ECE] <= ece_band(sample.scores)


def test_the_errors_of_drawn_labels_are_those_of_the_metrics():
    scores = np.round(drawn(1, 150).scores, 2)
    order = np.argsort(-scores, kind="stable")
    ((*_, labels),) = _drawn(scores[order], 5, 7)
    back = np.empty(len(scores))
    back[order] = labels
    expected = LabelStatistics(Sample(scores, back, back > 0.5, None)).at()[Metric.ECE]
    assert drawn_errors(scores, 5, 7)[-1] == pytest.approx(expected, abs=1e-12)


def test_calibrated_scores_lie_within_the_band_as_often_as_it_says():
    assert 0.87 < np.mean([within(drawn(seed, 300)) for seed in range(120)]) <= 1.0
    assert not any(within(drawn(seed, 2_000, slope=0.4)) for seed in range(5))


def test_the_band_narrows_with_rows():
    bands = [ece_band(drawn(3, n).scores, 300) for n in (100, 1_000, 10_000)]
    assert bands[0] > 2 * bands[1] > 4 * bands[2] > 0


def test_without_resamples_worth_the_name():
    assert ece_band(drawn(6, 50).scores, 20) > 0
    assert drawn_errors(np.full(10, 1.0), 20).max() == 0
