"""How a download tells what it does: a small protocol, a logging default, and a bar for terminals."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar

_log = logging.getLogger("modwright.catalog")
_POLL_S = 0.2


class Progress(Protocol):
    """What a download reports to."""

    def advance(self, what: str, done_bytes: int, total_bytes: int) -> None:
        """Take how far the download of ``what`` is; calls come a few times a second, from another thread."""
        ...

    def notice(self, message: str) -> None:
        """Take something a person should know: a source that failed or was refused, a damaged cache."""
        ...


class LogProgress:
    """Write notices to the log and say nothing else: what is used where no progress is given."""

    def advance(self, what: str, done_bytes: int, total_bytes: int) -> None:
        """Say nothing."""

    def notice(self, message: str) -> None:
        """Log a warning."""
        _log.warning("%s", message)


class TerminalProgress:
    """Draw a bar on a terminal's standard error, elsewhere write a line per download; for a ``with``."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console if console is not None else Console(stderr=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def advance(self, what: str, done_bytes: int, total_bytes: int) -> None:
        """Move the bar of ``what``; the first call opens it."""
        if what not in self._tasks:
            self._bar.start()
            self._tasks[what] = self._bar.add_task(what, total=total_bytes)
            if not self._console.is_terminal:
                self._say(f"fetching {what}, {total_bytes / 1e6:.1f} MB")
        # A second source may be of another size than the first.
        self._bar.update(self._tasks[what], completed=min(done_bytes, total_bytes), total=total_bytes)

    def notice(self, message: str) -> None:
        """Print the message above the bar."""
        self._say(message)

    def _say(self, message: str) -> None:
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def watched(measure: Callable[[], int], progress: Progress, what: str, total_bytes: int) -> Iterator[None]:
    """Report ``measure()`` to ``progress`` a few times a second while the body runs."""
    done = threading.Event()

    def report() -> None:
        while not done.wait(_POLL_S):
            progress.advance(what, min(measure(), total_bytes), total_bytes)

    progress.advance(what, min(measure(), total_bytes), total_bytes)
    thread = threading.Thread(target=report, name="download-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    progress.advance(what, min(measure(), total_bytes), total_bytes)


def file_sizes(folder: Path) -> list[int]:
    """Return the sizes of the files below a folder in which another process writes, moves and removes."""
    sizes = []
    for parent, _, names in os.walk(folder):  # passes over folders that are gone
        for name in names:
            with contextlib.suppress(OSError):
                sizes.append(Path(parent, name).stat().st_size)
    return sizes
