"""A section of a report on the terminal: its tables, its notes below them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Shown

from modwright.evaluation.resampling import Interval
from modwright.evaluation.wording import with_interval
from modwright.render.words import line, number

if TYPE_CHECKING:
    from modwright.evaluation.sections import Cell, Section, Table

_PIPE_WIDTH = 160


def print_section(section: Section) -> None:
    """Print every table that is not hidden; rows that rest on too little are faint."""
    found = Console()
    console = found if found.is_terminal else Console(width=max(found.width, _PIPE_WIDTH))
    for table in section.tables:
        if table.hidden:
            continue
        console.print(escape(line(table.title)), style="italic", highlight=False)
        console.print(_table(table))
        console.print()
    for note in section.notes:
        console.print(escape(line(f"note: {note}")), style="dim", highlight=False)


def _table(table: Table) -> Shown:
    shown = Shown(box=None, pad_edge=False, header_style="bold")
    for place, heading in enumerate(table.columns):
        words = any(isinstance(row[place], str) for row in table.rows)
        shown.add_column(escape(line(heading)), justify="left" if words else "right", overflow="fold")
    for place, row in enumerate(table.rows):
        shown.add_row(
            *(escape(line(_cell(cell))) for cell in row), style="dim" if place in table.thin else None
        )
    return shown


def _cell(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, Interval):
        return with_interval(cell)
    return number(cell) if isinstance(cell, float) else str(cell)
