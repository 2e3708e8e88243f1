"""`modwright data build`."""

from __future__ import annotations

from typing import Annotated

import typer

from modwright.cli.data.group import data_app
from modwright.cli.data.options import AsJson, Out, Replace
from modwright.cli.data.shown import show_summary, source_progress


@data_app.command("build")
def build_command(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped data recipe, or a path.")],
    out: Out,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...", help="Overrides, such as data.seed=3 or data.sources.0.take=1000."
        ),
    ] = None,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Build a dataset from a recipe: sources, columns, split and curation steps, in one go."""
    from modwright.pipeline.building import build_dataset
    from modwright.recipe import load_data_recipe
    from modwright.settings import load_settings

    loaded = load_data_recipe(recipe, overrides or ())
    with source_progress() as progress:
        summary = build_dataset(
            loaded, out, load_settings(), replace=replace, progress=progress, read_progress=progress.read
        )
    show_summary(summary, as_json=as_json)
