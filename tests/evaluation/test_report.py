"""The report: one file that needs nothing else, holds everything, and lets hostile names do nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from modwright.evaluation.metrics import evaluate_split
from modwright.evaluation.report import render_report
from modwright.evaluation.thresholds import choose_thresholds
from modwright.evaluation.thresholds import flags as flagged_by
from modwright.schema import Schema, Target, TargetKind

HOSTILE = "<script>alert(1)</script>"
REVERSED = "abc\u202edcba"
VOID = {"meta", "br", "line", "circle", "rect", "polyline", "polygon"}


class Page(HTMLParser):
    """Checks that tags nest, and gathers tags, attributes, ids and text."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts, self.bdi = [], [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and self.open[-1] == "bdi":
            self.bdi.append(data)


def rendered(
    labels=("insult", "threat", "rare"),
    title="a model",
    facts=None,
    n=150,
    split="test",
    target="moderation",
    fitted_on=(),
):
    multi = Target.create(target, TargetKind.MULTI_LABEL, [*labels, "safe"])
    single = Target.create("tone", TargetKind.SINGLE_LABEL, ["safe", "dismissive", "rude", "hostile"])
    schema = Schema((multi, single))
    rng = np.random.default_rng(0)
    scores = {target: rng.random((n, len(multi.labels))), "tone": rng.dirichlet(np.ones(4), n)}
    values = {name: (rng.random(part.shape) < part).astype(float) for name, part in scores.items()}
    values[target][:, len(labels) - 1] = np.arange(n) < 3
    values["tone"] = np.eye(4)[scores["tone"].argmax(1)]
    point = choose_thresholds(schema, scores, values)
    flags = {t.name: flagged_by(t, scores[t.name], point.thresholds[t.name]) for t in schema}
    evaluation = evaluate_split(schema, scores, values, flags, resamples=40)
    return render_report(title, {split: evaluation}, schema, point, facts or {}, fitted_on)


def test_it_parses_and_holds_every_label_target_split_and_drawing():
    page = Page(rendered())
    assert page.tags.count("h1") == 1
    for name in (
        "insult",
        "threat",
        "rare",
        "safe",
        "dismissive",
        "rude",
        "hostile",
        "moderation",
        "tone",
        "test",
    ):
        assert name in page.bdi
    pictures = [value for name, value in page.attributes if name == "aria-label"]
    for word in ("ROC curve", "PR curve", "Reliability diagram"):
        assert sum(value.startswith(word) for value in pictures) == 8
    assert page.tags.count("svg") == sum(
        name == "role" and value == "img" for name, value in page.attributes
    ) + sum(name == "aria-hidden" for name, _ in page.attributes)


def test_it_loads_nothing_and_runs_nothing():
    html = rendered(facts={"Source": "https://example.org/data", "Mail": "javascript:alert(1)"})
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    for name, value in page.attributes:
        assert name not in ("src", "srcset", "xlink:href", "action")
        assert not name.startswith("on")
        if name == "href":
            assert value.startswith("#")
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'; style-src 'unsafe-inline'" in html


def test_links_lead_to_places_that_exist_once():
    page = Page(rendered())
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for name, value in page.attributes if name == "href"} <= set(ids)


@pytest.mark.parametrize("place", ["labels", "title", "split", "target", "facts"])
def test_hostile_names_are_inert(place):
    given = {place: HOSTILE}
    if place == "labels":
        given = {"labels": (HOSTILE, 'x" onload="alert(1)', "{{ 7*7 }}", "rare")}
    if place == "facts":
        given = {"facts": {HOSTILE: {HOSTILE: [HOSTILE, HOSTILE]}}}
    if place == "target":
        given = {"target": "<script>alert(1)"}  # a target's name holds no slash
    html = rendered(**given)
    page = Page(html)
    assert "<script" not in html
    assert "alert(1)" in html
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "49" not in page.bdi


@pytest.mark.parametrize("place", ["labels", "title", "split", "target", "facts"])
def test_direction_overrides_are_shown_instead_of_obeyed(place):
    given = {place: REVERSED}
    if place == "labels":
        given = {"labels": (REVERSED, "rare")}
    if place == "facts":
        given = {"facts": {REVERSED: REVERSED}}
    html = rendered(**given)
    assert "\u202e" not in html
    assert "abc⟨U+202E⟩dcba" in Page(html).bdi


def test_a_lone_surrogate_can_be_written():
    rendered(title="half \ud83d").encode()


def test_the_same_arguments_give_the_same_bytes():
    assert rendered() == rendered()


def test_thin_evidence_is_set_apart_and_said():
    html = rendered()
    thin = html[html.index('<tbody class="thin">') :]
    assert "rare" in thin[: thin.index("</tbody>")]
    assert "only 3 positives; judged from 10 on" in html
    assert "This is a small sample: 150 labelled rows." in html
    assert "drawn towards the threshold its target’s labels share" in html


def test_rows_the_model_was_fitted_on_are_called_flattering():
    assert "Flattering." in rendered(split="rows", fitted_on={"rows"})
    assert "Flattering." not in rendered(split="train"), "a name alone says nothing"


def test_facts_of_every_kind_are_shown():
    html = rendered(
        facts={
            "Rows": {"train": 12345, "test": 150},
            "Soft": True,
            "C": 0.5,
            "Left": None,
            "Steps": ["a", "b"],
        }
    )
    text = re.sub(r"\s+", " ", " ".join(Page(html).texts))
    for shown in ("12\u202f345".replace("\u202f", " "), "yes", "0.5", "–", "train", "Steps"):
        assert shown in text
    assert "<bdi>a</bdi>, <bdi>b</bdi>" in html


def test_without_rows_it_says_so():
    html = rendered(n=0)
    Page(html)
    assert "No row of this split is labelled for this target" in html
    assert "nan" not in html.lower().replace("finance", "")
