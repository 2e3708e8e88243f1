"""The cap is the notebook's filter: the same rows from any table, whatever saturates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modwright.data.columnar import pl
from modwright.data.curate.balance import Cap
from modwright.data.curate.part import MemoryStore, Part
from modwright.data.curate.steps import Context
from modwright.errors import UsageError
from modwright.schema import Schema, Target, TargetKind


def filter_dataset(samples, zero_flags_percentage=0.1, max_percentage=0.2):
    """The rule as the notebook states it, row by row, without the shuffle at its end."""
    zero_flags_samples = []
    non_zero_flags_samples = []
    label_counts = {key: 0 for key in samples[0] if key != "text"}
    for example in samples:
        if not any(example[key] for key in example if key != "text"):
            zero_flags_samples.append(example)
        else:
            non_zero_flags_samples.append(example)
    total_samples = len(non_zero_flags_samples) / (1 - zero_flags_percentage)
    desired_zero_flags = int(total_samples * zero_flags_percentage)
    desired_non_zero_flags = int(total_samples * (1 - zero_flags_percentage))
    zero_flags_samples = zero_flags_samples[:desired_zero_flags]
    filtered_samples = []
    for example in non_zero_flags_samples[:desired_non_zero_flags]:
        add_sample = True
        for key in label_counts:
            if example[key] and (label_counts[key] + 1) / desired_non_zero_flags > max_percentage:
                add_sample = False
                break
        if add_sample:
            filtered_samples.append(example)
            for key in label_counts:
                if example[key]:
                    label_counts[key] += 1
    filtered_samples += zero_flags_samples
    return filtered_samples


@st.composite
def tables(draw):
    """Tables of many shapes; most have several labels that fill up, some none, some only unflagged rows."""
    number = draw(st.integers(1, 400))
    width = draw(st.integers(1, 12))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    rates = random.random(width) * draw(st.sampled_from([0.0, 0.05, 0.3, 0.6, 1.0]))
    table = random.random((number, width)) < rates
    if draw(st.booleans()):  # long runs of one label first, so that labels fill up one after the other
        table = table[np.lexsort(table.T)]
    return table


SHARES = st.one_of(
    st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0]), st.floats(0, 1, allow_subnormal=False)
)


def context(width, negative=()):
    labels = tuple(f"l{place}" for place in range(width))
    schema = Schema((Target("moderation", TargetKind.MULTI_LABEL, labels, negative),))
    return Context(schema, np.random.default_rng(0))


def part_of(table):
    frame = pl.DataFrame({"text": [str(row) for row in range(len(table))]})
    return Part(
        MemoryStore(frame), np.arange(len(table)), np.asarray(table, dtype=np.float64), np.ones(len(table))
    )


def both(table, zero_share, max_share):
    samples = [
        {"text": row, **{f"l{c}": bool(v) for c, v in enumerate(line)}} for row, line in enumerate(table)
    ]
    expected = sorted(sample["text"] for sample in filter_dataset(samples, zero_share, max_share))
    choice = Cap(zero_share, max_share).choose(part_of(table), context(table.shape[1]))
    return choice, expected


@settings(max_examples=1500)
@given(tables(), SHARES.filter(lambda share: share < 1), SHARES)
def test_it_keeps_what_the_notebook_keeps(table, zero_share, max_share):
    choice, expected = both(table, zero_share, max_share)
    assert choice.kept.tolist() == expected
    assert sum(choice.why.values()) == len(table) - len(expected)


@settings(max_examples=500)
@given(tables())
def test_with_the_notebooks_own_shares(table):
    choice, expected = both(table, 0.1, 0.2)
    assert choice.kept.tolist() == expected


def test_labels_fill_up_one_after_the_other_across_blocks(monkeypatch):
    monkeypatch.setattr("modwright.data.curate.balance._BLOCK_ROWS", 7)
    random = np.random.default_rng(3)
    table = random.random((600, 9)) < np.linspace(0.05, 0.6, 9)
    choice, expected = both(table, 0.1, 0.2)
    assert choice.kept.tolist() == expected
    assert len([reason for reason in choice.why if reason.endswith("is full")]) >= 4


def test_unknown_labels_do_not_flag_and_negative_ones_neither():
    table = np.array([[np.nan, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, np.nan, 0.0]])
    choice = Cap(0.0, 1.0).choose(part_of(table), context(3, ("l2",)))
    assert choice.kept.tolist() == [1, 2]
    assert choice.why == {"no label holds": 1}


def test_one_target_of_several_counts():
    schema = Schema(
        (
            Target("a", TargetKind.MULTI_LABEL, ("x",)),
            Target("b", TargetKind.MULTI_LABEL, ("y",)),
        )
    )
    table = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    choice = Cap(0.0, 1.0, target="b").choose(part_of(table), Context(schema, np.random.default_rng(0)))
    assert choice.kept.tolist() == [1, 2]


@pytest.mark.parametrize("shares", [(1.0, 0.2), (-0.1, 0.2), (0.1, 1.1)])
def test_shares_are_shares(shares):
    with pytest.raises(UsageError, match=r"expected shares in 0\.\.1"):
        Cap(*shares)
