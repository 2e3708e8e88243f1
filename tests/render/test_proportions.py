"""The bar plot of flagged proportions: what stands in it, the same bytes again, names that stay text."""

from __future__ import annotations

import re
import struct
import sys

import pytest

from modwright.errors import MissingExtraError
from modwright.render.proportions import Share, draw_proportions, require_matplotlib

NOTHING = Share(None, None, None)


def shares(models, judges):
    return {model: {judge: Share(0.4, 0.3, 0.5) for judge in judges} for model in models}


def texts(path):
    return re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text())


def test_models_judges_and_figures_stand_in_it(tmp_path):
    flagged = shares(["duck", "swan"], ["people", "rule"])
    flagged["swan"]["rule"] = NOTHING
    agreement = {model: {"people – rule": Share(0.9, 0.8, 0.95)} for model in ("duck", "swan")}
    paths = [tmp_path / "p.svg", tmp_path / "p.png"]
    draw_proportions(flagged, agreement, "Flagged", paths)
    found = texts(paths[0])
    assert {"duck", "swan", "people", "rule", "people – rule", "Flagged", "agreement"} <= set(found)
    assert found.count("40") == 3
    assert "–" in found
    first = paths[0].read_bytes(), paths[1].read_bytes()
    draw_proportions(flagged, agreement, "Flagged", paths)
    assert (paths[0].read_bytes(), paths[1].read_bytes()) == first


@pytest.mark.parametrize("judges", [1, 3, 8])
def test_names_do_not_squeeze_the_bars(judges, tmp_path):
    """However long the legend, the frame keeps the picture's width."""
    names = [f"a judge with quite a long name {n}" for n in range(judges)]
    pairs = {f"{one} – {other}": Share(0.5, 0.4, 0.6) for one in names for other in names if one < other}
    draw_proportions(shares(["only"], names), {"only": pairs}, "t", [tmp_path / "p.svg", tmp_path / "p.png"])
    text = (tmp_path / "p.svg").read_text()
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', text)[1])
    lines = [
        float(right) - float(left)
        for left, right in re.findall(r'd="M ([\d.]+) [\d.]+ \nL ([\d.]+) [\d.]+ \n"', text)
    ]
    assert max(lines) > 0.7 * width
    assert struct.unpack(">I", (tmp_path / "p.png").read_bytes()[16:20])[0] >= 700


def test_a_name_that_begins_with_an_underscore_is_in_the_legend(tmp_path):
    agreement = {"only": {"_people – _rule": Share(0.9, 0.8, 0.95)}}
    draw_proportions(shares(["only"], ["_people", "_rule"]), agreement, "t", [tmp_path / "p.svg"])
    found = texts(tmp_path / "p.svg")
    assert found.count("_people") == found.count("_rule") == found.count("_people – _rule") == 1


def test_without_matplotlib_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw in (
        require_matplotlib,
        lambda: draw_proportions(shares("a", "b"), {}, "t", [tmp_path / "p.svg"]),
    ):
        with pytest.raises(MissingExtraError, match="needs the extra 'data'"):
            draw()


def test_signs_of_formulas_and_of_markup_are_text(tmp_path):
    hostile = "$\\frac{x}$ <script>\u202e"
    draw_proportions(shares([hostile], [hostile]), {hostile: {}}, hostile, [tmp_path / "p.svg"])
    text = (tmp_path / "p.svg").read_text()
    assert "<script>" not in text
    assert "\u202e" not in text
    assert "$\\frac{x}$ &lt;script&gt;" in text
