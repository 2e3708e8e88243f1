"""`modwright data export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from modwright.cli.data.group import data_app
from modwright.cli.data.options import AsJson
from modwright.render.words import line

_FORMATS = ("factory", "openai", "csv", "parquet")


@data_app.command("export")
def export_command(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a dataset.")],
    out: Annotated[
        Path, typer.Option("--out", help="A folder, or one file that ends in .jsonl, .csv or .parquet.")
    ],
    file_format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="factory, openai, csv or parquet.")
    ] = "factory",
    split: Annotated[
        list[str] | None, typer.Option("--split", metavar="NAME", help="A split to write; else all.")
    ] = None,
    safe: Annotated[
        str | None,
        typer.Option("--safe", metavar="LABEL", help="Written where no label holds (factory, openai)."),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="NAME", help="The one target to write (openai).")
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option("--threshold", metavar="EXPR", help="'> 0.5' or the like for soft labels (openai)."),
    ] = None,
    drop_unknown: Annotated[
        bool,
        typer.Option("--drop-unknown", help="Leave out rows not all labels of which are known (openai)."),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an earlier export.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a dataset as Classifier Factory JSONL, OpenAI chat JSONL, CSV or Parquet."""
    from modwright.data.dataset import read_dataset
    from modwright.data.export import ExportFormat, ExportOptions, export_dataset
    from modwright.errors import UsageError, nearest

    if file_format not in _FORMATS:
        raise UsageError(f"--format is {file_format!r}", remedy=nearest(file_format, _FORMATS))
    options = ExportOptions(
        ExportFormat(file_format),
        out,
        tuple(split or ()),
        safe=safe,
        target=target,
        threshold=threshold,
        drop_unknown=drop_unknown,
        replace=replace,
    )
    summary = export_dataset(read_dataset(source), options)
    if as_json:
        typer.echo(json.dumps(summary.to_json(), indent=2, ensure_ascii=False))
        return
    for name, file in summary.files.items():
        typer.echo(f"{line(name)}: {line(file['file'])}, {file['rows']:,} rows, {file['bytes']:,} bytes")
    for note in summary.notes:
        typer.echo(f"note: {line(note)}")
    typer.echo(f"read it again: {line(summary.back)}")
