"""`modwright train`: a recipe and a dataset in, a proven artifact out."""

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
    from modwright.pipeline.train import TrainResult


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What to train, on what, into which folder; overrides are `key.of.table=value`."""

    recipe: str
    data: Path
    out: Path
    overrides: tuple[str, ...] = ()
    replace: bool = False


@app.command("train")
def command(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a path.")],
    data: Annotated[Path, typer.Option("--data", help="Dataset folder, from `modwright data import`.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the artifact.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Override recipe values: head.folds=10."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what the folder holds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train a classifier and prove it: metrics, calibrated scores, thresholds, a model card."""
    from modwright.cli.view import print_json, print_metrics, run_view

    with run_view(quiet=as_json) as view:
        result = train(TrainOptions(recipe, data, out, tuple(overrides or ()), replace), view)
    if as_json:
        print_json({"artifact": str(result.folder), "id": result.artifact.id, "unchanged": result.unchanged})
        return
    if result.unchanged:
        print(
            f"{result.folder} holds the model of this very recipe and data already (id {result.artifact.id[:12]})"
        )
        return
    print_metrics(result.evaluations)
    print(f"\n{result.folder}  id {result.artifact.id[:12]}; a fresh process gives the same scores")
    model, rows, report = (quote(str(path)) for path in (out, data, f"{out}-evaluation"))
    print(f"next: modwright evaluate {model} {rows} --out {report}   or: modwright serve {model}")


def train(options: TrainOptions, view: RunView) -> TrainResult:
    """Read recipe and dataset, train, and return what came of it."""
    from modwright.data.dataset import read_dataset
    from modwright.pipeline.train import train as run
    from modwright.recipe import load_recipe

    return run(
        load_recipe(options.recipe, options.overrides),
        read_dataset(options.data),
        options.out,
        load_settings(),
        on_event=view.on_event,
        progress=view.catalog,
        embedding_progress=view.on_texts,
        replace=options.replace,
    )
