"""What data commands print: progress, and what a dataset holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING

import typer

from modwright.catalog import TerminalProgress
from modwright.render.words import line

if TYPE_CHECKING:
    from modwright.data.summary import ImportSummary


class SourceProgress(TerminalProgress):
    """Draws downloads as `bases pull` does, and on a terminal a bar for each file that is read."""

    def read(self, name: str, done: int, size: int) -> None:
        """Move the bar of a file that is read."""
        if self._console.is_terminal:
            self.advance(f"reading {line(PurePath(name).name)}", done, size)


@contextmanager
def source_progress() -> Iterator[SourceProgress]:
    """Give what downloads and readers report to while data is imported."""
    with SourceProgress() as progress:
        yield progress


def show_summary(summary: ImportSummary, *, as_json: bool) -> None:
    """Print what a dataset holds, as a table or as JSON."""
    if as_json:
        typer.echo(json.dumps(summary.to_json(), indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    for target in summary.targets:
        console.print(f"{line(target.target)} ({target.kind})", markup=False)
        table = Table()
        table.add_column("label")
        for split, rows in summary.rows.items():
            table.add_column(escape(f"{line(split)}\n{rows:,} rows"), justify="right")
        for label in target.labels:
            cells = [
                f"{label.positives[split]:,}"
                + (f" ({label.unknown[split]:,} unknown)" if label.unknown[split] else "")
                for split in summary.rows
            ]
            table.add_row(escape(line(label.label)) + (" (negative)" if label.negative else ""), *cells)
        console.print(table)
    for note in summary.notes:
        console.print(f"note: {line(note)}", markup=False, soft_wrap=True)
    done = "holds this very dataset already" if summary.status == "unchanged" else "written"
    console.print(f"{line(summary.out)}: {done}, id {summary.id[:16]}", markup=False, soft_wrap=True)
