"""`modwright data check`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modwright.catalog import spec_label
from modwright.cli.data.findings import show_findings
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
from modwright.cli.data.shown import source_progress
from modwright.cli.view import run_view
from modwright.data.options import DEFAULT_MAX_RECORD_BYTES, Meaning, Reading
from modwright.errors import UsageError
from modwright.schema import MODERATION_TARGET
from modwright.settings import load_settings

if TYPE_CHECKING:
    from modwright.data.dataset import Dataset
    from modwright.pipeline.checking import Checked

_FAILED_CHECK = 3
Base = Annotated[
    str | None,
    typer.Option("--base", metavar="NAME", help="Say which texts are longer than this base's window."),
]
LabelErrors = Annotated[
    bool,
    typer.Option(
        "--label-errors", help="Train the recipe 'fast' out of fold and doubt labels it contradicts."
    ),
]
ErrorsOut = Annotated[
    Path | None,
    typer.Option("--errors-out", metavar="FILE", help="List those rows: .csv, .json or .jsonl."),
]
NoNear = Annotated[bool, typer.Option("--no-near", help="Leave out near-duplicates, the slowest check.")]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the findings as a page.")]


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
    base: Base = None,
    label_errors: LabelErrors = False,
    errors_out: ErrorsOut = None,
    no_near: NoNear = False,
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Look for what is wrong or doubtful in a dataset; leaves with 3 where there is an error."""
    given = {**locals(), "sources": [source], "split": None, "out": Path(), "replace": False}
    _refuse_outputs(html, errors_out)
    dataset = _loaded(given)
    checked = _checked(dataset, base, label_errors or errors_out is not None, not no_near, quiet=as_json)
    if errors_out is not None and checked.errors is not None:
        from modwright.pipeline.checking import write_label_errors

        write_label_errors(checked.errors, errors_out)
    if html is not None:
        from modwright.data.checks.page import checks_page
        from modwright.files import write_text_atomic
        from modwright.pipeline.describing import dataset_facts

        write_text_atomic(html, checks_page(spec_label(source), checked.findings, dataset_facts(dataset)))
    show_findings(spec_label(source), checked.findings, as_json=as_json)
    if any(finding.severity == "error" for finding in checked.findings):
        raise typer.Exit(_FAILED_CHECK)


def _refuse_outputs(html: Path | None, errors_out: Path | None) -> None:
    """Refuse to write over what is not an earlier page or list, before any work."""
    from modwright.pipeline.outputs import refuse_list, refuse_page

    if errors_out is not None:
        refuse_list(errors_out)
    if html is not None:
        refuse_page(html)
        if errors_out is not None and os.path.realpath(html) == os.path.realpath(errors_out):
            raise UsageError("is --html and --errors-out", where=str(html), remedy="name two files")


def _loaded(given: dict[str, Any]) -> Dataset:
    """Read a dataset folder, or whatever else `data import` reads."""
    from modwright.data.dataset import read_dataset

    (source,) = given["sources"]
    options = import_options(given)
    if Path(source).is_dir():
        if (options.reading, options.meaning, options.sampling) != (Reading(), Meaning(), {}):
            raise UsageError(
                "is a dataset, which knows its columns, and options say how a file is read",
                where=source,
                remedy="leave out --text, --label and the like",
            )
        return read_dataset(Path(source))
    from modwright.pipeline.importing import load_data

    with source_progress() as progress:
        return load_data(options, load_settings(), progress, progress.read).dataset


def _checked(dataset: Dataset, base: str | None, label_errors: bool, near: bool, *, quiet: bool) -> Checked:
    """Run the checks; with a base or with models, show how far they are."""
    from modwright.pipeline.checking import CheckOptions, check

    options = CheckOptions(base=base, label_errors=label_errors, near=near)
    with run_view(quiet=quiet) as view:
        return check(
            dataset,
            options,
            load_settings(),
            on_event=view.on_event,
            progress=view.catalog,
            embedding_progress=view.on_texts,
        )
