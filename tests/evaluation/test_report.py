"""The report: one file that needs nothing else, holds everything, and lets hostile names do nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from made_report import HOSTILE, REVERSED, a_section, made

from modwright.evaluation.cuts import NEVER
from modwright.evaluation.report import MOST_DRAWN, report_html
from modwright.evaluation.report_forms import report_json, report_markdown

VOID = {"meta", "br", "input", "line", "circle", "rect", "polyline", "polygon"}


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


def rendered(**parts):
    return report_html(made(**parts))


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


def test_it_loads_nothing_and_runs_only_the_script_whose_hash_it_names():
    html = rendered(facts={"Source": "https://example.org/data", "Mail": "javascript:alert(1)"})
    page = Page(html)
    assert not {"link", "img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    data, script = re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL)
    json.loads(data)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    assert policy == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    for forbidden in (
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "Function(",
        "fetch(",
        "import(",
    ):
        assert forbidden not in script
    for name, value in page.attributes:
        assert name not in ("src", "srcset", "xlink:href", "action")
        assert not name.startswith("on")
        if name == "href":
            assert value.startswith("#")
    assert "url(" not in html
    assert "@import" not in html


def test_links_lead_to_places_that_exist_once():
    page = Page(rendered())
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for name, value in page.attributes if name == "href"} <= set(ids)


@pytest.mark.parametrize(
    "place", ["labels", "title", "split", "target", "facts", "text", "sections", "point_name"]
)
def test_hostile_names_and_texts_are_inert(place):
    given = {place: HOSTILE}
    if place == "labels":
        given = {"labels": (HOSTILE, 'x" onload="alert(1)', "{{ 77*77 }}", "rare")}
    if place == "facts":
        given = {"facts": {HOSTILE: {HOSTILE: [HOSTILE, HOSTILE]}}}
    if place == "sections":
        given = {"sections": (a_section(HOSTILE),)}
    if place == "target":
        given = {"target": "<script>alert(1)"}  # a target's name holds no slash
    html = rendered(**given)
    page = Page(html)
    assert page.tags.count("script") == 2
    assert "<script>alert" not in html
    assert "alert(1)" in html
    assert not re.search(r"(?<!\\)<script", report_markdown(made(**given)))
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "5929" not in html


@pytest.mark.parametrize(
    "place", ["labels", "title", "split", "target", "facts", "text", "sections", "point_name"]
)
def test_direction_overrides_are_shown_instead_of_obeyed(place):
    given = {place: REVERSED}
    if place == "labels":
        given = {"labels": (REVERSED, "rare")}
    if place == "facts":
        given = {"facts": {REVERSED: REVERSED}}
    if place == "sections":
        given = {"sections": (a_section(REVERSED),)}
    html = rendered(**given)
    assert "\u202e" not in html
    assert "\\u202e" not in html
    assert "abc⟨U+202E⟩dcba" in Page(html).bdi
    assert "\u202e" not in report_markdown(made(**given))


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


def test_a_section_stands_in_every_form():
    report = made(sections=(a_section("by length"),))
    html, text, data = report_html(report), report_markdown(report), report_json(report)
    page = Page(html)
    assert '<a href="#x1"><bdi>by length</bdi></a>' in html
    assert page.bdi.count("by length") >= 8
    assert '<tr class="thin"><th scope="row"><bdi>b</bdi></th>' in html
    assert "| by length | 20 | 0.50 (0.40–0.60) |" in text
    assert "| b | 3 | – |" in text
    assert data["sections"]["slices"]["tables"][0]["rows"][0][2] == {
        "value": 0.5,
        "low": 0.4,
        "high": 0.6,
        "n": 20,
    }
    assert data["summary"]["headlines"] == ["by length"]


def test_texts_are_closed_and_only_in_the_html_form():
    report = made(text="you are a silly goose")
    html = report_html(report)
    for found in re.finditer("silly goose", html):
        before = html[: found.start()]
        assert before.rindex("<details") > before.rindex("</details") if "</details" in before else True
    assert "<details open" not in html
    assert "silly goose" in html
    assert "goose" not in report_markdown(report)
    assert "goose" not in json.dumps(report_json(report))
    assert "goose" not in rendered(errors=0)
    assert 'id="errors"' not in rendered(errors=0)


def test_the_json_form_is_whole_and_the_markdown_is_a_table_row_per_label():
    report = made()
    data = json.loads(json.dumps(report_json(report), allow_nan=False))
    assert data["metrics"]["splits"]["test"]["moderation"]["insult"]["f1"]["n"] == 150
    assert [one["label"] for one in data["explorers"]] == [
        "insult",
        "threat",
        "rare",
        "dismissive",
        "rude",
        "hostile",
    ]
    assert data["errors"][0]["rows"][0]["id"]
    text = report_markdown(report)
    assert text.startswith("# a model\n")
    assert "deserve a flag. The model flags" in text
    assert sum(line.startswith("| test | moderation |") for line in text.splitlines()) >= 4
    assert "- a model: a note" in text


def test_with_very_many_labels_those_with_the_least_evidence_are_not_drawn():
    labels = tuple(f"label {number}" for number in range(MOST_DRAWN + 10))
    html = rendered(labels=labels, n=60)
    assert html.count('aria-label="Reliability diagram') == MOST_DRAWN
    assert "labels with less evidence are not drawn" in html
    assert len(html) < 5_000_000


def test_without_an_explorer_there_is_no_script():
    html = rendered(n=0)
    assert "<script" not in html
    assert "script-src" not in html


def test_every_form_says_never_of_a_threshold_that_flags_nothing():
    report = made()
    never = replace(report.explorers[0], points={"silent": NEVER}, thresholds=np.array([0.0, 0.4, NEVER]))
    counts = {"found": np.array([3.0, 2.0, 0.0]), "alarms": np.array([9.0, 1.0, 0.0])}
    report = replace(report, explorers=(replace(never, **counts, band=None),))
    assert "| silent | never |" in report_markdown(report)
    assert "<span>never</span>" in report_html(report)
    assert report_json(report)["explorers"][0]["thresholds"][-1] > 1


def test_a_band_that_leaves_nothing_to_people_names_no_score_for_them():
    report = made()
    shown = replace(report, explorers=(replace(report.explorers[0], band=(0.4, 0.4)),))
    assert ">people from 0.200:" in report_html(report)
    assert ">people from" not in report_html(shown)
