"""The page of findings: whole, harmless, and nothing from elsewhere."""

from __future__ import annotations

from modwright.data.checks import Finding, Severity
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
