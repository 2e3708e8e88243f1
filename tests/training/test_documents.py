"""Which window of a long document carries its label: against loops written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modwright.models.windows import SingleLabelRule
from modwright.schema import Target, TargetKind
from modwright.training.documents import Documents

MULTI = Target.create("m", TargetKind.MULTI_LABEL, ["insult", "safe"])
SINGLE = Target.create("s", TargetKind.SINGLE_LABEL, ["safe", "rude", "spam"])
counts_of = st.lists(st.integers(1, 4), min_size=1, max_size=5)


def drawn(counts, target, seed):
    """Return documents, truth with unknown cells, and the logits of two fits on a grid, with ties."""
    rng = np.random.default_rng(seed)
    n, windows, labels = len(counts), sum(counts), len(target.labels)
    documents = Documents.of(np.cumsum([0, *counts[:-1]]), windows, rng.integers(1, 4, n).astype(float))
    if target.kind is TargetKind.SINGLE_LABEL:
        truth = np.eye(labels)[rng.integers(0, labels, n)]
        truth[rng.random(n) < 0.2] = np.nan
    else:
        truth = rng.choice([0.0, 0.4, 0.8, 1.0, np.nan], size=(n, labels))
    return documents, truth, rng.integers(-2, 3, size=(windows, 2 * labels)).astype(float)


@settings(deadline=None)
@given(counts=counts_of, seed=st.integers(0, 9999))
def test_a_documents_weight_is_shared_by_its_windows(counts, seed):
    documents, truth, _ = drawn(counts, MULTI, seed)
    spread, weight = documents.spread(truth)
    row = 0
    for n, count in enumerate(counts):
        for _ in range(count):
            for label in range(2):
                known = not np.isnan(truth[n, label])
                assert spread[row, label] == (truth[n, label] if known else 0.0)
                assert weight[row, label] == pytest.approx(documents.weights[n] / count if known else 0.0)
            row += 1
    assert documents.has_long is (max(counts) > 1)
    assert (weight <= documents.row_weights[:, None]).all()


@settings(deadline=None)
@given(counts=counts_of, seed=st.integers(0, 9999))
def test_a_label_rests_on_the_window_that_says_most_for_it_and_harmlessness_on_the_one_against(counts, seed):
    documents, truth, logits = drawn(counts, MULTI, seed)
    weight = np.tile(documents.spread(truth)[1], 2)
    weight[:, :2] *= np.repeat(np.arange(len(counts)) % 2 == 0, counts)[:, None]  # fit 0 sees even documents
    found = documents.focus(MULTI, truth, weight, logits, SingleLabelRule.WORST)
    for n, (start, count) in enumerate(zip(documents.starts, counts, strict=True)):
        for column in range(4):
            label = column % 2
            own = weight[start : start + count, column]
            expected = own.copy()
            negative = MULTI.labels[label] == "safe"
            if not np.isnan(truth[n, label]) and bool(truth[n, label] > 0.5) is not negative:
                own_logits = logits[start : start + count, column]
                best = int(np.argmin(own_logits) if negative else np.argmax(own_logits))
                expected = np.where(np.arange(count) == best, documents.weights[n] * (own > 0), 0.0)
            assert np.allclose(found[start : start + count, column], expected)


@settings(deadline=None)
@given(counts=counts_of, seed=st.integers(0, 9999))
def test_a_single_label_rests_on_the_window_where_it_is_most_probable(counts, seed):
    documents, truth, logits = drawn(counts, SINGLE, seed)
    logits += np.random.default_rng(seed).random(logits.shape)  # ties would rest on rounding
    weight = np.tile(documents.spread(truth)[1], 2)
    found = documents.focus(SINGLE, truth, weight, logits, SingleLabelRule.WORST)
    for n, (start, count) in enumerate(zip(documents.starts, counts, strict=True)):
        rows = slice(start, start + count)
        for fit in range(2):
            columns = slice(fit * 3, fit * 3 + 3)
            own = logits[rows, columns]
            p = np.exp(own) / np.exp(own).sum(axis=1, keepdims=True)
            expected = weight[rows, columns]
            if truth[n, 1:].max(initial=0) > 0.5:
                best = int(np.argmax(p[:, truth[n].argmax()]))
                expected = np.zeros((count, 3))
                expected[best] = documents.weights[n]
            assert np.allclose(found[rows, columns], expected)


@pytest.mark.parametrize(
    ("target", "rule"),
    [
        (SINGLE, SingleLabelRule.MEAN),
        (Target.create("n", TargetKind.SINGLE_LABEL, ["a", "b"]), SingleLabelRule.WORST),
    ],
)
def test_single_labels_that_are_averaged_stay_on_every_window(target, rule):
    documents, truth, logits = drawn([3, 1, 2], target, 4)
    weight = np.tile(documents.spread(truth)[1], 2)
    assert np.array_equal(documents.focus(target, truth, weight, logits, rule), weight)
