"""Splits and folds: every row once, groups whole, deterministic, even, and every label seen in training."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modwright.data.split import folds, merge_groups, split_groups
from modwright.errors import DataError, UsageError

FRACTIONS = st.sampled_from(
    [{"train": 0.8, "test": 0.2}, {"train": 0.7, "validation": 0.1, "test": 0.2}, {"test": 0.9, "train": 0.1}]
)


@st.composite
def grouped(draw, largest=8):
    number = draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    owners = rng.integers(0, max(1, number // draw(st.integers(1, largest))), number)
    labels = (rng.random((number, draw(st.integers(0, 4)))) < draw(st.sampled_from([0.02, 0.3, 0.9]))).astype(
        float
    )
    labels[rng.random(labels.shape) < 0.1] = np.nan
    return [f"g{owner}" for owner in owners], labels


@given(grouped(), FRACTIONS, st.integers(0, 5))
def test_every_row_once_and_groups_whole(data, fractions, seed):
    groups, labels = data
    parts = split_groups(groups, labels, fractions, seed)
    assert list(parts) == list(fractions)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(groups)))
    owners = [{groups[row] for row in rows} for rows in parts.values()]
    assert sum(len(one) for one in owners) == len(set(groups))
    again = split_groups(groups, labels, fractions, seed)
    assert all(np.array_equal(parts[name], again[name]) for name in parts)


@given(grouped(), FRACTIONS)
def test_training_sees_every_label(data, fractions):
    groups, labels = data
    train = labels[split_groups(groups, labels, fractions, 0)["train"]]
    for whole, part in zip(labels.T, train.T, strict=True):
        assert (part > 0.5).any() == (whole > 0.5).any()
        assert (part <= 0.5).any() == (whole <= 0.5).any()


@given(st.integers(20, 400), st.integers(0, 3), st.floats(0.05, 0.95), FRACTIONS, st.integers(0, 3))
def test_single_rows_meet_the_fractions_and_spread_the_labels(number, width, rate, fractions, seed):
    labels = (np.random.default_rng(number).random((number, width)) < rate).astype(float)
    parts = split_groups([str(row) for row in range(number)], labels, fractions, seed)
    slack = 2 + 2 * width
    for name, share in fractions.items():
        assert abs(len(parts[name]) - share * number) <= slack
        for column in range(width):
            assert abs(labels[parts[name], column].sum() - share * labels[:, column].sum()) <= slack


@given(grouped(), st.integers(2, 5), st.integers(0, 3))
def test_folds_keep_groups_and_are_even(data, k, seed):
    groups, labels = data
    if len(set(groups)) < k:
        with pytest.raises(DataError, match="expected at least"):
            folds(groups, labels, k, seed)
        return
    number = folds(groups, labels, k, seed)
    assert number.shape == (len(groups),)
    assert len({(group, fold) for group, fold in zip(groups, number.tolist(), strict=True)}) == len(
        set(groups)
    )
    sizes = np.bincount(number, minlength=k)
    largest = max(groups.count(group) for group in set(groups))
    assert sizes.max() - sizes.min() <= largest + 2 * labels.shape[1] * largest + 1


def test_seeds_differ():
    groups, labels = [str(row) for row in range(200)], np.zeros((200, 1))
    one, two = (split_groups(groups, labels, {"train": 0.5, "test": 0.5}, seed)["train"] for seed in (0, 1))
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("fractions", [{}, {"train": 1.2, "test": -0.2}, {"train": 0.5, "test": 0.4}])
def test_fractions_must_make_sense(fractions):
    with pytest.raises(UsageError, match="shares above 0 that sum to 1"):
        split_groups(["a"], np.zeros((1, 1)), fractions, 0)


def test_groupings_join_transitively():
    keys = merge_groups(list("aabbcd"), list("uvvwxy"))
    assert keys[0] == keys[1] == keys[2] == keys[3]
    assert len({*keys}) == 3


def test_it_needs_no_polars():
    code = "import sys; sys.modules['polars'] = None; import modwright.data.split"
    subprocess.run([sys.executable, "-c", code], check=True)
