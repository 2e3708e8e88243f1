"""Words: numbers as they are read, and texts that cannot reorder what stands around them."""

from __future__ import annotations

import pytest

from modwright.render import words


def test_numbers():
    assert words.number(None) == words.number(float("nan")) == "–"
    assert words.number(0.625) == "0.62"
    assert words.number(-0.004) == "0.00"
    assert words.number(-0.006) == "-0.01"
    assert words.count(12_345) == "12\u202f345"
    assert words.percent(0.0996) == "10\u202f%"
    assert words.percent(0.012) == "1.2\u202f%"
    assert words.percent(0.0) == "0\u202f%"


@pytest.mark.parametrize("code", ["\u202e", "\u2066", "\u200f", "\x00", "\x1b", "\ud800", "\ufeff", "\r"])
def test_characters_that_would_reorder_or_break_a_text_are_shown(code):
    assert words.shown(f"a{code}b") == f"a⟨U+{ord(code):04X}⟩b"
    words.shown(code).encode()


def test_other_scripts_are_left_alone():
    for text in ("إهانة", "侮辱", "הטרדה", "🪿 goose", "a\u200db"):
        assert words.shown(text) == text


def test_a_long_text_is_shortened_and_a_short_one_is_not():
    assert words.shortened("goose", 5) == "goose"
    assert words.shortened("geese fly", 6) == "geese…"
    assert words.shortened("a\n\tb", 9) == "a b"
