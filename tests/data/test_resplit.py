"""What a split held together stays together: in folds, in intervals, and when its parts are split again."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modwright.data.assemble import context_groups
from modwright.data.checks import check_dataset
from modwright.data.dataset import groups, make_dataset
from modwright.data.resplit import resplit
from modwright.data.tables import MESSAGES_TYPE
from modwright.errors import DataError
from modwright.schema import Schema, Target, TargetKind

SCHEMA = Schema((Target.create("m", TargetKind.MULTI_LABEL, ["insult"]),))


def dataset_of(authors, texts=None):
    """Return a dataset whose rows have authors, and texts of their own where none are given."""
    number = len(authors)
    texts = texts or [f"goose number {row} by the river" for row in range(number)]
    frame = pl.DataFrame(
        {
            "id": [f"r{row}" for row in range(number)],
            "text": texts,
            "messages": pl.Series([None] * number, dtype=MESSAGES_TYPE),
            "weight": [1.0] * number,
            "group": pl.Series([None] * number, dtype=pl.String),
            "source": [f"rows.csv:{row + 2}" for row in range(number)],
            "m/insult": [float(row % 3 == 0) for row in range(number)],
            "author": authors,
        }
    )
    return make_dataset(SCHEMA, {"train": frame}, {})


@given(
    authors=st.lists(st.sampled_from("abcdefgh"), min_size=30, max_size=60).filter(lambda a: len(set(a)) > 5),
    seed=st.integers(0, 99),
)
def test_rows_of_one_author_stay_together_after_the_split(authors, seed):
    parts = resplit(dataset_of(authors), {"train": 0.7, "test": 0.3}, seed, "author")
    again = resplit(parts, {"train": 0.5, "validation": 0.5}, seed + 1)
    where = {}
    for name, frame in again.splits.items():
        for author, key in zip(frame["author"], groups(frame), strict=True):
            where.setdefault(author, set()).add((name, key))
    assert all(len(found) == 1 for found in where.values()), "one part and one key each"
    assert len({key for found in where.values() for _, key in found}) == len(where), (
        "no two authors share one"
    )


def test_near_duplicates_share_a_group_after_the_split():
    words = "the quiet goose went along the green river with a small letter again and again until morning"
    texts = [f"{words} {number}" for number in (1, 1, 2)] + [
        " ".join(chr(97 + number) * length for length in (5, 6, 7)) for number in range(20)
    ]
    parts = resplit(dataset_of(["x"] * 23, texts), {"train": 0.6, "test": 0.4}, 3, near=0.8)
    (frame,) = [frame for frame in parts.splits.values() if "r0" in frame["id"].to_list()]
    keys = dict(zip(frame["id"], groups(frame), strict=True))
    assert keys["r0"] == keys["r1"] == keys["r2"]
    alone = [frame["group"].null_count() for frame in parts.splits.values()]
    assert sum(alone) == 20, "what nothing was joined with keeps its own key"


def test_without_more_than_content_nothing_is_written():
    before = dataset_of(["x"] * 20)
    parts = resplit(before, {"train": 0.5, "test": 0.5}, 0)
    assert all(frame["group"].null_count() == len(frame) for frame in parts.splits.values())
    assert np.sort(
        np.concatenate([frame["id"].to_numpy() for frame in parts.splits.values()])
    ).tolist() == sorted(before.splits["train"]["id"].to_list())


def test_prompts_that_a_kept_split_shares_are_still_found_after_a_split_by_author():
    turns = [
        [{"role": "user", "content": f"prompt {row % 10}"}, {"role": "assistant", "content": f"answer {row}"}]
        for row in range(60)
    ]
    before = dataset_of(list("abcdef") * 10)
    messages = pl.Series(turns, dtype=MESSAGES_TYPE)
    frame = before.splits["train"].with_columns(
        text=pl.lit(None, dtype=pl.String), messages=messages, group=context_groups(messages)
    )
    whole = make_dataset(SCHEMA, {"train": frame[:50], "validation": frame[50:]}, {})

    def shared(dataset):
        return sum(one.rows for one in check_dataset(dataset, near=False) if one.code == "context_across")

    assert shared(whole) == 10
    regrouped = frame[:50].with_columns(group=pl.lit("authors together"))
    assert shared(make_dataset(SCHEMA, {"train": regrouped, "validation": frame[50:]}, {})) == 10


def test_a_blank_value_holds_nothing_together():
    parts = resplit(dataset_of([""] * 20), {"train": 0.5, "test": 0.5}, 0, "author")
    assert all(frame["group"].null_count() == len(frame) for frame in parts.splits.values())


def test_a_split_without_rows_is_refused():
    empty = make_dataset(SCHEMA, {"train": dataset_of(["x"] * 3).splits["train"].clear()}, {})
    with pytest.raises(DataError, match="found no row"):
        resplit(empty, {"train": 0.5, "test": 0.5}, 0)
