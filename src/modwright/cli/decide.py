"""`modwright decide`: calibration, thresholds and review band of an artifact, chosen anew without training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from modwright.cli.app import app
from modwright.settings import load_settings

if TYPE_CHECKING:
    from modwright.cli.view import RunView
    from modwright.pipeline.deciding import DecideResult


@dataclass(frozen=True, slots=True)
class DecideOptions:
    """Whose decisions, on which rows, and where to write; overrides are `key.of.table=value`."""

    artifact: Path
    data: Path
    out: Path
    split: str | None = None
    overrides: tuple[str, ...] = ()
    replace: bool = False


@app.command("decide")
def command(
    artifact: Annotated[Path, typer.Argument(help="Artifact folder; it stays as it is.")],
    data: Annotated[Path, typer.Argument(help="Dataset folder with rows that the model was not trained on.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the new artifact.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Override decisions: deployment.prevalence.insult=0.02 operating_points.strict.value=0.95.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="NAME", help="Rows to decide on; else 'calibration', or the only split."
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what the folder holds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Choose calibration, operating points and review band anew on labelled rows, without training."""
    from modwright.cli.view import print_json, run_view

    options = DecideOptions(artifact, data, out, split, tuple(overrides or ()), replace)
    with run_view(quiet=as_json) as view:
        result = decide(options, view)
    if as_json:
        print_json(_as_json(result))
    else:
        _print(result, options)


def decide(options: DecideOptions, view: RunView) -> DecideResult:
    """Read the dataset, decide, and return what came of it."""
    from modwright.data.dataset import read_dataset
    from modwright.pipeline.deciding import decide_artifact

    return decide_artifact(
        options.artifact,
        read_dataset(options.data),
        options.out,
        load_settings(),
        split=options.split,
        overrides=options.overrides,
        on_event=view.on_event,
        replace=options.replace,
    )


def _as_json(result: DecideResult) -> dict[str, object]:
    decisions = result.decisions
    assert decisions.decided_on is not None
    return {
        "artifact": str(result.folder),
        "id": result.artifact.id,
        "before": result.before,
        "decided_on": decisions.decided_on.to_json(),
        "calibration": {name: value.to_json() for name, value in decisions.calibration.items()},
        "operating_points": {name: point.to_json() for name, point in decisions.points.items()},
        "review": None if decisions.review is None else decisions.review.to_json(),
        "notes": list(decisions.notes),
    }


def _print(result: DecideResult, options: DecideOptions) -> None:
    from modwright.evaluation import wording

    decisions = result.decisions
    assert decisions.decided_on is not None
    print(f"decided on {decisions.decided_on.rows:,} rows of '{decisions.decided_on.split}'")
    for name, point in decisions.points.items():
        print(f"{name}: {point.objective}")
        for target, labels in point.thresholds.items():
            for label, threshold in labels.items():
                from_score = "" if threshold > 1 or threshold <= 0 else "from "
                print(f"  {target}/{label} {from_score}{wording.threshold(threshold)}")
    for note in decisions.notes:
        print(f"note: {note}")
    print(f"\n{result.folder}  id {result.artifact.id[:12]}, before {result.before[:12]}")
    print(f"next: modwright evaluate {quote(str(options.out))} DATA --split test --out REPORT")
