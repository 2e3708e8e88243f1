"""Curves: their points are scikit-learn's, and the bins say what the labels say."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from modwright.evaluation.binary import Sample
from modwright.evaluation.curves import curves, wilson


def sample(n=300, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 40, n) / 40
    positives = rng.random(n) < scores
    return Sample(scores, positives.astype(float), positives, None)


def test_roc_is_scikit_learns():
    drawn = sample()
    false, true, _ = reference.roc_curve(drawn.positives, drawn.scores, drop_intermediate=False)
    assert curves(drawn).roc == pytest.approx(np.stack([false, true], axis=1))


def test_pr_is_scikit_learns_without_its_added_end():
    drawn = sample()
    precision, recall, _ = reference.precision_recall_curve(drawn.positives, drawn.scores)
    assert curves(drawn).pr == pytest.approx(np.stack([recall, precision], axis=1)[::-1][1:])


def test_bins_average_scores_and_labels():
    drawn = sample()
    bins = curves(drawn).bins
    assert sum(found.rows for found in bins) == 300
    assert sum(found.rate * found.rows for found in bins) == pytest.approx(drawn.labels.sum())
    assert [found.score for found in bins] == sorted(found.score for found in bins)
    assert all(found.low <= found.rate <= found.high for found in bins)


def test_without_both_classes_there_is_no_roc():
    nothing = curves(Sample(np.array([0.2, 0.4]), np.zeros(2), np.zeros(2, bool), None))
    assert nothing.roc is None
    assert nothing.pr is None
    assert len(nothing.bins) == 1
    assert curves(Sample(np.array([0.2]), np.ones(1), np.ones(1, bool), None)).pr.tolist() == [[1.0, 1.0]]


def test_wilson_is_the_known_interval():
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
