"""Gathers the commands; turns the error tree into one clear message and a documented exit code."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import typer

from modwright import __version__
from modwright.errors import ModwrightError, UsageError

app = typer.Typer(
    name="modwright",
    help="Train, prove and serve your own moderation classifiers on your own machines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

#: Modules that register their commands on `app` when imported; the help page shows groups after commands.
_COMMANDS = (
    "quickstart",
    "data",
    "train",
    "decide",
    "import_model",
    "experiment",
    "evaluate",
    "flagged",
    "robustness",
    "predict",
    "explain",
    "serve",
    "worker",
    "files",
    "jobs",
    "models",
    "keys",
    "bases",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"modwright {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Train, prove and serve your own moderation classifiers on your own machines."""


def load_commands() -> typer.Typer:
    """Import every command's module, which registers it, and return the app."""
    for name in _COMMANDS:
        importlib.import_module(f"modwright.cli.{name}")
    return app


def _body(error: ModwrightError) -> dict[str, Any]:
    """Return an error as JSON-ready data; one that gathers several (`DataProblemsError`) lists them."""
    body: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "where": error.where,
        "remedy": error.remedy,
    }
    gathered = getattr(error, "problems", ())  # by attribute: importing its class would need polars
    if gathered:
        body["problems"] = [_body(problem) for problem in gathered]
    return body


def _tell(error: ModwrightError, as_json: bool) -> None:
    print(json.dumps({"error": _body(error)}) if as_json else f"error: {error}", file=sys.stderr)


def print_nowhere() -> None:
    """Drop what is printed from now on: nobody reads it, and the interpreter would fail to flush it when it ends."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def main() -> None:
    """Run the command line; a known error prints one message and leaves with its exit code.

    Exit codes: 0 done, 1 an error of ours, 2 wrong usage, recipe or request, 3 wrong data, 4 bytes that are not the
    promised ones, 5 a source that cannot be reached, 6 an extra that is not installed, 130 interrupted.
    """
    as_json = "--json" in sys.argv
    try:
        load_commands()()
    except ModwrightError as error:
        _tell(error, as_json)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        print_nowhere()
        sys.exit(1)
    except (
        OSError
    ) as error:  # no permission, no space, a name that cannot be: what the system says is what helps
        if error.filename is None:
            raise
        _tell(UsageError(f"the system refuses: {error.strerror}", where=os.fsdecode(error.filename)), as_json)
        sys.exit(1)
