"""Inline SVG: elements, a plot of the unit square with axes, and the marks drawn into it.

Colours and strokes are CSS classes of the page, so that drawings follow its light, dark and printed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from modwright.render.words import shown
from modwright.schema import FloatArray

_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 8.0, 10.0, 40.0
_SIDE = 200.0
_TICKS = 4

Attribute = str | float | int


def element(name: str, *children: str | Markup, **attributes: Attribute) -> Markup:
    """Return one element, the keyword ``x_y`` being ``x-y`` and ``class_`` ``class``.

    Text and values are escaped, and what would reorder them is shown by its code.
    """
    named = {key.rstrip("_").replace("_", "-"): escape(_text(value)) for key, value in attributes.items()}
    head = " ".join([name, *(f'{key}="{value}"' for key, value in named.items())])
    if not children:
        return Markup(f"<{head}/>")
    inside = [child if isinstance(child, Markup) else escape(shown(child)) for child in children]
    return Markup(f"<{head}>{''.join(inside)}</{name}>")


def _text(value: Attribute) -> str:
    """Return numbers with at most two decimals and no exponent, so that the same data give the same bytes."""
    if isinstance(value, str):
        return shown(value)
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def picture(width: float, height: float, description: str, *children: Markup) -> Markup:
    """Return an SVG that a screen reader reads as its description."""
    box = f"0 0 {_text(width)} {_text(height)}"
    title = element("title", description)
    return element("svg", title, *children, viewBox=box, role="img", aria_label=description)


def decoration(width: float, height: float, *children: Markup) -> Markup:
    """Return an SVG that screen readers pass over, for what the text beside it says already."""
    size = {"width": width, "height": height}
    box = f"0 0 {_text(width)} {_text(height)}"
    return element("svg", *children, viewBox=box, aria_hidden="true", focusable="false", **size)


@dataclass(frozen=True, slots=True)
class Plot:
    """A square plot whose two axes run from 0 to ``limit``."""

    x_label: str
    y_label: str
    limit: float = 1.0

    @property
    def width(self) -> float:
        """Return the width in SVG units."""
        return _LEFT + _SIDE + _RIGHT

    @property
    def height(self) -> float:
        """Return the height in SVG units."""
        return _TOP + _SIDE + _BOTTOM

    def x(self, value: float) -> float:
        """Return where a value lies on the horizontal axis."""
        return _LEFT + _SIDE * min(max(value / self.limit, 0.0), 1.0)

    def y(self, value: float) -> float:
        """Return where a value lies on the vertical axis."""
        return _TOP + _SIDE * (1 - min(max(value / self.limit, 0.0), 1.0))

    def axes(self) -> Markup:
        """Return grid, tick labels and axis titles."""
        marks: list[Markup] = []
        for i in range(_TICKS + 1):
            value = self.limit * i / _TICKS
            text = f"{value:.3f}".rstrip("0").rstrip(".")
            at_x, at_y = self.x(value), self.y(value)
            marks += [
                self.line((value, 0), (value, self.limit), "grid"),
                self.line((0, value), (self.limit, value), "grid"),
                element("text", text, x=at_x, y=_TOP + _SIDE + 15, class_="tick", text_anchor="middle"),
                element("text", text, x=_LEFT - 6, y=at_y + 3.5, class_="tick", text_anchor="end"),
            ]
        middle = _TOP + _SIDE / 2
        turned = f"rotate(-90 10 {_text(middle)})"
        return Markup("").join(
            [
                *marks,
                element(
                    "text",
                    self.x_label,
                    x=_LEFT + _SIDE / 2,
                    y=self.height - 6,
                    class_="axis",
                    text_anchor="middle",
                ),
                element(
                    "text",
                    self.y_label,
                    x=10,
                    y=middle,
                    class_="axis",
                    text_anchor="middle",
                    transform=turned,
                ),
            ]
        )

    def line(self, begin: tuple[float, float], end: tuple[float, float], class_: str) -> Markup:
        """Return a straight line between two points of the plot."""
        return element(
            "line",
            x1=self.x(begin[0]),
            y1=self.y(begin[1]),
            x2=self.x(end[0]),
            y2=self.y(end[1]),
            class_=class_,
        )

    def curve(self, points: FloatArray, class_: str) -> Markup:
        """Return a line through points (K, 2), placed to half a unit: the eye sees no finer."""
        return element("polyline", points=self._path(points), class_=class_)

    def area(self, points: FloatArray, class_: str) -> Markup:
        """Return the area between points (K, 2) and the horizontal axis."""
        closed = np.vstack([[points[0, 0], 0.0], points, [points[-1, 0], 0.0]])
        return element("polygon", points=self._path(closed), class_=class_)

    def dot(self, x: float, y: float, radius: float, class_: str) -> Markup:
        """Return a point."""
        return element("circle", cx=self.x(x), cy=self.y(y), r=radius, class_=class_)

    def bar(self, x: float, height: float, width: float, class_: str) -> Markup:
        """Return an upright bar on the horizontal axis; height and width are SVG units."""
        left, base = self.x(x) - width / 2, self.y(0)
        return element("rect", x=left, y=base - height, width=width, height=height, class_=class_)

    def _path(self, points: FloatArray) -> str:
        share = np.clip(points / self.limit, 0.0, 1.0)
        placed = np.stack([_LEFT + _SIDE * share[:, 0], _TOP + _SIDE * (1 - share[:, 1])], axis=1)
        halves = np.round(2 * placed) / 2
        new = np.append(True, (np.diff(halves, axis=0) != 0).any(axis=1))
        corners = thinned([(float(x), float(y)) for x, y in halves[new]])
        return " ".join(f"{_text(x)},{_text(y)}" for x, y in corners)


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Leave out points that repeat the one before or lie within a level or upright run."""
    kept: list[tuple[float, float]] = []
    for point in points:
        if kept and kept[-1] == point:
            continue
        if len(kept) > 1 and any(kept[-2][axis] == kept[-1][axis] == point[axis] for axis in (0, 1)):
            kept[-1] = point
        else:
            kept.append(point)
    return kept
