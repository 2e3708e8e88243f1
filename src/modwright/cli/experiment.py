"""`modwright experiment`: questions about a recipe and data that one training does not answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modwright.cli.app import app
from modwright.settings import load_settings

if TYPE_CHECKING:
    from modwright.cli.view import RunView
    from modwright.evaluation.resampling import Interval
    from modwright.pipeline.response_use import ResponseUse

experiment_app = typer.Typer(help="Ask what one training does not answer.", no_args_is_help=True)
app.add_typer(experiment_app, name="experiment")


@dataclass(frozen=True, slots=True)
class ResponseOptions:
    """Which recipe, on which pairs, judged how, written where."""

    recipe: str
    data: Path
    out: Path
    overrides: tuple[str, ...] = ()
    split: str | None = None
    folds: int = 5
    resamples: int | None = None


@experiment_app.command("response")
def response_command(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a path.")],
    data: Annotated[Path, typer.Option("--data", help="Dataset folder of prompts and responses.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of response-use.json.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Override recipe values: head.folds=10."),
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", metavar="NAME", help="Its rows; else 'train' or the only one.")
    ] = None,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Three trainings each.")] = 5,
    resamples: Annotated[
        int | None, typer.Option("--resamples", min=0, help="Bootstrap resamples; else the recipe's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure whether a model uses the response: the pair against the prompt alone, on prompts not seen."""
    from modwright.cli.view import print_json, run_view

    options = ResponseOptions(recipe, data, out, tuple(overrides or ()), split, folds, resamples)
    with run_view(quiet=as_json) as view:
        found, path = response(options, view)
    if as_json:
        print_json({"result": str(path), **found.to_json()})
        return
    _print(found)
    print(f"\n{path}")


def response(options: ResponseOptions, view: RunView) -> tuple[ResponseUse, Path]:
    """Run the experiment and return what was found and where it is written."""
    from modwright.data.dataset import read_dataset
    from modwright.pipeline.response_use import response_use, write_response_use
    from modwright.pipeline.rows import rows_of, training_split
    from modwright.pipeline.writing import recipe_hash
    from modwright.recipe import load_recipe

    dataset = read_dataset(options.data)
    recipe = load_recipe(options.recipe, options.overrides)
    rows = rows_of(dataset.split(options.split or training_split(dataset)), dataset.schema)
    found = response_use(
        recipe,
        dataset.schema,
        rows,
        load_settings(),
        number_of_folds=options.folds,
        resamples=recipe.evaluation.resamples if options.resamples is None else options.resamples,
        on_event=view.on_event,
    )
    return found, write_response_use(options.out, found, recipe_hash(recipe), dataset.id)


def _print(found: ResponseUse) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from modwright.render.words import line

    print(f"{found.rows:,} rows of {found.prompts:,} prompts, {found.folds} folds by prompt")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("label", "seen", "AUC", "F1", "pair's gain in AUC", "in F1"):
        table.add_column(heading, no_wrap=heading not in ("label",))
    for one in found.labels:
        for view, figures in one.views.items():
            gains = one.gains.get(view, {})
            cells = [_figure(figures[name]) for name in ("roc_auc", "f1")]
            cells += [_figure(gains[name], sign="+") if gains else "" for name in ("roc_auc", "f1")]
            name = (
                one.label
                if len({label.target for label in found.labels}) == 1
                else f"{one.target}/{one.label}"
            )
            table.add_row(escape(line(name)), str(view), *cells)
    console = Console()
    (console if console.is_terminal else Console(width=120)).print(table)
    for one in found.labels:
        said = "is used" if one.is_used else "is not shown to be used"
        print(f"{line(one.label)}: the response {said}")


def _figure(value: Interval, sign: str = "") -> str:
    if value.value is None:
        return "-"
    if value.low is None or value.high is None:
        return f"{value.value:{sign}.3f}"
    return f"{value.value:{sign}.3f} ({value.low:{sign}.3f} to {value.high:{sign}.3f})"
