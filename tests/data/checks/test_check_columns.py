"""A text column that is something else is called so; texts that merely hold numbers or addresses are not."""

from __future__ import annotations

import pytest


def rows(row, make, number=40):
    return [row(make(place), "x" if place % 2 else "y") for place in range(number)]


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("text_is_number", lambda place: f"{place * 7919}.5"),
        ("text_is_url", lambda place: f"https://goose.example.com/{place}"),
        ("text_is_id", lambda place: f"{place:08x}-0000-4000-8000-{place:012x}"),
        ("text_is_id", lambda place: f"row_{place + 100}"),
    ],
)
def test_a_column_of_numbers_addresses_or_ids(found, row, code, make):
    finding = found(rows(row, make), sound=False)[code]
    assert (finding.severity, finding.rows) == ("error", 40)
    some = rows(row, lambda place: make(place) if place % 10 == 0 else f"goose {place} says hello")
    assert found(some, sound=False)[code].severity == "warning"


def test_texts_that_hold_such_things(found, row):
    texts = (
        "I counted {} geese",
        "see https://goose.example.com/{} for more",
        "{}! what a lovely day",
        "goose{}",
    )
    records = rows(row, lambda place: texts[place % len(texts)].format(place))
    codes = found(records, sound=False)
    assert not [code for code in codes if code.startswith(("text", "label_in_text"))]


def test_few_different_texts_are_a_category(found, row):
    assert "text_is_category" in found(rows(row, lambda place: f"kind {place % 3}", 600), sound=False)
    assert "text_is_category" not in found(rows(row, lambda place: f"kind {place}", 600), sound=False)


def test_a_copy_of_the_text(found, row):
    copies = [
        {**row(f"text {place}", "x" if place % 2 else "y"), "raw": f"text {place}"} for place in range(40)
    ]
    assert "'raw'" in found(copies, sound=False)["text_equals_column"].message
    others = [{**record, "raw": "other"} for record in copies]
    assert "text_equals_column" not in found(others, sound=False)


@pytest.mark.parametrize(
    "form", ["{label}", "__label__{label} hello {place}", "[{label}] hello {place}", "{label}: {place}"]
)
def test_texts_that_give_the_answer_away(found, row, form):
    def record(place, own):
        label = ("insult", "threat")[place % 2]
        return row(form.format(label=label if own else "goose", place=place), label)

    telling = found([record(place, True) for place in range(40)], sound=False)["label_in_text"]
    assert (telling.severity, telling.rows) == ("error", 40)
    if not form.startswith("__label__"):
        assert "label_in_text" not in found([record(place, False) for place in range(40)], sound=False)
