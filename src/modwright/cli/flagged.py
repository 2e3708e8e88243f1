"""`modwright flagged`: answers of several models before several judges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modwright.cli.against import KeyVariable, Parallel, TimeoutS, wire_options
from modwright.cli.app import app
from modwright.cli.data.options import Delimiter, Format, Messages, Prompt, Response, Text
from modwright.settings import load_settings

if TYPE_CHECKING:
    from modwright.pipeline.flagged import Flagged


@app.command("flagged")
def command(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES...", help="Answers: CSV, TSV, JSONL or Parquet files.")
    ],
    judge: Annotated[
        list[str],
        typer.Option(
            "--judge",
            metavar="JUDGE",
            help="An artifact's folder; COLUMN or COLUMN=VALUE,... (the values that mean flagged); "
            "[MODEL@]https://HOST; llm:MODEL@URL.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of flagged.json, .md, .svg and .png.")],
    model_column: Annotated[
        str | None,
        typer.Option(
            "--model-column", metavar="COL", help="Column of the answering model; else the file's name."
        ),
    ] = None,
    text: Text = None,
    prompt: Prompt = None,
    response: Response = None,
    messages: Messages = None,
    delimiter: Delimiter = None,
    format_name: Format = None,
    operating_point: Annotated[
        str, typer.Option("--operating-point", help="Name of the thresholds that decide an artifact's flags.")
    ] = "default",
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="NAME", help="Target whose flags count; else every target."),
    ] = None,
    judge_label: Annotated[
        list[str] | None,
        typer.Option(
            "--judge-label", metavar="LABEL", help="What those over HTTP are asked for; else 'harmful'."
        ),
    ] = None,
    key_env: KeyVariable = None,
    ask_timeout: TimeoutS = 60.0,
    ask_parallel: Parallel = 4,
    resamples: Annotated[
        int, typer.Option("--resamples", min=0, help="Bootstrap resamples of kappa.")
    ] = 1_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how often each judge flags each model's answers, and how far the judges agree."""
    from modwright.cli.view import print_json, run_view
    from modwright.data.options import Meaning, Reading
    from modwright.pipeline.flagged import PICTURES, FlaggedOptions, flagged
    from modwright.pipeline.judges import JudgeOptions

    options = FlaggedOptions(
        sources=tuple(files),
        judges=tuple(judge),
        model_column=model_column,
        meaning=Meaning(text=text, prompt=prompt, response=response, messages=messages),
        reading=Reading(delimiter=delimiter, format=format_name),
        asking=JudgeOptions(
            operating_point,
            target,
            wire_options(key_env, ask_timeout, ask_parallel),
            tuple(judge_label or ()),
        ),
        resamples=resamples,
    )
    with run_view(quiet=as_json) as view:
        found = flagged(options, out, load_settings(), view.on_scored)
    if as_json:
        print_json(found.to_json())
        return
    show(found)
    print(f"\n{out / PICTURES[1]}")


def show(found: Flagged) -> None:
    """Print both tables and the notes."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from modwright.pipeline.flagged_table import agreement_rows, notes, proportion_rows
    from modwright.render.words import line

    terminal = Console(highlight=False)
    console = terminal if terminal.is_terminal else Console(highlight=False, width=160)
    for heading, *rows in (proportion_rows(found), agreement_rows(found)):
        if not rows:
            continue
        table = Table(box=None, pad_edge=False, header_style="bold")
        for place, name in enumerate(heading):
            table.add_column(escape(line(name)), justify="right" if place else "left")
        for row in rows:
            table.add_row(*(escape(line(cell)) for cell in row))
        console.print(table)
        console.print()
    for note in notes(found):
        console.print(escape(line(note)))
