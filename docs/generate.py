"""Writes the reference pages that follow from the code: commands, recipes, settings, errors.

    python docs/generate.py

`tests/test_docs.py` compares the committed pages with what this writes.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import typer.main

from modwright.cli.app import load_commands
from modwright.data.curate import STEPS
from modwright.errors import ModwrightError
from modwright.recipe import shipped_data_recipes, shipped_recipes
from modwright.settings import Settings

REFERENCE = Path(__file__).parent / "reference"
#: Commands on the page in the order of the road.
_ORDER = (
    *(
        "quickstart",
        "data",
        "train",
        "import",
        "experiment",
        "evaluate",
        "flagged",
        "predict",
        "explain",
        "serve",
        "worker",
    ),
    *("files", "jobs", "models", "keys", "projects", "bases"),
)
NOTICE = "<!-- Written by docs/generate.py; edit the code instead. -->\n\n"


def main() -> None:
    """Write every page."""
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
        print(f"docs/reference/{name}")


def pages() -> dict[str, str]:
    """Return file name to content."""
    made = {
        "cli.md": commands_page(),
        "recipes.md": recipes_page(),
        "data-recipes.md": data_recipes_page(),
        "settings.md": settings_page(),
        "errors.md": errors_page(),
    }
    return {name: NOTICE + text.strip() + "\n" for name, text in made.items()}


def commands_page() -> str:
    """Return the page of every command with its arguments and options."""
    root = typer.main.get_command(load_commands())
    parts = ["# Commands", inspect.cleandoc(CLI_INTRODUCTION)]
    for path, command in _commands(root, "modwright"):
        parts += [
            f"## {path}",
            command.help or "",
            f"```\n{_usage(path, command)}\n```",
            _parameters(command),
        ]
    return "\n\n".join(parts)


CLI_INTRODUCTION = """
    Results go to standard output, progress and errors to standard error. `--json` prints one JSON object
    instead of tables and, on failure, one JSON object with the error to standard error.
    [Errors](errors.md) lists the exit codes, [Settings](settings.md) the variables that every command
    reads.
    """


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield every command below a group, in the order in which people meet them."""
    in_order = sorted(
        group.commands.items(), key=lambda item: _ORDER.index(item[0]) if item[0] in _ORDER else 0
    )
    for name, command in in_order:
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _usage(path: str, command: Any) -> str:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option" and param.required]
    shown = [param.metavar or param.name.upper() for param in arguments]
    shown += [f"{param.opts[0]} {param.metavar or param.name.upper()}" for param in options]
    return " ".join([path, *shown, "[OPTION]..."])


def _parameters(command: Any) -> str:
    context = command.context_class(command)
    rows = []
    for param in command.params:
        record = param.get_help_record(context)
        if record is not None:
            name, text = record
            if param.param_type_name == "argument":
                name = param.metavar or param.name.upper()
            rows.append(f"| `{_cell(name)}` | {_text(text)} |")
    return "\n".join(["| argument or option | meaning |", "|---|---|", *rows])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _text(text: str) -> str:
    return _cell(text).replace("<", "&lt;").replace("``", "`")


def recipes_page() -> str:
    """Return the page of every shipped recipe, as it is shipped."""
    parts = ["# Recipes", inspect.cleandoc(RECIPES_INTRODUCTION)]
    folder = resources.files("modwright") / "recipes"
    for name in shipped_recipes():
        text = (folder / f"{name}.toml").read_text(encoding="utf-8")
        parts += [f"## {name}", f"```toml\n{text.strip()}\n```"]
    return "\n\n".join(parts)


RECIPES_INTRODUCTION = """
    A recipe is everything that decides a training run. `modwright train RECIPE` takes a shipped name or
    the path of a file of your own, which states every key, or `extends = "fast"` and only what differs.
    On the command line `key.of.table=value` overrides one value. An unknown key is an error that names
    the nearest. The resolved recipe is saved in the artifact as `recipe.toml`.
    """


