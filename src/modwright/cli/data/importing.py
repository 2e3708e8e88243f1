"""`modwright data import`."""

from __future__ import annotations

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
    Out,
    Prompt,
    Quote,
    Rename,
    Replace,
    Response,
    SchemaFile,
    Score,
    Shuffle,
    SkipLines,
    Sources,
    Splits,
    Take,
    TargetName,
    Text,
    ThresholdText,
    Weight,
    import_options,
)
from modwright.cli.data.shown import show_summary, source_progress
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
    format_name: Format = None,
    shuffle: Shuffle = None,
    buffer: Buffer = None,
    take: Take = None,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Import labelled data (JSONL, CSV, TSV, Parquet; from files, the hub, the web, S3) into a dataset folder."""
    from modwright.pipeline.importing import import_data
    from modwright.settings import load_settings

    options = import_options({**locals()})
    with source_progress() as progress:
        summary = import_data(options, load_settings(), progress, progress.read)
    show_summary(summary, as_json=as_json)
