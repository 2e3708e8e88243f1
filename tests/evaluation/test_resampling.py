"""The bootstrap: seeded, by rows or by groups, in chunks of bounded size."""

from __future__ import annotations

import numpy as np
import pytest

from modwright.errors import UsageError
from modwright.evaluation import resampling
from modwright.evaluation.resampling import Interval, Resampler


def gathered(resampler):
    return np.concatenate(list(resampler.counts()))


def test_rows_are_drawn_as_often_as_there_are_rows():
    counts = gathered(Resampler(20, resamples=50))
    assert counts.shape == (50, 20)
    assert (counts.sum(axis=1) == 20).all()


def test_rows_of_a_group_are_drawn_together():
    groups = ["b", "a", "b", "c", "a", "b"]
    resampler = Resampler(6, groups, resamples=40)
    counts = gathered(resampler)
    assert resampler.units == 3
    for name in "abc":
        members = counts[:, [i for i, group in enumerate(groups) if group == name]]
        assert (members == members[:, :1]).all()
    assert (counts[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_the_seed_decides(monkeypatch):
    counts = gathered(Resampler(30, resamples=20, seed=1))
    assert np.array_equal(counts, gathered(Resampler(30, resamples=20, seed=1)))
    assert not np.array_equal(counts, gathered(Resampler(30, resamples=20, seed=2)))
    monkeypatch.setattr(resampling, "_CHUNK_COUNTS", 100)
    chunks = list(Resampler(30, resamples=20, seed=1).counts())
    assert max(len(chunk) for chunk in chunks) == 3
    assert np.array_equal(counts, np.concatenate(chunks))


def test_wrong_groups_and_resamples_are_refused():
    with pytest.raises(UsageError, match="2 groups for 3 rows"):
        Resampler(3, ["a", "b"])
    with pytest.raises(UsageError, match="resamples is -1"):
        Resampler(3, resamples=-1)


def test_an_interval_holds_the_middle_ninety_five_percent():
    interval = Interval.of(0.5, np.arange(1001) / 1000, 7)
    assert (interval.low, interval.high) == pytest.approx((0.025, 0.975))
    assert interval.to_json() == {"value": 0.5, "low": interval.low, "high": interval.high, "n": 7}


def test_undefined_is_none_never_nan():
    assert Interval.of(np.nan, np.ones(10), 3) == Interval(None, None, None, 3)
    assert Interval.of(0.5, np.full(10, np.nan), 3) == Interval(0.5, None, None, 3)
    assert Interval.of(0.5, np.array([0.5, np.nan, np.nan]), 3) == Interval(0.5, None, None, 3)
    assert Interval.of(0.5, np.zeros(0), 3) == Interval(0.5, None, None, 3)


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        values = rng.random(80)
        counts = gathered(Resampler(80, resamples=200, seed=seed))
        interval = Interval.of(values.mean(), counts @ values / 80, 80)
        covered += interval.low <= 0.5 <= interval.high
    assert 0.90 <= covered / 300 <= 0.98
