"""`modwright keys` and `modwright projects`: who may ask a server, straight in its database."""

from __future__ import annotations

import datetime
import json
import re
import time
from typing import TYPE_CHECKING, Any

import typer

from modwright.cli.app import app
from modwright.cli.opening import open_migrated
from modwright.errors import UsageError, nearest
from modwright.settings import Settings, load_settings

if TYPE_CHECKING:
    from modwright.storage.projects import ApiKey, KeyStore, ProjectStore

keys_app = typer.Typer(help="Make, list and revoke the keys of a server.", no_args_is_help=True)
projects_app = typer.Typer(
    help="Make and list projects, which don't see each other's files, jobs and models.", no_args_is_help=True
)
app.add_typer(keys_app, name="keys")
app.add_typer(projects_app, name="projects")

_SCOPES = ("read", "classify", "train", "admin")
_SECONDS = {"h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_JSON = typer.Option(False, "--json", help="Print JSON.")


@keys_app.command("create")
def create_command(
    name: str = typer.Option(..., "--name", help="What the key is for; shown in lists."),
    project: str = typer.Option("default", "--project", help="Name of the project it belongs to."),
    scopes: str = typer.Option(
        "read,classify,train",
        "--scopes",
        help="What it may do: read, classify, train, admin; commas between.",
    ),
    expires: str | None = typer.Option(
        None, "--expires", help="When it ends: 12h, 30d, 8w or a date like 2030-01-31; never where absent."
    ),
    as_json: bool = _JSON,
) -> None:
    """Make a key and print its secret, once; from the first key on, every request to the server needs one."""
    row, secret = create_key(load_settings(), name, project=project, scopes=scopes, expires=expires)
    if as_json:
        typer.echo(json.dumps({**row, "key": secret}, indent=2))
        return
    typer.echo(
        f"key of project '{project}' that may {', '.join(row['scopes'])}; it is not shown again:", err=True
    )
    typer.echo(secret)


@keys_app.command("list")
def list_command(
    project: str | None = typer.Option(None, "--project", help="Only the keys of this project."),
    as_json: bool = _JSON,
) -> None:
    """List keys without their secrets."""
    rows = list_keys(load_settings(), project)
    if as_json:
        typer.echo(json.dumps({"keys": rows}, indent=2))
        return
    for row in rows:
        scopes = ",".join(row["scopes"])
        typer.echo(
            f"{row['id']}  {row['prefix']}...  {row['state']:8}  {row['project']}  {scopes}  {row['name']}"
        )


@keys_app.command("revoke")
def revoke_command(
    key: str = typer.Argument(..., metavar="ID", help="Id or prefix of the key, from `keys list`."),
) -> None:
    """Revoke a key: a running server refuses it within seconds."""
    row = revoke_key(load_settings(), key)
    typer.echo(f"revoked '{row['name']}' of project '{row['project']}'")


@projects_app.command("create")
def create_project_command(
    name: str = typer.Argument(..., help="A name no other project has."), as_json: bool = _JSON
) -> None:
    """Make a project."""
    row = create_project(load_settings(), name)
    typer.echo(json.dumps(row, indent=2) if as_json else f"{row['id']}  {row['name']}")


@projects_app.command("list")
def list_projects_command(as_json: bool = _JSON) -> None:
    """List projects."""
    rows = list_projects(load_settings())
    if as_json:
        typer.echo(json.dumps({"projects": rows}, indent=2))
        return
    for row in rows:
        typer.echo(f"{row['id']}  {row['name']}")


def create_key(
    settings: Settings, name: str, *, project: str = "default", scopes: str, expires: str | None = None
) -> tuple[dict[str, Any], str]:
    """Make a key; returns it as JSON-ready data, and its secret.

    Raises:
        UsageError: an unknown scope, or an end that is none or past.
        NotFoundError: no such project.
    """
    chosen, expires_at = _scopes(scopes), _end(expires)
    projects, keys = _stores(settings)
    owner = projects.get(project)
    made, secret = keys.create(owner.id, name, chosen, expires_at)
    return _row(made, owner.name), secret


def list_keys(settings: Settings, project: str | None = None) -> list[dict[str, Any]]:
    """Return a row for every key, of one project or of all; raises NotFoundError for an unknown project."""
    projects, keys = _stores(settings)
    names = {item.id: item.name for item in projects.list()}
    wanted = None if project is None else projects.get(project).id
    return [_row(key, names[key.project_id]) for key in keys.list(wanted)]


def revoke_key(settings: Settings, key_id: str) -> dict[str, Any]:
    """Revoke a key of any project by its id or prefix; raises NotFoundError, ConflictError where several have it."""
    projects, keys = _stores(settings)
    revoked = keys.revoke(key_id)
    return _row(revoked, projects.get(revoked.project_id).name)


def create_project(settings: Settings, name: str) -> dict[str, Any]:
    """Make a project; raises ConflictError where another has the name."""
    projects, _ = _stores(settings)
    made = projects.create(name)
    return {"id": made.id, "name": made.name}


def list_projects(settings: Settings) -> list[dict[str, Any]]:
    """Return a row for every project."""
    projects, _ = _stores(settings)
    return [{"id": item.id, "name": item.name} for item in projects.list()]


def _stores(settings: Settings) -> tuple[ProjectStore, KeyStore]:
    database = open_migrated(settings)
    from modwright.storage.projects import KeyStore, ProjectStore

    return ProjectStore(database), KeyStore(database)


def _scopes(given: str) -> list[str]:
    chosen = [part.strip() for part in given.split(",") if part.strip()]
    for scope in chosen:
        if scope not in _SCOPES:
            raise UsageError(
                f"unknown scope '{scope[:100]}'", where="--scopes", remedy=nearest(scope, _SCOPES)
            )
    if not chosen:
        raise UsageError("no scope is given", where="--scopes", remedy="some of: " + ", ".join(_SCOPES))
    return list(dict.fromkeys(chosen))


def _end(given: str | None) -> float | None:
    """Return the Unix second of a duration from now or of the end of a date."""
    if given is None:
        return None
    duration = re.fullmatch(r"(\d{1,5})([hdw])", given)
    try:
        at = (
            time.time() + int(duration[1]) * _SECONDS[duration[2]]
            if duration
            else datetime.datetime.fromisoformat(given).astimezone().timestamp()
        )
    except (ValueError, OverflowError):
        raise UsageError(
            f"'{given[:100]}' is no end of a key",
            where="--expires",
            remedy="write 12h, 30d, 8w or 2030-01-31",
        ) from None
    if at <= time.time():
        raise UsageError(f"'{given}' is past already", where="--expires", remedy="give a later time")
    return at


def _row(key: ApiKey, project: str) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "project": project,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "state": _state(key),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= time.time() else "valid"
