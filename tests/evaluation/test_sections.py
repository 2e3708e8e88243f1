"""Report parts: their JSON holds what was found, and a part that does not fit together is refused."""

from __future__ import annotations

import json
import math

import pytest
from markupsafe import Markup

from modwright.errors import UsageError
from modwright.evaluation.resampling import Interval
from modwright.evaluation.sections import Figure, Section, Table, sections_json

INTERVAL = Interval(0.5, 0.4, 0.6, 20)


def section(key="slices", **parts):
    return Section(key, "Slices", "By length.", **parts)


def test_a_section_as_json():
    table = Table(
        "By length",
        ("length", "rows", "F1", "AUC"),
        (("short", 20, INTERVAL, 0.25), ("long", 3, None, 1)),
        "Words.",
        thin=(1,),
    )
    drawing = Figure("Bars", Markup("<svg/>"), "two bars")
    found = sections_json(
        [
            section(
                tables=(table,), figures=(drawing,), notes=("Few rows.",), headline="Long texts fare worse."
            )
        ]
    )
    assert json.loads(json.dumps(found, allow_nan=False)) == {
        "slices": {
            "title": "Slices",
            "intro": "By length.",
            "tables": [
                {
                    "title": "By length",
                    "columns": ["length", "rows", "F1", "AUC"],
                    "rows": [
                        ["short", 20, {"value": 0.5, "low": 0.4, "high": 0.6, "n": 20}, 0.25],
                        ["long", 3, None, 1],
                    ],
                    "note": "Words.",
                    "thin": [1],
                }
            ],
            "figures": [{"title": "Bars", "alt": "two bars"}],
            "notes": ["Few rows."],
            "headline": "Long texts fare worse.",
        }
    }


def test_what_is_no_number_is_null():
    table = Table("t", ("a", "b"), (("x", math.nan), ("y", math.inf)))
    assert table.to_json()["rows"] == [["x", None], ["y", None]]


def test_texts_that_wait_to_be_asked_for_are_not_in_the_json():
    hidden = Table("rows", ("text",), (("you are a silly goose",),), hidden=True)
    assert "goose" not in json.dumps(section(tables=(hidden,)).to_json())


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Table("t", ("a", "b"), (("x",),)), "row 0 has 1 cells, expected 2"),
        (lambda: Table("t", ("a",), (("x",),), bars=("b",)), "the bar 'b' is no column"),
        (lambda: Table("t", ("a",), (("x",),), thin=(1,)), "thin rows .* do not exist"),
        (lambda: section("By length"), "section key 'By length'"),
        (lambda: sections_json([section(), section()]), "two sections have the key 'slices'"),
    ],
)
def test_what_does_not_fit_together(made, message):
    with pytest.raises(UsageError, match=message):
        made()
