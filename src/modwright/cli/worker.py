"""`modwright worker`: run the jobs of a server, here or on another machine."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from modwright.cli.app import app
from modwright.settings import load_settings

if TYPE_CHECKING:
    from modwright.jobs.worker import Worker


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How many jobs to run at once, and whether to say what happens."""

    slots: int = 1
    quiet: bool = False


@app.command("worker")
def command(
    slots: Annotated[int, typer.Option("--slots", min=1, max=1000, help="Jobs to run at once.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing.")] = False,
) -> None:
    """Run training jobs of the database that MODWRIGHT_DATABASE names, until told to stop."""
    work(WorkerOptions(slots, quiet))


def work(options: WorkerOptions) -> None:
    """Run jobs until SIGTERM or SIGINT; what is under way is given back and goes on elsewhere.

    Raises:
        StorageError, SettingsError, MissingExtraError: the database or the store cannot be opened.
    """
    from modwright.jobs.worker import Worker, open_parts

    worker = Worker(open_parts(load_settings()), slots=options.slots, tell=None if options.quiet else _say)
    stop_by_signal(worker)
    if not options.quiet:
        _say(f"worker {worker.name} is ready")
    worker.run()


def stop_by_signal(worker: Worker) -> None:
    """Have SIGTERM and SIGINT stop a worker."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
