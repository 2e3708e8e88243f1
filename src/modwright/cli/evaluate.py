"""`modwright evaluate`: an artifact against labelled rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modwright.cli.against import (
    Against,
    KeyVariable,
    MostRows,
    Parallel,
    TheirLabels,
    TimeoutS,
    against_measurements,
    against_options,
    wire_options,
)
from modwright.cli.app import app
from modwright.render.words import line
from modwright.settings import load_settings

if TYPE_CHECKING:
    from modwright.cli.view import RunView
    from modwright.pipeline.evaluate import EvaluationResult
    from modwright.pipeline.proof import Measurement


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What to judge, on which splits, and where to write."""

    artifact: Path
    data: Path
    out: Path
    splits: tuple[str, ...] = ()
    resamples: int | None = None
    measurements: tuple[Measurement, ...] = ()
    errors: int = 50


@app.command("evaluate")
def command(
    artifact: Annotated[Path, typer.Argument(help="Artifact folder.")],
    data: Annotated[Path, typer.Argument(help="Dataset folder.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of metrics.json and the report.")],
    split: Annotated[
        list[str] | None,
        typer.Option("--split", metavar="NAME", help="Split to judge; else all but 'train'."),
    ] = None,
    resamples: Annotated[
        int | None, typer.Option("--resamples", min=0, help="Bootstrap resamples; else the recipe's.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="NAME", help="Figures on parts: a column, or 'length', or 'script'."),
    ] = None,
    identity: Annotated[
        list[str] | None,
        typer.Option(
            "--identity", metavar="COLUMN", help="Share of annotators who saw an identity mentioned."
        ),
    ] = None,
    terms: Annotated[
        str | None,
        typer.Option(
            "--terms", metavar="FILE", help="Terms that name identities: a file, or 'identities-en'."
        ),
    ] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also disguised texts and harmless ones in other scripts.")
    ] = False,
    against: Against = None,
    key_env: KeyVariable = None,
    ask_timeout: TimeoutS = 60.0,
    ask_parallel: Parallel = 4,
    ask_rows: MostRows = None,
    their_label: TheirLabels = None,
    errors: Annotated[
        int,
        typer.Option(
            "--errors", min=0, help="Most texts judged wrongly that the report shows, closed; 0 for none."
        ),
    ] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score labelled rows and write metrics.json and the report: report.html, report.json and report.md."""
    from modwright.cli.view import print_json, print_metrics, run_view

    asking = against_options(wire_options(key_env, ask_timeout, ask_parallel), ask_rows, their_label)
    measurements: list[Measurement] = [
        *parts_measurements(by or (), identity or (), terms),
        *robustness_measurements(robustness),
        *against_measurements(against, asking),
    ]
    options = EvaluateOptions(artifact, data, out, tuple(split or ()), resamples, tuple(measurements), errors)
    with run_view(quiet=as_json) as view:
        result = evaluate(options, view)
    if as_json:
        files = [str(path) for path in result.files]
        print_json(
            {"metrics": files[0], "report": files[1], "files": files, "splits": list(result.evaluations)}
        )
    else:
        print_metrics(result.evaluations, result.notes)
        for headline in (section.headline for finding in result.findings for section in finding.sections):
            if headline:
                print(line(headline))
        print()
        for path in result.files:
            print(path)
    if result.failures:  # all stand in the notes; the first says on standard error that there are some
        raise result.failures[0]


def parts_measurements(by: Sequence[str], identities: Sequence[str], terms: str | None) -> list[Measurement]:
    """Return what is measured on parts of the rows and over identities; raises as the measurements do."""
    from modwright.pipeline.parts import MeasureBias, MeasureSlices

    wanted: list[Measurement] = [MeasureSlices(tuple(by))] if by else []
    return [*wanted, MeasureBias.of(identities, terms)] if identities or terms else wanted


def robustness_measurements(wanted: bool) -> list[Measurement]:
    """Return every disguise and the shipped sentences of other scripts, where that is wanted."""
    from modwright.pipeline.robustness import MeasureRobustness

    return [MeasureRobustness()] if wanted else []


def evaluate(options: EvaluateOptions, view: RunView) -> EvaluationResult:
    """Read the dataset, judge the artifact, and return what was found."""
    from modwright.data.dataset import read_dataset
    from modwright.pipeline.evaluate import evaluate as run

    return run(
        options.artifact,
        read_dataset(options.data),
        options.out,
        load_settings(),
        splits=options.splits,
        resamples=options.resamples,
        measurements=options.measurements,
        errors=options.errors,
        progress=view.on_scored,
    )
