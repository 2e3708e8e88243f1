"""`modwright data curate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modwright.cli.data.group import data_app
from modwright.cli.data.options import AsJson, Out, Replace
from modwright.cli.data.shown import show_summary
from modwright.errors import UsageError


@data_app.command("curate")
def curate_command(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a dataset.")],
    out: Out,
    step: Annotated[
        list[str] | None,
        typer.Option(
            "--step",
            metavar="'NAME [KEY=VALUE]...'",
            help="A step with its parameters, such as 'cap max_share=0.3'; applied to the split 'train' "
            "unless it says splits=NAME,NAME or splits=all. Several are applied in order.",
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="RECIPE", help="Apply the steps of a data recipe.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Same seed, same rows (else 0).")] = None,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Choose rows and labels of a dataset in named steps; each is logged with what it dropped and why."""
    from modwright.data.curate import CurateOptions, curate_dataset, parse_step, steps_of
    from modwright.recipe import load_data_recipe

    if bool(step) == bool(recipe):
        raise UsageError(
            "expected --step or --recipe, one of them", remedy="such as --step 'cap max_share=0.3'"
        )
    section = load_data_recipe(recipe) if recipe else None
    steps = steps_of(section.steps) if section else [parse_step(text) for text in step or ()]
    chosen = seed if seed is not None else section.seed if section else 0
    show_summary(curate_dataset(CurateOptions(source, out, steps, chosen, replace)), as_json=as_json)
