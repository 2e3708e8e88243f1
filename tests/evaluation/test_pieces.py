"""Words of any script, and inputs without some of them or with nothing else."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modwright.evaluation.pieces import (
    Piece,
    Span,
    only,
    run_pieces,
    split_piece,
    turn_pieces,
    without,
    word_pieces,
    words,
)
from modwright.schema import Message, Role, pair_input, text_input


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's a self-made, silly goose!! ok", ["It's", "a", "self-made", ",", "silly", "goose", "!!", "ok"]),
        ("'quoted' -x-", ["'", "quoted", "'", "-", "x", "-"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("你好 hello", ["你", "好", "hello"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("a\u200bb ok", ["a\u200bb", "ok"]),
        ("😀😀 👩\u200d👧", ["😀😀", "👩\u200d👧"]),
        (" \n", []),
        ("", []),
    ],
)
def test_words(text, expected):
    assert [text[begin:end] for begin, end in words(text)] == expected


@given(st.text(alphabet=st.sampled_from("ab1_'-.!é\u0301\u200b \n你ก้😀\u202e"), max_size=30))
def test_words_hold_every_character_but_blanks_once_and_in_order(text):
    found = list(words(text))
    assert all(begin < end for begin, end in found)
    assert all(one[1] <= other[0] for one, other in pairwise(found))
    covered = {place for begin, end in found for place in range(begin, end)}
    assert covered == {place for place, character in enumerate(text) if not character.isspace()}


def test_occurrences_of_a_word_are_one_piece_and_earlier_turns_one_each():
    value = (
        Message(Role.USER, "what am I"),
        Message(Role.ASSISTANT, ""),
        Message(Role.USER, "Goose, a goose"),
    )
    pieces = word_pieces(value)
    assert [piece.text for piece in pieces] == ["Goose", ",", "a", "what am I"]
    assert pieces[0].spans == (Span(2, 0, 5), Span(2, 9, 14))
    assert turn_pieces(value) == [Piece("what am I", (Span(0, 0, 9),))]


def test_without_words_and_without_a_turn():
    value = pair_input("what am I", "you are a silly goose, silly me")
    silly = next(piece for piece in word_pieces(value) if piece.text == "silly")
    assert without(value, [silly]) == pair_input("what am I", "you are a goose, me")
    assert without(value, turn_pieces(value)) == (Message(Role.ASSISTANT, "you are a silly goose, silly me"),)
    assert without(text_input("goose"), word_pieces(text_input("goose"))) == text_input("")
    assert without(text_input(" goose  x"), [Piece("goose", (Span(0, 1, 6),))]) == text_input(" x")


def test_nothing_but_some_words():
    value = pair_input("what am I", "you are a silly goose, silly me")
    chosen = [piece for piece in word_pieces(value) if piece.text in ("goose", "silly")]
    assert only(value, chosen) == (Message(Role.ASSISTANT, "silly goose silly"),)
    assert only(value, turn_pieces(value)) == pair_input("what am I", "")


@given(st.text(alphabet="ab .", min_size=1, max_size=40), st.integers(1, 9))
def test_runs_hold_the_words_in_order(text, most):
    value = text_input(text)
    runs = run_pieces(value, most)
    assert len(runs) <= most
    parts = [piece.spans[0] for run in runs for piece in split_piece(value, run)]
    assert [(span.begin, span.end) for span in parts] == list(words(text))
