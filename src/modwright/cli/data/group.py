"""The group that the data commands register on."""

from __future__ import annotations

import typer

from modwright.cli.app import app

data_app = typer.Typer(help="Import, check and split labelled data.", no_args_is_help=True)
app.add_typer(data_app, name="data")
