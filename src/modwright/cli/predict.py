"""`modwright predict`: a file of texts in, a file of scores out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modwright.cli.app import app
from modwright.settings import load_settings


@app.command("predict")
def command(
    artifact: Annotated[Path, typer.Argument(help="Artifact folder.")],
    source: Annotated[
        Path, typer.Option("--input", help="JSONL: text, messages, or prompt and response; id.")
    ],
    output: Annotated[Path, typer.Option("--output", help="JSONL file to write.")],
    operating_point: Annotated[
        str, typer.Option("--operating-point", help="Name of the thresholds that decide flags.")
    ] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score and flag every line of a JSONL file."""
    from modwright.cli.view import print_json

    count = predict(artifact, source, output, operating_point)
    if as_json:
        print_json({"output": str(output), "lines": count})
    else:
        print(f"{count:,} {'line' if count == 1 else 'lines'} scored: {output}")


def predict(artifact: Path, source: Path, output: Path, operating_point: str = "default") -> int:
    """Load the artifact and score the file; returns the number of lines."""
    from modwright.pipeline.predict import predict as run
    from modwright.serving.engine import Engine

    engine = Engine.load(artifact, threads=load_settings().threads, bulk=True)
    return run(engine, source, output, operating_point=operating_point)
