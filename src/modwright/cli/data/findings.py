"""What `data check` prints, writes and exits with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from modwright.render.words import shown

if TYPE_CHECKING:
    from modwright.data.checks import Finding

_PIPE_WIDTH = 140
_SHOWN_PLACES = 3
_STYLES = {"error": "bold red", "warning": "yellow", "info": "dim"}
_MOST_PLACE = 34


def show_findings(source: str, findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print what the checks found as a table, the gravest first, or as JSON."""
    from modwright.data.checks.findings import common_folder

    if as_json:
        print(
            json.dumps(
                {"findings": [finding.to_json() for finding in findings]}, indent=2, ensure_ascii=False
            )
        )
        return
    found = Console(highlight=False)
    console = found if found.is_terminal else Console(width=max(found.width, _PIPE_WIDTH), highlight=False)
    if findings:
        folder = common_folder(findings)
        console.print(_table(findings, folder))
        if folder:
            console.print(escape(f"where: in {shown(folder)}"), soft_wrap=True)
    counts = ", ".join(_counted(findings, severity) for severity in ("error", "warning", "info"))
    console.print(escape(f"{source}: {counts}"), soft_wrap=True)


def _counted(findings: Sequence[Finding], severity: str) -> str:
    number = sum(finding.severity == severity for finding in findings)
    name = "note" if severity == "info" else severity
    return f"{number} {name}{'s' * (number != 1)}"


def _table(findings: Sequence[Finding], folder: str) -> Table:
    table = Table(show_lines=True, header_style="bold", expand=False)
    table.add_column("severity", no_wrap=True)
    table.add_column("code", overflow="fold", min_width=12)
    table.add_column("what was found", overflow="fold", ratio=4)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("where", overflow="fold", ratio=2)
    table.add_column("what to do", overflow="fold", ratio=3)
    for finding in findings:
        places = [_tail(place.removeprefix(folder)) for place in finding.places[:_SHOWN_PLACES]]
        if finding.rows > len(places) > 0:
            places.append("…")
        severity = str(finding.severity)
        cells = (severity, finding.code, finding.message, f"{finding.rows:,}" if finding.rows else "")
        table.add_row(
            *(escape(shown(cell)) for cell in cells),
            escape("\n".join(places)),
            escape(finding.remedy),
            style=_STYLES[severity],
        )
    return table


def _tail(place: str) -> str:
    """Return a place whose path is cut at its beginning where it is long: the line's number always shows."""
    whole = shown(place)
    return whole if len(whole) <= _MOST_PLACE else "…" + whole[1 - _MOST_PLACE :]
