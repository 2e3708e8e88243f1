"""The page of findings: whole, harmless, and nothing from elsewhere."""

from __future__ import annotations

from modwright.data.checks import Finding, Severity
from modwright.data.checks.findings import common_folder
from modwright.data.checks.page import checks_page

HOSTILE = "<script>alert(1)</script>\u202e"


def test_hostile_names_do_nothing():
    finding = Finding("rare_label", Severity.ERROR, HOSTILE, "look", 9, (f"{HOSTILE}:1",))
    html = checks_page(HOSTILE, [finding], {HOSTILE: [HOSTILE]})
    assert "<script" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;" in html
    assert "1 error to put right" in html
    assert "default-src 'none'" in html
    assert "http://" not in html.replace("http-equiv", "")
    assert "src=" not in html.replace("default-src", "").replace("style-src", "")


def test_nothing_found():
    assert "Nothing was found" in checks_page("d", [], {})


def test_the_folder_of_all_places_is_said_once():
    def at(*places):
        return Finding("code", Severity.INFO, "what", "do", len(places), places)

    assert common_folder([at("a/b/x.csv:1", "a/b/x.csv:2"), at("a/c/y.csv:3"), at()]) == "a/"
    assert common_folder([at("/data/x.csv:1")]) == "/data/"
    assert common_folder([at("x.csv:1"), at("a/y.csv:2")]) == ""
    assert common_folder([at("/x.csv:1"), at("/y.csv:2")]) == ""
    assert common_folder([at("/x/y.csv:1"), at("x/y.csv:2")]) == ""
    assert common_folder([]) == ""
    html = checks_page("d", [at("a/<b>/x.csv:1", "a/<b>/x.csv:2")], {})
    assert html.count("a/&lt;b&gt;/") == 1
    assert "x.csv:2" in html
