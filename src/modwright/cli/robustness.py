"""`modwright robustness`: an artifact against disguised texts, other scripts and functional tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modwright.cli.app import app
from modwright.render.words import line

if TYPE_CHECKING:
    from modwright.cli.view import RunView
    from modwright.pipeline.evaluate import EvaluationResult


@dataclass(frozen=True, slots=True)
class RobustnessOptions:
    """What to judge and how."""

    artifact: Path
    data: Path
    out: Path
    splits: tuple[str, ...] = ()
    perturbations: tuple[str, ...] = ()
    functional: tuple[Path, ...] = ()
    label: str = ""
    rows: int | None = None
    resamples: int | None = None


@app.command("robustness")
def command(
    artifact: Annotated[Path, typer.Argument(help="Artifact folder.")],
    data: Annotated[Path, typer.Argument(help="Dataset folder.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of metrics.json and the report.")],
    split: Annotated[
        list[str] | None,
        typer.Option("--split", metavar="NAME", help="Split to judge; else all but 'train'."),
    ] = None,
    perturb: Annotated[
        list[str] | None,
        typer.Option("--perturb", metavar="NAME", help="A disguise, such as 'leetspeak'; else all of them."),
    ] = None,
    functional: Annotated[
        list[Path] | None,
        typer.Option("--functional", metavar="FILE", help="Functional tests in HateCheck's form (CSV)."),
    ] = None,
    functional_label: Annotated[
        str,
        typer.Option(
            "--functional-label", metavar="LABEL", help="The label they test; else any that is flagged."
        ),
    ] = "",
    rows: Annotated[
        int | None, typer.Option("--rows", min=1, help="Most rows of a split to disguise; else 1000.")
    ] = None,
    resamples: Annotated[
        int | None, typer.Option("--resamples", min=0, help="Bootstrap resamples; else the recipe's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score rows as they are and disguised, harmless sentences of other scripts, and functional tests."""
    from modwright.cli.section_view import print_section
    from modwright.cli.view import print_json, run_view

    options = RobustnessOptions(
        artifact=artifact,
        data=data,
        out=out,
        splits=tuple(split or ()),
        perturbations=tuple(perturb or ()),
        functional=tuple(functional or ()),
        label=functional_label,
        rows=rows,
        resamples=resamples,
    )
    with run_view(quiet=as_json) as view:
        result = measure(options, view)
    (finding,) = result.findings
    if as_json:
        print_json(
            {"metrics": str(result.metrics), "report": str(result.report), finding.key: dict(finding.figures)}
        )
        return
    for section in finding.sections:
        print_section(section)
        print(line(section.headline))
    for note in result.notes:
        print(line(f"note: {note}"))
    print(f"\n{result.metrics}\n{result.report}")


def measure(options: RobustnessOptions, view: RunView) -> EvaluationResult:
    """Read dataset and functional tests, judge the artifact, and return what was found."""
    from modwright.cli.evaluate import EvaluateOptions, evaluate
    from modwright.evaluation.robustness import MOST_ROWS
    from modwright.pipeline.robustness import MeasureRobustness

    measurement = MeasureRobustness.of(
        options.perturbations, options.functional, options.label, options.rows or MOST_ROWS
    )
    return evaluate(
        EvaluateOptions(
            options.artifact, options.data, options.out, options.splits, options.resamples, (measurement,)
        ),
        view,
    )
