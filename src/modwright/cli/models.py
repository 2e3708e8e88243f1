"""`modwright models`: what answers on a server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modwright.cli.app import app
from modwright.cli.remote import (
    JSON,
    asked,
    moment,
    print_answer,
    print_answers,
    print_fields,
    print_rows,
    transfer_bar,
)
from modwright.errors import UsageError

if TYPE_CHECKING:
    from modwright.client import Model

models_app = typer.Typer(help="See and change the models that a server trained.", no_args_is_help=True)
app.add_typer(models_app, name="models")

_ID = Annotated[str, typer.Argument(metavar="MODEL", help="The model's id.")]
_BASE = "base"
#: Models that are served from folders answer to their hashes, too.
_HASH = re.compile(r"[0-9a-f]{12}([0-9a-f]{52})?")


@models_app.command("list")
def list_command(
    bases: Annotated[bool, typer.Option("--bases", help="What jobs may train, instead.")] = False,
    as_json: bool = JSON,
) -> None:
    """List models that answer, newest first, with their aliases."""
    with asked() as client:
        models = [model for model in client.models.list() if (model.type == _BASE) is bases]
    if as_json:
        print_answers("models", models)
    elif bases:
        print_rows(
            ("name", "recipe", "other names"),
            [(model.id, model.root, ", ".join(model.aliases)) for model in models],
        )
    else:
        rows = [
            (
                model.id,
                "archived" if model.archived else "answers",
                model.root,
                ", ".join(alias for alias in model.aliases if not _HASH.fullmatch(alias)),
                "" if model.name == model.id else model.name,
            )
            for model in models
        ]
        print_rows(("id", "state", "root", "aliases", "name"), rows)


@models_app.command("show")
def show_command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's id, or an alias.")],
    as_json: bool = JSON,
) -> None:
    """Show one model: its targets, thresholds, aliases and job."""
    with asked() as client:
        found = client.models.get(model)
    if as_json:
        print_answer(found)
    else:
        print_fields(_fields(found))


def _fields(model: Model) -> list[tuple[str, str]]:
    targets = [
        (f"target {target.name}", f"{target.loss_function}: {', '.join(target.labels)}")
        for target in model.targets
    ]
    return [
        ("id", model.id),
        ("name", "" if model.name == model.id else model.name),
        ("description", model.description),
        ("state", "archived" if model.archived else "answers" if model.type != _BASE else "can be trained"),
        ("root", model.root),
        ("root version", "" if model.type == _BASE else model.root_version or ""),
        ("job", model.job or ""),
        ("created", moment(model.created or None)),
        ("aliases", ", ".join(model.aliases)),
        *targets,
        ("operating points", ", ".join(model.operating_points or ())),
    ]


@models_app.command("rename")
def rename_command(
    model: _ID,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A name for people.")] = None,
    description: Annotated[
        str | None, typer.Option("--description", help='A description for people; "" clears it.')
    ] = None,
) -> None:
    """Give a model a name or a description for people; it is still asked by its id and its aliases."""
    if name is None and description is None:
        raise UsageError("nothing is to be changed", remedy="give a name, or --description")
    with asked() as client:
        if name is not None:
            client.models.update(model, name=name)
        if description is not None:
            client.models.update(model, description=description or None)
    print(f"renamed {model}")


@models_app.command("archive")
def archive_command(model: _ID) -> None:
    """Let a model rest: it is kept, and answers no request."""
    with asked() as client:
        client.models.archive(model)
    print(f"archived {model}")


@models_app.command("unarchive")
def unarchive_command(model: _ID) -> None:
    """Let an archived model answer again."""
    with asked() as client:
        client.models.unarchive(model)
    print(f"{model} answers again")


@models_app.command("download")
def download_command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's id, or an alias.")],
    out: Annotated[Path, typer.Option("--out", help="Artifact folder that is written.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace an artifact that is there.")] = False,
    as_json: bool = JSON,
) -> None:
    """Fetch a trained model as an artifact folder, for `evaluate`, `predict` and `serve`; archived ones, too."""
    with asked() as client, transfer_bar(model, quiet=as_json) as progress:
        folder = client.models.download(model, out, replace=replace, progress=progress)
    print(json.dumps({"model": model, "folder": str(folder)}) if as_json else folder)


@models_app.command("delete")
def delete_command(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Ids of the models.")],
) -> None:
    """Delete models with their files and aliases."""
    with asked() as client:
        for model in models:
            client.models.delete(model)
            print(f"deleted {model}")


@models_app.command("alias")
def alias_command(
    model: _ID,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="Another name that it answers to.")],
    drop: Annotated[bool, typer.Option("--drop", help="Take the name from it instead.")] = False,
) -> None:
    """Let a model answer to another name too, at once; the name leaves the model that had it."""
    with asked() as client:
        if drop:
            client.models.drop_alias(model, alias)
        else:
            client.models.set_alias(model, alias)
    print(f"'{alias}' is no name of {model} any more" if drop else f"'{alias}' is {model} now")
