"""A dataset in numbers: the counts are those of a slow count, row by row, and the pictures and the page hold them."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modwright.data.columnar import pl
from modwright.data.dataset import make_dataset
from modwright.data.describe import describe
from modwright.data.describe.page import describe_page
from modwright.data.describe.pictures import draw_pictures
from modwright.data.describe.shares import (
    MOST_BARS,
    NO_FLAGS,
    category_slices,
    flag_slices,
    label_bars,
    label_colours,
)
from modwright.data.tables import MESSAGES_TYPE
from modwright.schema import Schema, Target, TargetKind

HOSTILE = "<b onmouseover=x>$\\frac$ \u202eb</b>"
VALUE = st.sampled_from([0.0, 0.3, 0.7, 1.0, None])


def dataset(values, labels, splits=("train",), kind=TargetKind.MULTI_LABEL, negative=(), name="t"):
    """Return a dataset whose every split holds the rows of `values`."""
    frame = pl.DataFrame({"id": [str(row) for row in range(len(values))]}, schema={"id": pl.String})
    frame = frame.with_columns(
        text=pl.lit("a silly goose ") + pl.col("id"),
        messages=pl.lit(None, dtype=MESSAGES_TYPE),
        weight=pl.lit(1.0),
        group=pl.lit(None, dtype=pl.String),
        source=pl.lit("f:1"),
    )
    columns = [
        pl.Series(f"{name}/{label}", [row[place] for row in values], dtype=pl.Float64)
        for place, label in enumerate(labels)
    ]
    schema = Schema((Target(name, kind, tuple(labels), tuple(negative)),))
    return make_dataset(schema, {split: frame.with_columns(columns) for split in splits}, {})


@settings(max_examples=60)
@given(st.lists(st.tuples(VALUE, VALUE, VALUE), max_size=12))
def test_counts_are_those_of_a_slow_count(values):
    found = describe(dataset(values, ("a", "b", "safe"), negative=("safe",)))
    counts = found.splits[0].targets[0]
    for place, label in enumerate(counts.labels):
        column = [row[place] for row in values]
        assert label.positives == sum(value is not None and value > 0.5 for value in column)
        assert label.unknown == column.count(None)
        assert label.positives + label.negatives + label.unknown == len(values)
    holds = [[value is not None and value > 0.5 for value in row] for row in values]
    assert counts.flagged == sum(row[0] or row[1] for row in holds)
    assert counts.unknown == sum(row == (None, None, None) for row in values)
    assert counts.flagged + counts.unflagged + counts.unknown == len(values)
    matrix = np.array(holds, dtype=int).reshape(-1, 3)
    assert np.array_equal(np.array(counts.together), matrix.T @ matrix)
    listed = sum(one.rows for one in counts.combinations) + counts.other_combinations[1]
    assert listed == len(values) - counts.unknown
    assert sum(found.splits[0].lengths[0].counts) == len(values)
    json.dumps(found.to_json(), allow_nan=False)


def test_rows_of_which_nothing_is_known_are_no_combination():
    values = [(1.0, 0.0), (0.0, 0.0), (None, None), (None, None), (None, None)]
    found = describe(dataset(values, ("x", "y")))
    combinations = found.splits[0].targets[0].combinations
    assert [(one.labels, one.rows) for one in combinations] == [(("x",), 1), ((), 1)]
    html = describe_page("d", found, {})
    table = html[html.index("Combinations of labels") :]
    assert re.search(r"<em>none</em></td><td class=\"n\">1</td><td class=\"n\">50\u202f%", table)
    assert re.search(r"<em>unknown</em></td><td class=\"n\">3</td>", table)
    unknown = describe_page("d", describe(dataset([(None, None)], ("x", "y"))), {})
    assert "<em>none</em>" not in unknown


def test_tokens_of_a_base():
    def count(inputs):
        return np.array([len(turns[-1].content.split()) for turns in inputs])

    found = describe(dataset([(1.0,)] * 9, ("a",)), token_counts=count, base="words", max_tokens=3)
    tokens = found.splits[0].lengths[1]
    assert (tokens.unit, tokens.measured, tokens.mean, tokens.over) == ("tokens", 9, 4.0, 9)
    assert found.to_json()["base"] == "words"


def target_of(values, labels):
    return describe(dataset(values, labels)).splits[0].targets[0]


def test_small_slices_are_one():
    labels = [f"l{place}" for place in range(40)]
    values = [tuple(float(row % (place + 2) == 0) for place in range(40)) for row in range(1, 400)]
    target = target_of(values, labels)
    slices = category_slices(target, label_colours([target]))
    assert len(slices) <= 9
    assert slices[-1].name.endswith("other labels")
    assert sum(part.share for part in slices) == pytest.approx(1)
    assert sum(part.rows for part in slices) == target.unflagged + sum(
        label.positives for label in target.labels
    )


def test_a_label_has_one_colour_in_every_split():
    first = target_of([(1.0, 0.0)] * 5 + [(0.0, 1.0)], ("a", "b"))
    second = target_of([(0.0, 1.0)] * 5 + [(1.0, 0.0)], ("a", "b"))
    colours = label_colours([first, second])
    shown = [
        {part.name: part.colour for part in category_slices(target, colours)} for target in (first, second)
    ]
    assert shown[0]["a"] == shown[1]["a"] != shown[0]["b"]


def test_slices_and_bars_of_little():
    target = target_of([(0.0,), (None,)], ("a",))
    assert [part.name for part in category_slices(target, label_colours([target]))] == [NO_FLAGS]
    assert [part.name for part in flag_slices(target)] == ["Not flagged", "Unknown"]
    many = target_of([(1.0,) * (MOST_BARS + 3)], [f"l{place}" for place in range(MOST_BARS + 3)])
    bars, more = label_bars(many)
    assert (len(bars), more) == (MOST_BARS, 3)


@pytest.mark.parametrize(
    "labels", [("a",), tuple(f"l{place}" for place in range(40)), (HOSTILE, "x" * 300, "侮辱")]
)
@pytest.mark.parametrize("splits", [("train",), ("a", "b", "c", "d", "e")])
def test_pictures_are_drawn_of_any_shape(tmp_path, labels, splits):
    values = [tuple(float(row % (place + 2) == 0) for place in range(len(labels))) for row in range(50)]
    (path,) = draw_pictures(describe(dataset(values, labels, splits, name="t$_{x")), tmp_path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_pictures_of_no_rows(tmp_path):
    assert draw_pictures(describe(dataset([], ("a", "b"))), tmp_path)


def test_the_page_holds_the_counts_and_hostile_names_do_nothing():
    values = [(1.0, 0.0), (0.0, 1.0), (1.0, None), (0.0, 0.0)]
    found = describe(dataset(values, (HOSTILE, "b"), ("train", "test"), name="<i>"))
    html = describe_page("<script>", found, {"sources": [HOSTILE]})
    assert "<script" not in html
    assert "<b onmouse" not in html
    assert "\u202e" not in html
    assert re.search(r"<title>[^<]*⟨U\+202E⟩[^<]*: 2 rows, 50\u202f%</title>", html), (
        "hover says label, count and share"
    )
    assert html.count("<svg") == 2 * (3 + 1)
    assert describe_page("<script>", found, {"sources": [HOSTILE]}) == html
