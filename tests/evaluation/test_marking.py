"""Marked texts: nothing of the text is lost, strength follows the effect, and hostile texts do nothing."""

from __future__ import annotations

import re

import numpy as np

from modwright.evaluation.explain import explain
from modwright.evaluation.marking import Explained, explanation_page, level, listed, marked, marked_plainly
from modwright.schema import Schema, Target, TargetKind, pair_input, text_input

SCHEMA = Schema((Target.create("moderation", TargetKind.MULTI_LABEL, ["insult"]),))


def score(inputs):
    odds = [
        2.0 * ("goose" in value[-1].content) - 0.8 * ("dear" in value[-1].content) + 0.2 * (len(value) > 1)
        for value in inputs
    ]
    return {"moderation": 1 / (1 + np.exp(-np.array(odds)))[:, None]}


def explained(value):
    return explain(value, SCHEMA, score, lambda scores: scores, [("moderation", "insult")])


def test_the_stretches_are_the_text():
    value = pair_input("what  am I?", " you goose, dear\ngoose ")
    found = explained(value)
    turns = marked(found, found.labels[0])
    assert ["".join(one.text for one in stretches) for stretches in turns] == [turn.content for turn in value]
    strong = {one.text.strip(): one.level for stretches in turns for one in stretches if one.level}
    assert strong == {"goose": 4, "dear": -2, "what  am I?": 1}


def test_strength():
    assert [level(effect, 2.0) for effect in (2, 1.5, 1.0, 0.5, 0.2, 0.1, 0, -0.04, -1.0, -2)] == [
        *(4, 4, 3, 2, 1, 0, 0, 0, -3, -4)
    ]


def test_a_text_in_which_nothing_matters_has_no_mark():
    found = explained(text_input("good morning"))
    assert {one.level for stretches in marked(found, found.labels[0]) for one in stretches} == {0}
    assert listed(found, found.labels[0]) == []
    assert "No single word moves this score" in explanation_page("m", [Explained("1", found, ())])


def test_without_colours():
    found = explained(text_input("you goose, dear \u202e"))
    assert marked_plainly(marked(found, found.labels[0])) == "you [++goose++], [-dear-] ⟨U+202E⟩"


def test_the_page_obeys_no_text():
    hostile = "goose <script>alert(1)</script> \u202e\"' dear"
    found = explained(text_input(hostile))
    html = explanation_page("<b>m</b>", [Explained("<i>1", found, (("moderation", "insult"),))])
    assert not re.search(r"<(script|b|i|link|iframe)\b", html)
    assert "\u202e" not in html
    assert "default-src 'none'" in html
    assert re.search(r'<mark class="up4" title="\+2\.00">goose</mark>', html)
    assert "· flagged" in html
