"""What data commands print: progress, what a dataset holds, what the checks found."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from modwright.data.options import Progress

if TYPE_CHECKING:
    from modwright.data.checks import Finding
    from modwright.data.summary import ImportSummary

_SHOWN_PLACES = 3


@contextmanager
def file_progress() -> Iterator[Progress | None]:
    """Give a progress callback that draws a bar per file on a terminal, else None."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn
    from rich.progress import Progress as Bars

    with Bars(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=Console(stderr=True)
    ) as bars:
        tasks: dict[str, Any] = {}

        def update(name: str, done: int, size: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(Path(name).name, total=size)
            bars.update(tasks[name], completed=done)

        yield update


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
        console.print(f"{target.target} ({target.kind})", markup=False)
        table = Table()
        table.add_column("label")
        for split, rows in summary.rows.items():
            table.add_column(escape(f"{split}\n{rows:,} rows"), justify="right")
        for label in target.labels:
            cells = [
                f"{label.positives[split]:,}"
                + (f" ({label.unknown[split]:,} unknown)" if label.unknown[split] else "")
                for split in summary.rows
            ]
            table.add_row(escape(label.label) + (" (negative)" if label.negative else ""), *cells)
        console.print(table)
    for note in summary.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    done = "holds this very dataset already" if summary.status == "unchanged" else "written"
    console.print(f"{summary.out}: {done}, id {summary.id[:16]}", markup=False, soft_wrap=True)


def show_findings(source: str, findings: list[Finding], *, as_json: bool) -> None:
    """Print what the checks found, one block per finding, or JSON."""
    if as_json:
        typer.echo(
            json.dumps(
                {"findings": [finding.to_json() for finding in findings]}, indent=2, ensure_ascii=False
            )
        )
        return
    for finding in findings:
        typer.echo(f"{finding.severity}: {finding.message} [{finding.code}]")
        if finding.places:
            more = ", …" if finding.rows > _SHOWN_PLACES else ""
            typer.echo(f"    at {', '.join(finding.places[:_SHOWN_PLACES])}{more}")
        typer.echo(f"    {finding.remedy}")
    counts = ", ".join(
        f"{sum(finding.severity == severity for finding in findings)} {severity}s"
        for severity in ("error", "warning")
    )
    typer.echo(f"{source}: {counts}")
