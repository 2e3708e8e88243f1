"""What the commands that ask a server share: the client, and how answers are printed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from modwright.client import Client

JSON = typer.Option(False, "--json", help="Print JSON.")
_GAP = "  "


@contextmanager
def asked() -> Iterator[Client]:
    """Give a client of the server that MODWRIGHT_URL names.

    Raises:
        SettingsError, UsageError, MissingExtraError: see `modwright.Client`.
    """
    from modwright.client import Client

    with Client() as client:
        yield client


def print_answer(answer: Any) -> None:
    """Print an answer as one JSON object."""
    print(json.dumps(dataclasses.asdict(answer), ensure_ascii=False, allow_nan=False))


def print_answers(name: str, answers: Sequence[Any]) -> None:
    """Print answers as one JSON object that holds them under a name."""
    rows = [dataclasses.asdict(answer) for answer in answers]
    print(json.dumps({name: rows}, ensure_ascii=False, allow_nan=False))


def print_rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns, the last as wide as it is; a line each, whatever the texts hold."""
    cells = [headings, *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(headings))]
    for row in cells:
        print(_GAP.join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Print names and values, a line each; what has no value is left out."""
    shown = [(name, one_line(value)) for name, value in fields if value]
    width = max(len(name) for name, _ in shown)
    for name, value in shown:
        print(f"{name:{width}}{_GAP}{value}")


def one_line(text: str) -> str:
    """Return a text from elsewhere so that it cannot steer a terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)


def moment(seconds: int | None) -> str:
    """Return Unix seconds as date and time of this machine; nothing for None."""
    return "" if seconds is None else datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


@contextmanager
def transfer_bar(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Give what shows bytes done and in all, as a bar on a terminal's standard error, elsewhere nothing."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    off = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=off) as bar:
        task = bar.add_task(escape(one_line(what)), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
