"""Where trainers run: one protocol, and the two ways that one machine has. A cluster's would be a third.

A trainer is a process group of its own that dies with the worker, speaks lines on its standard output and is killed
whole. What it says on standard error goes to `trainer.log` in its workspace.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from modwright.jobs.environment import needed
from modwright.jobs.states import Phase
from modwright.settings import Settings

LOG = "trainer.log"
_MODULE = "modwright.jobs.trainer"
_PREFIX = "MODWRIGHT_"
#: A trainer needs no way to the database, to blobs or to sealed secrets.
_NOT_FOR_TRAINERS = frozenset({"database", "storage", "secret_key", "url", "key"})


@dataclass(frozen=True, slots=True)
class TrainerCommand:
    """What to start.

    Attributes:
        phase: of the job.
        workspace: its folder.
        environment: whole.
    """

    phase: Phase
    workspace: Path
    environment: Mapping[str, str]


class Running(Protocol):
    """A trainer that was started."""

    def lines(self) -> Iterator[str]:
        """Yield what it says, line by line, until it has closed its output."""
        ...

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal's number; None while it runs."""
        ...

    def wait(self) -> int:
        """Return its exit code when it has ended."""
        ...

    def kill(self) -> None:
        """End it and all it has started, at once; nothing where it has ended."""
        ...


class Executor(Protocol):
    """Starts trainers."""

    def start(self, command: TrainerCommand) -> Running:
        """Start a trainer; the thread that calls lives until it has ended, or the kernel ends it with the thread."""
        ...


class LocalExecutor:
    """A process of this machine."""

    def start(self, command: TrainerCommand) -> Running:
        """See `Executor`."""
        return _LocalRun(command, ())


class TorchrunExecutor:
    """Several processes of this machine that share a model, under torchrun's own agent; see `pipeline.torchrun`."""

    def __init__(self, processes: int) -> None:
        self._processes = processes

    def start(self, command: TrainerCommand) -> Running:
        """See `Executor`; validation needs one process only."""
        shared = command.phase is Phase.TRAIN and self._processes > 1
        return _LocalRun(command, ("--processes", str(self._processes)) if shared else ())


class _LocalRun:
    """A process group."""

    def __init__(self, command: TrainerCommand, more: tuple[str, ...]) -> None:
        log = command.workspace / LOG
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", _MODULE, "--phase", str(command.phase)),
                    *("--workspace", str(command.workspace), "--parent", str(os.getpid()), *more),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(command.environment),
                start_new_session=True,
                text=True,
                encoding="utf-8",
                errors="replace",
            )

    @property
    def pid(self) -> int:
        """Return the id of the process, which is its group's, too."""
        return self._process.pid

    def lines(self) -> Iterator[str]:
        assert self._process.stdout is not None
        with self._process.stdout as stream, contextlib.suppress(ValueError):  # closed by `kill`
            yield from stream

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self) -> int:
        return self._process.wait()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def trainer_environment(settings: Settings, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a trainer: what it needs of this one, its settings exactly these, and `more`.

    Args:
        settings: of the worker; what a trainer has no need of is left out.
        more: such as a tracker's key.
    """
    told = settings.model_dump(mode="json", exclude=set(_NOT_FOR_TRAINERS), exclude_defaults=True)
    own = {_PREFIX + name.upper(): _text(value) for name, value in told.items() if value is not None}
    own[f"{_PREFIX}HOME"] = str(settings.home)
    return needed(os.environ) | own | dict(more or {})


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
