"""`modwright data import`."""

from __future__ import annotations

from modwright.cli.data.group import data_app
from modwright.cli.data.options import (
    AsJson,
    Declare,
    Delimiter,
    Drop,
    Encoding,
    Id,
    Kind,
    Label,
    MaxRecordBytes,
    Messages,
    Negative,
    NoHeader,
    OpenAI,
    Out,
    Prompt,
    Quote,
    Rename,
    Replace,
    Response,
    SchemaFile,
    Score,
    SkipLines,
    Sources,
    Splits,
    TargetName,
    Text,
    ThresholdText,
    Weight,
    import_options,
)
from modwright.cli.data.shown import file_progress, show_summary
from modwright.data.options import DEFAULT_MAX_RECORD_BYTES
from modwright.schema import MODERATION_TARGET


@data_app.command("import")
def import_command(
    out: Out,
    sources: Sources = None,
    split: Splits = None,
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
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Import labelled files (JSONL, CSV, TSV, Parquet) into a dataset folder."""
    from modwright.data.importing import import_dataset

    options = import_options({**locals()})
    with file_progress() as progress:
        summary = import_dataset(options, progress)
    show_summary(summary, as_json=as_json)
