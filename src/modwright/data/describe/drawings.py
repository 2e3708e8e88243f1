"""The page's drawings: rings, bars and histograms that say what they hold where the pointer rests on them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from modwright.data.describe.description import Lengths, TargetCounts
from modwright.data.describe.shares import FLAGGED, UNFLAGGED, UNKNOWN, Bar, Slice
from modwright.render.svg import element, picture
from modwright.render.words import count, percent, shortened, shown

_RING, _HOLE = 90.0, 47.0
_BAR_LINE, _BAR_HEIGHT = 22.0, 15.0
_NAMES, _BARS, _FIGURES = 176.0, 270.0, 100.0
_MOST_NAME = 23
_HISTOGRAM = (360.0, 120.0)


def ring(slices: Sequence[Slice], description: str) -> Markup:
    """Draw a pie with a hole; each slice says its name, rows and share."""
    begin, marks = 0.0, []
    for part in slices:
        marks.append(_wedge(part, begin, begin + part.share))
        begin += part.share
    size = 2 * _RING
    return picture(size, size, description, *marks)


def _wedge(part: Slice, begin: float, end: float) -> Markup:
    said = element("title", f"{shown(part.name)}: {count(part.rows)} rows, {percent(part.share)}")
    whole = end - begin > 0.9999
    path = _circle() if whole else _arc(begin, end)
    return element("path", said, d=path, fill=part.colour, class_="part", fill_rule="evenodd")


def _arc(begin: float, end: float) -> str:
    large = int(end - begin > 0.5)
    outer = [_point(share, _RING) for share in (begin, end)]
    inner = [_point(share, _HOLE) for share in (end, begin)]
    return f"M{outer[0]}A{_RING:g},{_RING:g} 0 {large} 1 {outer[1]}L{inner[0]}A{_HOLE:g},{_HOLE:g} 0 {large} 0 {inner[1]}Z"


def _circle() -> str:
    """Return two closed circles; the rule evenodd leaves the hole."""
    top, bottom = 0.0, 0.5
    return "".join(
        f"M{_point(top, radius)}A{radius:g},{radius:g} 0 1 1 {_point(bottom, radius)}"
        f"A{radius:g},{radius:g} 0 1 1 {_point(top, radius)}Z"
        for radius in (_RING, _HOLE)
    )


def _point(share: float, radius: float) -> str:
    angle = 2 * math.pi * share
    return f"{_RING + radius * math.sin(angle):.2f},{_RING - radius * math.cos(angle):.2f}"


def bars(found: Sequence[Bar], description: str) -> Markup:
    """Draw a stacked bar per label: not flagged, flagged, unknown."""
    most = max((bar.rows for bar in found), default=0) or 1
    marks: list[Markup] = []
    for place, bar in enumerate(found):
        top = place * _BAR_LINE
        base = top + _BAR_HEIGHT - 3
        name = element("title", shown(bar.label))
        marks.append(
            element(
                "text",
                shortened(bar.label, _MOST_NAME),
                name,
                x=_NAMES - 6,
                y=base,
                class_="axis",
                text_anchor="end",
            )
        )
        marks += _stack(bar, top, most)
        known = bar.flagged + bar.unflagged
        share = f", {percent(bar.flagged / known)}" if known else ""
        end = _NAMES + _BARS * bar.rows / most
        marks.append(element("text", f"{count(bar.flagged)}{share}", x=end + 6, y=base, class_="axis"))
    return picture(_NAMES + _BARS + _FIGURES, max(len(found), 1) * _BAR_LINE, description, *marks)


def _stack(bar: Bar, top: float, most: int) -> list[Markup]:
    left, marks = _NAMES, []
    for name, rows, colour in (
        ("not flagged", bar.unflagged, UNFLAGGED),
        ("flagged", bar.flagged, FLAGGED),
        ("unknown", bar.unknown, UNKNOWN),
    ):
        if rows:
            width = _BARS * rows / most
            said = element(
                "title", f"{shown(bar.label)}, {name}: {count(rows)} rows, {percent(rows / bar.rows)}"
            )
            marks.append(
                element(
                    "rect", said, x=left, y=top, width=width, height=_BAR_HEIGHT, fill=colour, class_="part"
                )
            )
            left += width
    return marks


def histogram(lengths: Lengths) -> Markup:
    """Draw how many rows are how long; each bar says its span, rows and share. The lengths grow by ratio."""
    width, height = _HISTOGRAM
    most, marks = max(lengths.counts, default=0) or 1, []
    step = width / max(len(lengths.counts), 1)
    for place, rows in enumerate(lengths.counts):
        low, high = int(lengths.edges[place]), int(lengths.edges[place + 1])
        span = count(low) if high - low <= 1 else f"{count(low)} to {count(high - 1)}"
        said = element(
            "title", f"{span} {lengths.unit}: {count(rows)} rows, {percent(rows / lengths.measured)}"
        )
        tall = (height - 2) * rows / most
        marks.append(
            element(
                "rect",
                said,
                x=place * step,
                y=height - tall,
                width=step - 1,
                height=tall,
                class_="length part",
            )
        )
    marks += _ticks(lengths, step, height)
    return picture(width, height + 18, f"Lengths in {lengths.unit}", *marks)


def _ticks(lengths: Lengths, step: float, height: float) -> list[Markup]:
    marks, free = [], -1.0
    for place, edge in enumerate(lengths.edges[:-1]):
        text = count(int(edge))
        if place * step >= free:
            marks.append(element("text", text, x=place * step, y=height + 13, class_="tick"))
            free = place * step + 7 * len(text) + 22
    return marks


def matrix(target: TargetCounts) -> list[list[tuple[int, float, str]]]:
    """Return cells (rows, share of the row's label, what to say) of the labels that hold together."""
    cells = []
    for one, row in zip(target.labels, target.together, strict=True):
        line = []
        for two, rows in zip(target.labels, row, strict=True):
            share = rows / one.positives if one.positives else 0.0
            if one is two:
                said = f"{shown(one.label)}: {count(rows)} rows"
            else:
                said = (
                    f"{shown(one.label)} and {shown(two.label)}: {count(rows)} rows, "
                    f"{percent(share)} of those with {shown(one.label)}"
                )
            line.append((rows, share, said))
        cells.append(line)
    return cells
