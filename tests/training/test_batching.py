"""Batches: every item once, in an order that seed and epoch decide alone, within the token budget."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modwright.training.batching import (
    epoch_steps,
    micro_batches,
    padded_tokens,
    parts_of_rank,
    steps_per_epoch,
)

LENGTHS = st.lists(st.integers(0, 300), min_size=1, max_size=200).map(lambda v: np.array(v, dtype=np.int64))
SMALL = st.integers(1, 20)


@given(LENGTHS, SMALL, SMALL, st.integers(0, 2**32 - 1), st.integers(0, 50))
def test_every_item_is_in_exactly_one_step_of_an_epoch(lengths, rows, pool, seed, epoch):
    steps = epoch_steps(lengths, rows=rows, pool=pool, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(steps).tolist()) == list(range(len(lengths)))
    assert len(steps) == steps_per_epoch(len(lengths), rows)
    sizes = sorted(len(step) for step in steps)
    assert sizes[1:] == [rows] * (len(steps) - 1)
    assert 1 <= sizes[0] <= rows


@given(LENGTHS, SMALL, SMALL, st.integers(0, 2**32 - 1))
def test_seed_and_epoch_decide_the_order(lengths, rows, pool, seed):
    once, again = (epoch_steps(lengths, rows=rows, pool=pool, seed=seed, epoch=3) for _ in range(2))
    assert [step.tolist() for step in once] == [step.tolist() for step in again]


def test_another_epoch_or_seed_is_another_order():
    lengths = np.arange(64)
    orders = {
        tuple(np.concatenate(epoch_steps(lengths, rows=4, pool=2, seed=seed, epoch=epoch)).tolist())
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_sorting_within_pools_saves_padding():
    lengths = np.random.default_rng(0).integers(5, 200, 640)

    def padded(pool):
        return sum(
            padded_tokens(step, lengths) for step in epoch_steps(lengths, rows=16, pool=pool, seed=1, epoch=0)
        )

    assert padded(40) < 1.1 * lengths.sum() < 1.4 * lengths.sum() < padded(1)


@given(LENGTHS, st.integers(1, 2000))
def test_parts_hold_the_token_budget_or_one_item(lengths, most):
    items = np.arange(len(lengths))
    parts = micro_batches(items, lengths, most)
    assert sorted(np.concatenate(parts).tolist()) == items.tolist()
    assert all(len(part) == 1 or padded_tokens(part, lengths) <= most for part in parts)
    longest = [int(lengths[part].max()) for part in parts]
    assert longest == sorted(longest, reverse=True)


@given(LENGTHS, st.integers(1, 2000), st.integers(1, 5))
def test_processes_share_a_step_and_all_compute_equally_often(lengths, most, world):
    items = np.arange(len(lengths))
    shares = [parts_of_rank(items, lengths, most, rank=rank, world=world) for rank in range(world)]
    assert len({len(parts) for parts in shares}) == 1
    counted = [part.items for parts in shares for part in parts if part.counts]
    assert sorted(np.concatenate(counted).tolist()) == items.tolist()
    every = [part.items for parts in shares for part in parts]
    assert all(len(part) for part in every)
    assert all(len(part) == 1 or padded_tokens(part, lengths) <= most for part in every)
