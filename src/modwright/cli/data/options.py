"""The options that several data commands share, and what comes of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from modwright.data.options import ImportOptions, Meaning, Reading, Recorded
from modwright.data.sampling import Sampling
from modwright.errors import UsageError
from modwright.schema import TargetKind

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SRC...",
        help="Files of the split 'train': paths, 'data/*.jsonl', hf://OWNER/NAME:SPLIT, https://, s3://, '-'.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder of the dataset.")]
Splits = Annotated[
    list[str] | None, typer.Option("--split", metavar="NAME=SRC", help="Files of another split.")
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
    typer.Option(
        "--schema",
        metavar="FILE",
        help="The export.json or dataset.json whose schema holds, or a shipped one: qa-moderation.",
    ),
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
Format = Annotated[
    str | None,
    typer.Option("--format", metavar="F", help="csv, tsv, jsonl or parquet, whatever the names end in."),
]
Shuffle = Annotated[
    int | None, typer.Option("--shuffle", metavar="SEED", min=0, help="Shuffle every split as it is read.")
]
Buffer = Annotated[
    int | None, typer.Option("--buffer", metavar="N", min=1, help="Rows that wait in a shuffle; else 1000.")
]
Take = Annotated[
    list[str] | None,
    typer.Option("--take", metavar="[SPLIT=]N", help="Rows to take of each split, or of one; else all."),
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
        format=given["format_name"],
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
        declared={name: _names(value) for name, value in pairs(given["declare"], "--declare")},
        renames=dict(pairs(given["rename"], "--rename")),
        drops=tuple(given["drop"] or ()),
        openai=given["openai"],
        recorded=_recorded(given["schema_file"]),
    )
    splits = tuple(pairs(given["split"], "--split"))
    options = ImportOptions(
        tuple(given["sources"] or ()), given["out"], splits, reading, meaning, given["replace"]
    )
    return dataclasses.replace(options, sampling=_sampling(given, [split for split, _ in options.files()]))


def _names(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(","))


def _sampling(given: dict[str, Any], splits: list[str]) -> dict[str, Sampling]:
    """Return the sample of each split; one named in --take takes that, the others what stands without a name."""
    takes = {}
    for value in given["take"] or ():
        split, _, number = value.rpartition("=")
        if not number.isascii() or not number.isdigit():
            raise UsageError(
                f"--take is {value!r}, expected [SPLIT=]N", remedy="such as --take 1000 or --take test=200"
            )
        if split in takes:
            raise UsageError(f"--take is given twice for {split or 'every split'}", remedy="give it once")
        takes[split] = int(number)
    names = dict.fromkeys([*splits, *(name for name in takes if name)])
    samples = {
        name: Sampling(given["shuffle"], given["buffer"], takes.get(name, takes.get(""))) for name in names
    }
    return {name: sample for name, sample in samples.items() if sample != Sampling()}


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
