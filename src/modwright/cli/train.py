"""`modwright train`: a recipe and a dataset in, a proven artifact out; or a grid of them, or only an estimate."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from modwright.cli.app import app
from modwright.errors import UsageError
from modwright.settings import load_settings

if TYPE_CHECKING:
    from modwright.cli.view import RunView
    from modwright.pipeline.grid import GridResult
    from modwright.pipeline.train import TrainResult
    from modwright.training.estimate import Estimate


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
    out: Annotated[Path, typer.Option("--out", help="Folder of the artifact, or of a grid's artifacts.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Override recipe values: head.folds=10. A list, epochs=1,2,3, trains each and compares.",
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what the folder holds.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it will take: steps, time, memory, disk.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train a classifier and prove it: metrics, calibrated scores, thresholds, a model card."""
    from modwright.cli.view import run_view
    from modwright.pipeline.torchrun import as_worker, shows
    from modwright.recipe import varied

    options = TrainOptions(recipe, data, out, tuple(overrides or ()), replace)
    grid = bool(varied(options.overrides))
    if not (dry_run or grid) and train_in_processes(options, as_json):
        return
    with as_worker(), run_view(quiet=as_json or not shows()) as view:
        if dry_run:
            estimated = estimate(options, view)
        elif grid:
            compared = train_grid(options, view)
        else:
            result = train(options, view)
    if not shows():
        return
    if dry_run:
        _show_estimate(estimated, as_json)
    elif grid:
        _show_grid(compared, as_json)
    else:
        _show(result, options, as_json)


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


def train_in_processes(options: TrainOptions, as_json: bool) -> bool:
    """Where the recipe shards its model and this is none of its processes, start them, and say so; wait for their end."""
    from modwright.pipeline.torchrun import is_worker, launch, processes_of, torchrun_line
    from modwright.recipe import load_recipe

    processes = processes_of(load_recipe(options.recipe, options.overrides))
    if processes == 1 or is_worker():
        return False
    flags = (("--replace", options.replace), ("--json", as_json))
    arguments = [
        "train",
        options.recipe,
        *options.overrides,
        "--data",
        str(options.data),
        "--out",
        str(options.out),
    ]
    arguments += [flag for flag, given in flags if given]
    print(f"over {processes} processes: {torchrun_line(arguments, processes)}", file=sys.stderr)
    launch(arguments, processes)
    return True


def train_grid(options: TrainOptions, view: RunView) -> GridResult:
    """Train every run of a grid below the folder, and return how they compare."""
    from modwright.data.dataset import read_dataset
    from modwright.pipeline.grid import plan_grid, run_grid
    from modwright.recipe import varied

    members = plan_grid(options.recipe, options.overrides, options.out)
    return run_grid(
        members,
        varied(options.overrides),
        read_dataset(options.data),
        options.out,
        load_settings(),
        on_event=view.on_event,
        on_member=lambda place, member: view.say(f"{place + 1} of {len(members)}: {member.folder.name}"),
        progress=view.catalog,
        embedding_progress=view.on_texts,
        replace=options.replace,
    )


def estimate(options: TrainOptions, view: RunView) -> Estimate:
    """Return what training would take; nothing is written but the cache."""
    from modwright.data.dataset import read_dataset
    from modwright.pipeline.estimating import estimate as run
    from modwright.recipe import load_recipe, varied

    keys = varied(options.overrides)
    if keys:
        raise UsageError(
            f"--dry-run estimates one run, and {', '.join(keys)} has several values",
            remedy="give one value of each",
        )
    return run(
        load_recipe(options.recipe, options.overrides),
        read_dataset(options.data),
        load_settings(),
        on_event=view.on_event,
        progress=view.catalog,
    )


def _show(result: TrainResult, options: TrainOptions, as_json: bool) -> None:
    from modwright.cli.view import print_json, print_metrics

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
    model, rows, report = (
        quote(str(path)) for path in (options.out, options.data, f"{options.out}-evaluation")
    )
    print(f"next: modwright evaluate {model} {rows} --out {report}   or: modwright serve {model}")


def _show_grid(grid: GridResult, as_json: bool) -> None:
    from modwright.cli.grid_table import print_grid
    from modwright.cli.view import print_json

    if as_json:
        print_json({"folder": str(grid.folder), **grid.to_json()})
    else:
        print_grid(grid)
    if grid.failed:
        raise typer.Exit(1)


def _show_estimate(estimated: Estimate, as_json: bool) -> None:
    from modwright.cli.estimate_view import print_estimate
    from modwright.cli.view import print_json

    if as_json:
        print_json(estimated.to_json())
    else:
        print_estimate(estimated)
