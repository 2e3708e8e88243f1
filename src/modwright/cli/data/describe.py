"""`modwright data describe`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from modwright.cli.data.group import data_app
from modwright.cli.data.options import AsJson
from modwright.cli.data.shown import source_progress
from modwright.render.words import percent, shortened, shown
from modwright.settings import load_settings

if TYPE_CHECKING:
    from modwright.data.describe import Description

_PIPE_WIDTH = 120
_MOST_LABELS = 60


@data_app.command("describe")
def describe_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a dataset.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of describe.json, describe.html and the pictures.")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", metavar="NAME", help="Count lengths in this base's tokens, too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a dataset holds: rows, labels, lengths, labels together; with --out as a page and pictures."""
    from modwright.data.dataset import read_dataset
    from modwright.pipeline.describing import dataset_facts, describe_dataset, write_description
    from modwright.pipeline.outputs import refuse_description

    if out is not None:
        refuse_description(out)
    dataset = read_dataset(folder)
    with source_progress() as progress:
        found = describe_dataset(dataset, base, load_settings(), progress)
    written = (
        []
        if out is None
        else write_description(found, folder.name or str(folder), dataset_facts(dataset), out)
    )
    if as_json:
        print(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
        return
    _print(found)
    for path in written:
        print(path)


def _print(found: Description) -> None:
    screen = Console(highlight=False)
    console = screen if screen.is_terminal else Console(width=max(screen.width, _PIPE_WIDTH), highlight=False)
    for place, target in enumerate(found.schema.targets):
        console.print(f"{escape(shown(target.name))} ({target.kind})")
        console.print(_label_table(found, place))
        if len(target.labels) > _MOST_LABELS:
            console.print(f"{len(target.labels) - _MOST_LABELS} labels more: --json lists them all")
    console.print("lengths")
    console.print(_length_table(found))


def _label_table(found: Description, place: int) -> Table:
    table = Table()
    table.add_column("label", overflow="fold")
    for split in found.splits:
        table.add_column(escape(f"{shown(split.split)}\n{split.rows:,} rows"), justify="right")
    counts = [split.targets[place] for split in found.splits]
    for row, label in enumerate(counts[0].labels[:_MOST_LABELS]):
        cells = []
        for target in counts:
            one = target.labels[row]
            unknown = f" ({one.unknown:,} unknown)" if one.unknown else ""
            cells.append(f"{one.positives:,}  {percent(one.prevalence):>6}{unknown}")
        negative = " (negative)" if label.negative else ""
        table.add_row(escape(shortened(label.label, 60)) + negative, *cells)
    table.add_section()
    for name, values in (
        ("flagged", [target.flagged for target in counts]),
        ("not flagged", [target.unflagged for target in counts]),
        ("unknown", [target.unknown for target in counts]),
    ):
        if any(values):
            rows = [split.rows for split in found.splits]
            cells = [
                f"{value:,}  {percent(value / of if of else None):>6}"
                for value, of in zip(values, rows, strict=True)
            ]
            table.add_row(name, *cells, style="italic")
    return table


def _length_table(found: Description) -> Table:
    table = Table()
    table.add_column("split")
    table.add_column("in")
    names = list(found.splits[0].lengths[0].quantiles) if found.splits else []
    for name in [*names, "mean", *(["over"] if found.base else [])]:
        table.add_column(name, justify="right")
    for split in found.splits:
        for lengths in split.lengths:
            figures = [
                f"{lengths.quantiles[name]:,.0f}" if name in lengths.quantiles else "" for name in names
            ]
            over = [] if not found.base else ["" if lengths.over is None else f"{lengths.over:,}"]
            table.add_row(escape(shown(split.split)), lengths.unit, *figures, f"{lengths.mean:,.0f}", *over)
    return table
