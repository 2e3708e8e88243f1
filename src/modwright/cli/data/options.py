"""The options that several data commands share, and what comes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from modwright.data.options import ImportOptions, Meaning, Reading, Recorded
from modwright.errors import UsageError
from modwright.schema import TargetKind

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
Messages = Annotated[
    str | None, typer.Option("--messages", metavar="COL", help="Column or key of the conversation.")
]
Id = Annotated[str | None, typer.Option("--id", metavar="COL", help="Column or key of the id.")]
Weight = Annotated[
    str | None, typer.Option("--weight", metavar="COL", help="Column or key of the row's weight.")
]
Label = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="COL",
        help="A column of 0/1, of objects (label: 0/1) or of lists of labels; alone, of a class.",
    ),
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
Rename = Annotated[
    list[str] | None,
    typer.Option("--rename", metavar="OLD=NEW", help="Rename a label; several with one new name merge."),
]
Drop = Annotated[list[str] | None, typer.Option("--drop", metavar="LABEL", help="Leave a label out.")]
OpenAI = Annotated[
    bool,
    typer.Option("--openai", help="The assistant's last message is the label, or a JSON list of labels."),
]
SchemaFile = Annotated[
    Path | None,
    typer.Option("--schema", metavar="FILE", help="The export.json or dataset.json whose schema holds."),
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


def import_options(given: dict[str, Any]) -> ImportOptions:
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
        messages=given["messages"],
        id=given["id_column"],
        weight=given["weight"],
        labels=tuple(given["label"] or ()),
        scores=tuple(given["score"] or ()),
        target=given["target"],
        threshold=given["threshold"],
        kind=given["kind"],
        negative=tuple(given["negative"] or ()),
        declared={name: tuple(value.split(",")) for name, value in pairs(given["declare"], "--declare")},
        renames=dict(pairs(given["rename"], "--rename")),
        drops=tuple(given["drop"] or ()),
        openai=given["openai"],
        recorded=_recorded(given["schema_file"]),
    )
    splits = tuple(pairs(given["split"], "--split"))
    return ImportOptions(
        tuple(given["sources"] or ()), given["out"], splits, reading, meaning, given["replace"]
    )


def _recorded(path: Path | None) -> Recorded | None:
    if path is None:
        return None
    from modwright.data.recorded import read_recorded

    return read_recorded(path)


def pairs(values: list[str] | None, option: str) -> list[tuple[str, str]]:
    """Read NAME=VALUE options; raises UsageError."""
    found = []
    for value in values or ():
        name, equals, rest = value.partition("=")
        if not equals or not name or not rest:
            raise UsageError(f"{option} is {value!r}, expected NAME=VALUE", remedy="put '=' between the two")
        found.append((name, rest))
    return found
