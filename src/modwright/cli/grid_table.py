"""A grid's members as one table: what differs, losses, metrics, time; the best on unseen rows is marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from modwright.cli.meter import clock_text
from modwright.render.words import line, number

if TYPE_CHECKING:
    from modwright.pipeline.grid import GridResult, MemberResult

_PIPE_WIDTH = 160
_NAMES = {"f1": "F1", "roc_auc": "ROC-AUC", "log_loss": "log-loss", "validation_loss": "validation loss"}
_ROWS = {
    "out_of_fold": "the training rows, each judged by fits that have not seen it",
    "held_out": "a part held out of the training rows",
    "validation": "the validation split",
}


def print_grid(grid: GridResult) -> None:
    """Print the table, what it is judged by, and why members failed."""
    from modwright.pipeline.grid_figures import SHOWN

    found = Console()
    console = found if found.is_terminal else Console(width=max(found.width, _PIPE_WIDTH))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (*grid.varied, "loss before", "after", *(_NAMES[metric] for metric in SHOWN), "time", ""):
        left = heading in grid.varied or not heading
        table.add_column(escape(line(heading)), justify="left" if left else "right", no_wrap=True)
    for place, member in enumerate(grid.members):
        cells = _cells(grid, member, SHOWN, best=place == grid.best)
        table.add_row(*(escape(line(cell)) for cell in cells))
    console.print(table)
    console.print(escape(line(_judged(grid))), style="dim", highlight=False)
    for failed in grid.failed:
        console.print(escape(line(f"failed: {failed.member.folder.name}: {failed.error}")), highlight=False)


def _cells(grid: GridResult, member: MemberResult, shown: Sequence[str], *, best: bool) -> list[str]:
    values = [member.member.values[key] for key in grid.varied]
    figures = member.figures
    if figures is None:
        return [*values, *[""] * (3 + len(shown)), "failed"]
    metrics = [number(figures.metrics[metric], 3) for metric in shown]
    note = "best" if best else ""
    if member.unchanged:
        note += ", trained before" if note else "trained before"
    return [
        *values,
        number(figures.loss_before, 4),
        number(figures.loss_after, 4),
        *metrics,
        clock_text(figures.seconds),
        note,
    ]


def _judged(grid: GridResult) -> str:
    kinds = dict.fromkeys(one.figures.rows for one in grid.members if one.figures is not None)
    rows = "; ".join(_ROWS[kind] for kind in kinds)
    name, higher = grid.criterion
    return f"judged on {rows or 'no rows'}; best: {'highest' if higher else 'lowest'} {_NAMES.get(name, name)} there"
