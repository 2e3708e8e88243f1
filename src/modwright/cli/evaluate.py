"""`modwright evaluate`: an artifact against labelled rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modwright.cli.app import app
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


@app.command("evaluate")
def command(
    artifact: Annotated[Path, typer.Argument(help="Artifact folder.")],
    data: Annotated[Path, typer.Argument(help="Dataset folder.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of metrics.json and report.html.")],
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score labelled rows and write metrics.json and a report of one file."""
    from modwright.cli.view import print_json, print_metrics, run_view

    measurements: list[Measurement] = [*parts_measurements(by or (), identity or (), terms)]
    options = EvaluateOptions(artifact, data, out, tuple(split or ()), resamples, tuple(measurements))
    with run_view(quiet=as_json) as view:
        result = evaluate(options, view)
    if as_json:
        print_json(
            {"metrics": str(result.metrics), "report": str(result.report), "splits": list(result.evaluations)}
        )
        return
    print_metrics(result.evaluations, result.notes)
    print(f"\n{result.metrics}\n{result.report}")


def parts_measurements(by: Sequence[str], identities: Sequence[str], terms: str | None) -> list[Measurement]:
    """Return what is measured on parts of the rows and over identities; raises as the measurements do."""
    from modwright.pipeline.parts import MeasureBias, MeasureSlices

    wanted: list[Measurement] = [MeasureSlices(tuple(by))] if by else []
    return [*wanted, MeasureBias.of(identities, terms)] if identities or terms else wanted


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
        progress=view.on_scored,
    )
