"""`modwright data check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modwright.cli.data.group import data_app
from modwright.cli.data.options import (
    AsJson,
    Buffer,
    Declare,
    Delimiter,
    Drop,
    Encoding,
    Format,
    Id,
    Kind,
    Label,
    MaxRecordBytes,
    Messages,
    Negative,
    NoHeader,
    OpenAI,
    Prompt,
    Quote,
    Rename,
    Response,
    SchemaFile,
    Score,
    Shuffle,
    SkipLines,
    Take,
    TargetName,
    Text,
    ThresholdText,
    Weight,
    import_options,
)
from modwright.cli.data.shown import show_findings, source_progress
from modwright.data.options import DEFAULT_MAX_RECORD_BYTES
from modwright.schema import MODERATION_TARGET

_FAILED_CHECK = 3


@data_app.command("check")
def check_command(
    source: Annotated[str, typer.Argument(help="A dataset folder, or a file read as `data import` would.")],
    text: Text = None,
    prompt: Prompt = None,
    response: Response = None,
    messages: Messages = None,
    label: Label = None,
    score: Score = None,
    target: TargetName = MODERATION_TARGET,
    threshold: ThresholdText = None,
    kind: Kind = None,
    negative: Negative = None,
    declare: Declare = None,
    rename: Rename = None,
    drop: Drop = None,
    openai: OpenAI = False,
    schema_file: SchemaFile = None,
    id_column: Id = None,
    weight: Weight = None,
    delimiter: Delimiter = None,
    quote: Quote = "double",
    no_header: NoHeader = False,
    encoding: Encoding = "utf-8",
    skip_lines: SkipLines = 0,
    max_record_bytes: MaxRecordBytes = DEFAULT_MAX_RECORD_BYTES,
    format_name: Format = None,
    shuffle: Shuffle = None,
    buffer: Buffer = None,
    take: Take = None,
    as_json: AsJson = False,
) -> None:
    """Look for what is wrong or doubtful in a dataset; leaves with 3 where there is an error."""
    from modwright.data.checks import check_dataset
    from modwright.data.dataset import read_dataset
    from modwright.pipeline.importing import load_data
    from modwright.settings import load_settings

    if Path(source).is_dir():
        dataset = read_dataset(Path(source))
    else:
        given = {**locals(), "sources": [source], "split": None, "out": Path(), "replace": False}
        with source_progress() as progress:
            dataset = load_data(import_options(given), load_settings(), progress, progress.read).dataset
    findings = check_dataset(dataset)
    show_findings(source, findings, as_json=as_json)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(_FAILED_CHECK)
