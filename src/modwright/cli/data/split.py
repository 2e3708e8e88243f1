"""`modwright data split`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modwright.cli.data.group import data_app
from modwright.cli.data.options import (
    AsJson,
    Out,
    Replace,
)
from modwright.cli.data.shown import show_summary
from modwright.data.options import DEFAULT_FRACTIONS, DEFAULT_NEAR


@data_app.command("split")
def split_command(
    source: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a dataset; its 'train' is dealt out.")
    ],
    out: Out,
    fractions: Annotated[
        str, typer.Option("--fractions", help="Parts and their shares of the rows.")
    ] = DEFAULT_FRACTIONS,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same parts.")] = 0,
    group: Annotated[
        str | None, typer.Option("--group", metavar="COL", help="Column whose equal values stay together.")
    ] = None,
    near: Annotated[
        float,
        typer.Option(
            "--near",
            min=0.0,
            max=1.0,
            help="Near-duplicates stay together: least overlap of their runs of five characters; 0 looks for none.",
        ),
    ] = DEFAULT_NEAR,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Deal the training rows into parts: prompts and (near-)duplicates stay together, labels are spread evenly."""
    from modwright.data.resplit import SplitOptions, parse_fractions, split_dataset

    options = SplitOptions(source, out, parse_fractions(fractions), seed, group, replace, near or None)
    show_summary(split_dataset(options), as_json=as_json)
