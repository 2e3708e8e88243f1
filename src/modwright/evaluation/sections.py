"""Neutral parts of a report: what slices, bias, robustness and comparisons fill, and every form of the report shows.

A part says what was found, not how it looks: the HTML, Markdown and JSON forms are made of the same parts. All
strings are plain text and may hold what users wrote; whoever shows them escapes them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from modwright.errors import UsageError
from modwright.evaluation.resampling import Interval

#: What a table's cell may hold. A share is a float or an Interval in 0..1; a count is an int; None is "not defined".
Cell = str | int | float | Interval | None

_KEY = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        columns: their headings; the first column names the row.
        rows: each with one cell per column.
        note: what stands above it, how it is read; may be empty.
        bars: headings of columns whose intervals, in 0..1, are also drawn as a bar.
        thin: places in `rows` of those that rest on too little evidence: shown faint, neither ranked nor averaged.
        hidden: the table holds texts of the data, which are not shown until they are asked for.

    Raises:
        UsageError: a row has another number of cells than there are columns, or a bar or a thin row does not exist.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    bars: tuple[str, ...] = ()
    thin: tuple[int, ...] = ()
    hidden: bool = False

    def __post_init__(self) -> None:
        where = f"table '{self.title}'"
        for place, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise UsageError(
                    f"row {place} has {len(row)} cells, expected {len(self.columns)}, one per column",
                    where=where,
                )
        for bar in self.bars:
            if bar not in self.columns:
                raise UsageError(f"the bar '{bar}' is no column", where=where)
        if self.thin and not all(0 <= place < len(self.rows) for place in self.thin):
            raise UsageError(f"thin rows {self.thin} of {len(self.rows)} rows do not exist", where=where)

    def to_json(self) -> dict[str, Any]:
        """Return title, columns, rows (intervals as value, low, high, n), note and the places of thin rows."""
        return {
            "title": self.title,
            "columns": list(self.columns),
            "rows": [[cell_json(cell) for cell in row] for row in self.rows],
            "note": self.note,
            "thin": list(self.thin),
        }


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing.

    Attributes:
        svg: made by `modwright.render.svg`, which escapes what it is given; coloured by the page's classes.
        alt: what the drawing shows, for who does not see it; it stands in for it in Markdown and JSON.
    """

    title: str
    svg: Markup
    alt: str

    def to_json(self) -> dict[str, str]:
        """Return title and description; the drawing itself is the HTML report's."""
        return {"title": self.title, "alt": self.alt}


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report under one heading.

    Attributes:
        key: short name, part of addresses and of report.json: lower-case letters, digits and '-'.
        intro: what the section answers and how it was measured, one paragraph.
        notes: what a reader must know before believing it, a sentence each.
        headline: what a manager must know of it, one sentence for the summary; empty where there is nothing to tell.

    Raises:
        UsageError: the key has another form.
    """

    key: str
    title: str
    intro: str
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    headline: str = ""

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise UsageError(f"section key {self.key!r} is not of lower-case letters, digits and '-'")

    def to_json(self) -> dict[str, Any]:
        """Return everything but drawings and hidden tables, as JSON-ready data."""
        return {
            "title": self.title,
            "intro": self.intro,
            "tables": [table.to_json() for table in self.tables if not table.hidden],
            "figures": [figure.to_json() for figure in self.figures],
            "notes": list(self.notes),
            "headline": self.headline,
        }


def sections_json(sections: Sequence[Section]) -> dict[str, Any]:
    """Return sections by key; raises UsageError where two have the same key."""
    found: dict[str, Any] = {}
    for section in sections:
        if section.key in found:
            raise UsageError(f"two sections have the key '{section.key}'")
        found[section.key] = section.to_json()
    return found


def cell_json(cell: Cell) -> str | int | float | Mapping[str, float | int | None] | None:
    """Return a cell as JSON-ready data: an interval by its parts, what is not a finite number as null."""
    if isinstance(cell, Interval):
        return cell.to_json()
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    return cell
