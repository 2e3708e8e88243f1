"""`modwright data`: import labelled files, check a dataset, split it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modwright.cli.app import app
from modwright.data.options import (
    DEFAULT_FRACTIONS,
    DEFAULT_MAX_RECORD_BYTES,
    ImportOptions,
    Meaning,
    Progress,
    Reading,
)
from modwright.errors import UsageError
from modwright.schema import MODERATION_TARGET, TargetKind

if TYPE_CHECKING:
    from modwright.data.checks import Finding
    from modwright.data.summary import ImportSummary

_FAILED_CHECK = 3
_SHOWN_PLACES = 3

data_app = typer.Typer(help="Import, check and split labelled data.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Sources = Annotated[list[str] | None, typer.Argument(metavar="SRC...", help="Files of the split 'train'.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the dataset.")]
Splits = Annotated[
    list[str] | None, typer.Option("--split", metavar="NAME=SRC", help="A file of another split.")
]
Text = Annotated[str | None, typer.Option("--text", metavar="COL", help="Column or key of the text.")]
Prompt = Annotated[str | None, typer.Option("--prompt", metavar="COL", help="Column or key of the prompt.")]
Response = Annotated[
    str | None, typer.Option("--response", metavar="COL", help="Column or key of the response.")
]
Id = Annotated[str | None, typer.Option("--id", metavar="COL", help="Column or key of the id.")]
Weight = Annotated[
    str | None, typer.Option("--weight", metavar="COL", help="Column or key of the row's weight.")
]
Label = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="COL", help="A column of 0/1; alone, it may hold the class instead."),
]
Score = Annotated[
    list[str] | None, typer.Option("--score", metavar="COL", help="A column that holds a score.")
]
TargetName = Annotated[
    str, typer.Option("--target", metavar="NAME", help="The target of --label and --score.")
]
ThresholdText = Annotated[
    str | None,
    typer.Option(
        "--threshold",
        metavar="EXPR",
        help="'> 0.5', '>= median', '> q0.9' (over the training rows); else soft.",
    ),
]
Kind = Annotated[TargetKind | None, typer.Option("--kind", help="Force the kind of the target.")]
Negative = Annotated[
    list[str] | None,
    typer.Option("--negative", metavar="LABEL", help="A label that says 'nothing wrong' (else: safe)."),
]
Declare = Annotated[
    list[str] | None,
    typer.Option("--declare", metavar="TARGET=A,B", help="The labels of a target, in order."),
]
Delimiter = Annotated[
    str | None, typer.Option("--delimiter", metavar="C", help="Else ',' for .csv and a tab for .tsv.")
]
Quote = Annotated[str, typer.Option("--quote", help="'double' as RFC 4180 says, or 'none'.")]
NoHeader = Annotated[bool, typer.Option("--no-header", help="The columns are column_1, column_2, …")]
Encoding = Annotated[str, typer.Option("--encoding", help="The files' encoding.")]
SkipLines = Annotated[int, typer.Option("--skip-lines", min=0, help="Lines before the header to leave out.")]
MaxRecordBytes = Annotated[
    int, typer.Option("--max-record-bytes", min=1, help="A larger record is an error.")
]
Replace = Annotated[bool, typer.Option("--replace", help="Replace another dataset in the folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@data_app.command("import")
def import_command(
    out: Out,
    sources: Sources = None,
    split: Splits = None,
    text: Text = None,
    prompt: Prompt = None,
    response: Response = None,
    label: Label = None,
    score: Score = None,
    target: TargetName = MODERATION_TARGET,
    threshold: ThresholdText = None,
    kind: Kind = None,
    negative: Negative = None,
    declare: Declare = None,
    id_column: Id = None,
    weight: Weight = None,
    delimiter: Delimiter = None,
    quote: Quote = "double",
    no_header: NoHeader = False,
    encoding: Encoding = "utf-8",
    skip_lines: SkipLines = 0,
    max_record_bytes: MaxRecordBytes = DEFAULT_MAX_RECORD_BYTES,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Import labelled files (JSONL, CSV, TSV, Parquet) into a dataset folder."""
    from modwright.data.importing import import_dataset

    options = _import_options({**locals()})
    with _progress() as progress:
        summary = import_dataset(options, progress)
    show_summary(summary, as_json=as_json)


