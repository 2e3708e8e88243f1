"""Languages: a mix is told with shares, a split in another language is a warning, one language is nothing."""

from __future__ import annotations

from modwright.data.checks.language import language_shares

ENGLISH = "the geese are walking slowly along the river, and number {} is looking at the children"
GERMAN = "die Gänse gehen langsam am Fluss entlang, und die Nummer {} schaut den Kindern lange zu"


def records(row, text, number=80):
    return [row(text.format(place), "x" if place % 2 else "y") for place in range(number)]


def test_one_language_is_nothing_to_tell(found, row):
    codes = found(records(row, ENGLISH), records(row, ENGLISH + "!"), sound=False, near=False)
    assert not [code for code in codes if code.startswith("language")]


def test_a_mix_is_told_with_shares(found, row):
    finding = found(records(row, ENGLISH) + records(row, GERMAN), sound=False, near=False)["language_mix"]
    assert finding.severity == "info"
    assert "en 50 %" in finding.message
    assert "de 50 %" in finding.message


def test_a_split_in_another_language(found, row):
    finding = found(records(row, ENGLISH), records(row, GERMAN), sound=False, near=False)["language_shift"]
    assert finding.severity == "warning"
    assert "'test' is" in finding.message


def test_too_few_or_too_short_texts_say_nothing():
    assert language_shares([ENGLISH.format(1)] * 10) == (10, {})
    assert language_shares(["ok", "", "1234567890" * 9] * 100) == (0, {})
