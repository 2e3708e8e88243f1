"""Personal data: counted, never quoted; what only looks like it is left alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modwright.data.checks.personal import has_card, luhn
from modwright.data.columnar import pl

CARD = "4111 1111 1111 1111"  # the well-known test number


def reference(digits):
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


@given(st.lists(st.text("0123456789", min_size=1, max_size=19), max_size=20))
def test_luhn_is_the_rule_said_slowly(numbers):
    assert luhn(pl.Series(numbers, dtype=pl.String)).tolist() == [reference(number) for number in numbers]


@given(st.text("0123456789", min_size=12, max_size=18), st.integers(1, 9))
def test_luhn_sees_every_single_wrong_digit(body, by):
    check = next(digit for digit in "0123456789" if reference(body + digit))
    for place in range(len(body)):
        wrong = body[:place] + str((int(body[place]) + by) % 10) + body[place + 1 :] + check
        assert not luhn(pl.Series([wrong]))[0]


@given(st.lists(st.sampled_from([CARD, "4111-1111-1111-1112", "hello", "5500005555555559", ""]), max_size=9))
def test_cards_are_counted_by_row(texts):
    assert has_card(pl.Series(texts, dtype=pl.String)).to_list() == [
        text in (CARD, "5500005555555559") for text in texts
    ]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("personal_email", "write to silly.goose+pond@mail.example.com, please"),
        ("personal_phone", "call +44 20 7946 0958 now"),
        ("personal_phone", "call (212) 555-0187"),
        ("personal_phone", "212-555-0187"),
        ("personal_card", f"take {CARD}."),
        ("personal_card", "378282246310005"),
    ],
)
def test_what_is_found(found, row, code, text):
    finding = found([row(text, "x")])[code]
    assert (finding.severity, finding.rows) == ("warning", 1)
    assert finding.places[0].endswith("a.jsonl:41")
    assert text not in json.dumps(finding.to_json()), "values stay where they are"


@pytest.mark.parametrize(
    "text",
    ["@goose hello", "a@b", "goose@pond", "2012-2013 and 1234567890", "1,234,567.89", "10.0.0.1:8000",
     "4111 1111 1111 1112", "0000000000000000", "9999 9999 9999 9999 9999 9999", "1 2 3 4 5 6 7 8 9 10 11 12 13 14",
     "see 2021-11-22 10:00:00", "v1.2.3-beta+555.0187"],
)  # fmt: skip
def test_what_only_looks_like_it(found, row, text):
    assert not [code for code in found([row(text, "x")]) if code.startswith("personal")]