@data_app.command("check")
def check_command(
    source: Annotated[str, typer.Argument(help="A dataset folder, or a file read as `data import` would.")],
    text: Text = None,
    prompt: Prompt = None,
    response: Response = None,
    label: Label = None,
    score: Score = None,
    target: TargetName = MODERATION_TARGET,
    threshold: ThresholdText = None,
    kind: Kind = None,
    negative: Negative = None,
    declare: Declare = None,
    id_column: Id = None,
    weight: Weight = None,
    delimiter: Delimiter = None,
    quote: Quote = "double",
    no_header: NoHeader = False,
    encoding: Encoding = "utf-8",
    skip_lines: SkipLines = 0,
    max_record_bytes: MaxRecordBytes = DEFAULT_MAX_RECORD_BYTES,
    as_json: AsJson = False,
) -> None:
    """Look for what is wrong or doubtful in a dataset; leaves with 3 where there is an error."""
    from modwright.data.checks import check_dataset
    from modwright.data.dataset import read_dataset
    from modwright.data.importing import load_dataset

    if Path(source).is_dir():
        dataset = read_dataset(Path(source))
    else:
        given = {**locals(), "sources": [source], "split": None, "out": Path(), "replace": False}
        with _progress() as progress:
            dataset = load_dataset(_import_options(given), progress).dataset
    findings = check_dataset(dataset)
    show_findings(source, findings, as_json=as_json)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(_FAILED_CHECK)


@data_app.command("split")
def split_command(
    source: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a dataset; its 'train' is dealt out.")
    ],
    out: Out,
    fractions: Annotated[
        str, typer.Option("--fractions", help="Parts and their shares of the rows.")
    ] = DEFAULT_FRACTIONS,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same parts.")] = 0,
    group: Annotated[
        str | None, typer.Option("--group", metavar="COL", help="Column whose equal values stay together.")
    ] = None,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Deal the training rows into parts: prompts and duplicates stay together, labels are spread evenly."""
    from modwright.data.resplit import SplitOptions, parse_fractions, split_dataset

    options = SplitOptions(source, out, parse_fractions(fractions), seed, group, replace)
    show_summary(split_dataset(options), as_json=as_json)


def _import_options(given: dict[str, Any]) -> ImportOptions:
    """Build the options of an import from a command's parameters."""
    if given["quote"] not in ("double", "none"):
        raise UsageError(f"--quote is {given['quote']!r}", remedy="give double or none")
    reading = Reading(
        delimiter=given["delimiter"],
        quoted=given["quote"] == "double",
        header=not given["no_header"],
        encoding=given["encoding"],
        skip_lines=given["skip_lines"],
        max_record_bytes=given["max_record_bytes"],
    )
    meaning = Meaning(
        text=given["text"],
        prompt=given["prompt"],
        response=given["response"],
        id=given["id_column"],
        weight=given["weight"],
        labels=tuple(given["label"] or ()),
        scores=tuple(given["score"] or ()),
        target=given["target"],
        threshold=given["threshold"],
        kind=given["kind"],
        negative=tuple(given["negative"] or ()),
        declared={name: tuple(value.split(",")) for name, value in _pairs(given["declare"], "--declare")},
    )
    splits = tuple(_pairs(given["split"], "--split"))
    return ImportOptions(
        tuple(given["sources"] or ()), given["out"], splits, reading, meaning, given["replace"]
    )


def _pairs(values: list[str] | None, option: str) -> list[tuple[str, str]]:
    """Read NAME=VALUE options; raises UsageError."""
    pairs = []
    for value in values or ():
        name, equals, rest = value.partition("=")
        if not equals or not name or not rest:
            raise UsageError(f"{option} is {value!r}, expected NAME=VALUE", remedy="put '=' between the two")
        pairs.append((name, rest))
    return pairs


@contextmanager
def _progress() -> Iterator[Progress | None]:
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
