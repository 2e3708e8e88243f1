"""Cutting rows into parts: every row is in exactly one, equal values stay together, and names say what is inside."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modwright.errors import UsageError
from modwright.evaluation.slicing import (
    BUCKETS,
    MIXED,
    MOST_PARTS,
    NO_LETTERS,
    NOT_STATED,
    Slicing,
    by_column,
    by_length,
    by_script,
    script_of,
)

VALUES = st.none() | st.just("") | st.booleans() | st.integers(-3, 3) | st.floats(-1, 1) | st.text(max_size=3)


def shares(slicing):
    """Part to its number of rows."""
    return {part: int(slicing.rows(place).sum()) for place, part in enumerate(slicing.parts)}


@given(st.lists(VALUES, min_size=1, max_size=40) | st.lists(st.floats(-5, 5), min_size=1, max_size=40))
def test_every_row_is_in_one_part_and_no_part_is_empty(values):
    if len(set(map(str, values))) > MOST_PARTS:
        values = values + values  # else each row may have a value of its own, which is refused
    slicing = by_column("c", values)
    assert len(slicing.member) == len(values)
    assert sorted(set(slicing.member)) == list(range(len(slicing.parts)))
    assert len(slicing.parts) <= MOST_PARTS + 2
    for value in {value for value in values if isinstance(value, str)}:
        assert len({int(slicing.member[row]) for row, other in enumerate(values) if other == value}) == 1


def test_texts_come_by_how_many_rows_have_them_and_yes_and_no_are_words():
    assert shares(by_column("c", ["b", "a", "b", None, ""])) == {"b": 2, "a": 1, NOT_STATED: 2}
    assert shares(by_column("c", [True, False, True])) == {"yes": 2, "no": 1}


def test_few_numbers_are_parts_in_their_order_whatever_they_are_written_as():
    assert shares(by_column("c", [10, 2, 10, None, 2])) == {"2": 2, "10": 2, NOT_STATED: 1}
    assert by_column("c", ["10", "2", "10"]).parts == ("2", "10")
    assert by_column("c", [0.5, 1.0]).parts == ("0.5", "1")


def test_many_numbers_are_cut_into_ranges_of_equal_size():
    slicing = by_column("c", [*range(100), None])
    assert shares(slicing) == {"0 to 24": 25, "25 to 49": 25, "50 to 74": 25, "75 to 99": 25, NOT_STATED: 1}
    assert len(by_column("c", [str(number / 7) for number in range(50)]).parts) == BUCKETS


def test_ranges_that_differ_late_have_as_many_digits_as_tell_them_apart():
    slicing = by_column("c", [1_000_000.1 + number / 10 for number in range(40)])
    assert slicing.parts == (
        "1000000.1 to 1000001",
        "1000001.1 to 1000002",
        "1000002.1 to 1000003",
        "1000003.1 to 1000004",
    )
    near = np.nextafter(0.5, 1) - 0.5
    assert len(set(by_column("c", [0.5 + near * number for number in range(40)]).parts)) == BUCKETS


def test_of_many_texts_the_most_frequent_are_parts_and_the_rest_is_one():
    values = [f"v{number}" for number in range(15) for _ in range(20 - number)]
    slicing = by_column("c", values)
    assert slicing.parts == (*(f"v{number}" for number in range(12)), "(3 other values)")
    assert shares(slicing)["(3 other values)"] == 8 + 7 + 6
    assert "12 most frequent of 15" in slicing.note


def test_a_value_that_is_called_like_the_rest_stays_apart():
    values = [f"v{number}" for number in range(14) for _ in range(2)] + ["(3 other values)"] * 9
    parts = shares(by_column("c", values))
    assert parts["(3 other values)"] == 9
    assert parts["((3 other values))"] == 6


def test_a_column_of_all_different_texts_has_no_parts():
    with pytest.raises(UsageError, match="value of its own") as caught:
        by_column("name", [f"row {number}" for number in range(30)])
    assert caught.value.where == "column 'name'"


@given(st.lists(st.text(max_size=30), min_size=1, max_size=60))
def test_lengths_are_cut_in_rising_ranges_and_equal_ones_stay_together(texts):
    slicing = by_length(texts)
    assert 1 <= len(slicing.parts) <= BUCKETS
    lengths = np.array([len(text) for text in texts])
    ends = [
        (lengths[slicing.rows(place)].min(), lengths[slicing.rows(place)].max())
        for place in range(len(slicing.parts))
    ]
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ends))
    for part, (low, high) in zip(slicing.parts, ends, strict=True):
        assert part == (f"{low} characters" if low == high else f"{low} to {high} characters")


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("The library opens at ten.", "Latin"),
        ("Größe und Straße", "Latin"),
        ("Библиотека открыта.", "Cyrillic"),
        ("Η βιβλιοθήκη είναι ανοιχτή.", "Greek"),
        ("المكتبة مفتوحة", "Arabic"),
        ("הספרייה פתוחה", "Hebrew"),
        ("पुस्तकालय खुला है", "Devanagari"),
        ("ห้องสมุดเปิดแล้ว", "Thai"),
        ("图书馆开门了", "Han"),
        ("図書館は十時に開きます", "Japanese"),
        ("도서관이 열렸습니다", "Hangul"),
        ("ｌｉｂｒａｒｙ", "Latin"),
        ("ﾗｲﾌﾞﾗﾘ", "Japanese"),
        ("12:30 🙂 ...", NO_LETTERS),
        ("", NO_LETTERS),
        ("bread хлеб", MIXED),
    ],
)
def test_the_script_is_that_of_most_letters(text, script):
    assert script_of(text) == script


def test_scripts_come_by_how_many_rows_are_in_them():
    slicing = by_script(["Хлеб", "bread", "garden", "1"])
    assert shares(slicing) == {"Latin": 2, "Cyrillic": 1, NO_LETTERS: 1}
    assert "no language" in slicing.note


def test_a_row_in_no_part_is_refused():
    with pytest.raises(UsageError, match="in none of the 1 parts"):
        Slicing("c", ("a",), np.array([0, 1]))
