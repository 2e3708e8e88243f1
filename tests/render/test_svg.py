"""Drawings: escaped, within their frame, the same bytes for the same data."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from modwright.render.svg import Plot, decoration, element, picture, thinned


def test_text_and_attributes_are_escaped_and_drawings_are_not():
    inner = element("text", '<b>"&', x=1.5, class_="tick", text_anchor="middle")
    assert inner == '<text x="1.5" class="tick" text-anchor="middle">&lt;b&gt;&#34;&amp;</text>'
    assert element("g", inner) == Markup(f"<g>{inner}</g>")
    assert element("line", class_='"><script>') == '<line class="&#34;&gt;&lt;script&gt;"/>'


def test_numbers_are_short_and_have_no_exponent():
    assert element("c", r=1e-9, cx=-0.0, cy=1234.5678) == '<c r="0" cx="0" cy="1234.57"/>'
    assert element("c", r=100.0, cx=10) == '<c r="100" cx="10"/>'


def test_a_picture_says_what_it_shows_and_a_decoration_nothing():
    parsed = ElementTree.fromstring(picture(10, 20, "A <curve>"))
    assert parsed.attrib == {"viewBox": "0 0 10 20", "role": "img", "aria-label": "A <curve>"}
    assert parsed.find("title").text == "A <curve>"
    assert ElementTree.fromstring(decoration(1, 2)).attrib["aria-hidden"] == "true"


def test_a_plot_places_values_between_its_corners():
    plot = Plot("x", "y", limit=0.2)
    assert plot.x(0) < plot.x(0.1) < plot.x(0.2) == plot.x(5)
    assert plot.y(0) > plot.y(0.1) > plot.y(0.2) == plot.y(5)
    assert plot.x(0.2) <= plot.width
    assert plot.y(0) <= plot.height
    ticks = ElementTree.fromstring(f"<g>{plot.axes()}</g>").findall("text[@class='tick']")
    assert [tick.text for tick in ticks[::2]] == ["0", "0.05", "0.1", "0.15", "0.2"]


def test_a_curve_goes_through_its_ends_and_an_area_stands_on_the_axis():
    plot = Plot("x", "y")
    points = np.array([[0.0, 0.0], [0.25, 0.5], [1.0, 1.0]])
    drawn = ElementTree.fromstring(plot.curve(points, "curve")).attrib["points"].split()
    assert drawn[0] == f"{plot.x(0):g},{plot.y(0):g}"
    assert drawn[-1] == f"{plot.x(1):g},{plot.y(1):g}"
    area = ElementTree.fromstring(plot.area(points, "area")).attrib["points"].split()
    assert area[-1] == f"{plot.x(1):g},{plot.y(0):g}"


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=30))
def test_thinning_keeps_the_ends_and_every_corner(points):
    kept = thinned(points)
    assert len(kept) <= len(points)
    assert kept[:1] == points[:1]
    assert kept[-1:] == points[-1:]
    assert all(point in points for point in kept)
    corners = [
        points[i]
        for i in range(1, len(points) - 1)
        if points[i - 1][0] != points[i][0] and points[i][0] != points[i + 1][0]
        if points[i - 1][1] != points[i][1] and points[i][1] != points[i + 1][1]
    ]
    assert all(corner in kept for corner in corners)


def test_a_staircase_is_thinned_to_its_steps():
    assert thinned([(0, 0), (1, 0), (2, 0), (2, 0), (2, 1), (2, 3)]) == [(0, 0), (2, 0), (2, 3)]