def data_recipes_page() -> str:
    """Return the page of every curation step with its parameters, and every shipped data recipe."""
    parts = ["# Data recipes", inspect.cleandoc(DATA_RECIPES_INTRODUCTION), "## Steps"]
    for name, step in STEPS.items():
        about, _, attributes = (inspect.getdoc(step) or "").partition("Attributes:")
        parts += [f"### {name}", _prose(about)]
        if attributes:
            parts.append(_step_parameters(step, attributes))
    folder = resources.files("modwright") / "recipes" / "data"
    for name in shipped_data_recipes():
        text = (folder / f"{name}.toml").read_text(encoding="utf-8")
        parts += [f"## {name}", f"```toml\n{text.strip()}\n```"]
    return "\n\n".join(parts)


DATA_RECIPES_INTRODUCTION = """
    A data recipe is a `[data]` section: sources, what their columns mean, how rows are split, and curation
    steps. `modwright data build RECIPE` takes a shipped name or the path of a file of your own, which may
    say `extends = "civil-comments"` and only what differs; a list such as the steps is replaced whole. A
    training recipe may carry a `[data]` section as well; training leaves it aside. `key=value` on the
    command line overrides one value, `data.sources.0.take=1000` one in a list.

    A step is applied to the split `train` alone unless it says `splits = "all"` or names splits. Steps that
    take labels away concern all splits.
    """


def _prose(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


def _step_parameters(step: Any, attributes: str) -> str:
    """Return the table of a step's parameters, from the docstring and the fields."""
    defaults = {field.name: field.default for field in dataclasses.fields(step)}
    rows = ["| parameter | default | meaning |", "|---|---|---|"]
    parts = re.split(r"^(?=\w+: )", inspect.cleandoc("\n" + attributes), flags=re.MULTILINE)
    for part in filter(None, parts):
        name, _, meaning = part.partition(":")
        default = defaults[name]
        shown = "required" if default is dataclasses.MISSING else "" if default is None else f"`{default}`"
        rows.append(f"| `{name}` | {shown} | {_cell(meaning)} |")
    return "\n".join(rows)


def settings_page() -> str:
    """Return the table of MODWRIGHT_* variables."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "~/.modwright" if name == "home" else "" if default is None else str(default)
        rows.append(
            f"| `MODWRIGHT_{name.upper()}` | {shown and f'`{shown}`'} | {_text(field.description or '')} |"
        )
    table = "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])
    return "\n\n".join(["# Settings", inspect.cleandoc(SETTINGS_INTRODUCTION), table])


SETTINGS_INTRODUCTION = """
    What a deployment sets, from environment variables. What decides a model stands in its
    [recipe](recipes.md) instead. An unknown `MODWRIGHT_` variable is an error that names the nearest.
    """


def errors_page() -> str:
    """Return the exit codes and the error tree."""
    tree = list(_tree(ModwrightError, 0))
    exits = ["| exit code | when |", "|---|---|", "| 0 | done |"]
    for code in sorted({error.exit_code for error, _ in tree}):
        codes = ", ".join(f"`{error.code}`" for error, _ in tree if error.exit_code == code)
        exits.append(f"| {code} | {codes} |")
    exits.append("| 130 | interrupted with Ctrl-C |")
    rows = ["| code | exit code | HTTP status | meaning |", "|---|---|---|---|"]
    for error, depth in tree:
        indent = "&emsp;" * depth
        rows.append(f"| {indent}`{error.code}` | {error.exit_code} | {error.status} | {_first(error)} |")
    head = ["# Errors", inspect.cleandoc(ERRORS_INTRODUCTION), "## Exit codes", "\n".join(exits)]
    return "\n\n".join([*head, "## Every error", "\n".join(rows)])


ERRORS_INTRODUCTION = """
    Every error says where, what was found and what was expected, and what to do about it. With `--json`
    it is one object on standard error, `{"error": {"code", "message", "where", "remedy"}}`; wrong data
    adds `problems`, one entry for every problem that was found. Over HTTP it has the body that [HTTP
    API](http-api.md) shows.
    """


def _tree(error: type[ModwrightError], depth: int) -> Iterator[tuple[type[ModwrightError], int]]:
    yield error, depth
    for child in error.__subclasses__():
        if child.__module__ == ModwrightError.__module__:
            yield from _tree(child, depth + 1)


def _first(error: type[ModwrightError]) -> str:
    return _text((inspect.getdoc(error) or "").split("\n\n")[0])


if __name__ == "__main__":
    main()
