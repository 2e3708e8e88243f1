"""Worker processes beside a server: started with it, started again when they die, ended with it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

#: Seconds before a worker that died is started again: doubled at each death, up to the longest.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
#: A worker that lived so long starts anew with the first pause.
_HEALTHY_S = 120.0
_POLL_S = 0.2
#: Seconds that workers get to hand back what they do.
_STOP_S = 15.0


def worker_command() -> list[str]:
    """Return the command of a worker that ends with this process."""
    return [sys.executable, "-m", "modwright.cli.tied", str(os.getpid()), "worker"]


@dataclass(slots=True)
class _Place:
    """One worker's place: the process in it, or when the next one is due; on the monotonic clock."""

    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_s: float = _FIRST_PAUSE_S
    due_at: float = 0.0


class WorkerProcesses:
    """Keeps `count` workers running while the context is entered.

    Args:
        count: how many.
        command: what runs one.
        first_pause_s: seconds before the first start after a death.
    """

    def __init__(self, count: int, command: Sequence[str], *, first_pause_s: float = _FIRST_PAUSE_S) -> None:
        self._command = list(command)
        self._first_pause_s = first_pause_s
        self._places = [_Place(pause_s=first_pause_s) for _ in range(count)]
        self._ending = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="workers", daemon=True)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._keeper.join()

    def pids(self) -> list[int]:
        """Return the processes that run now."""
        running = [place.process for place in self._places]
        return [process.pid for process in running if process is not None and process.poll() is None]

    def _keep(self) -> None:
        """Start and restart; in one thread, since what a thread started is told of that thread's end."""
        while not self._ending.wait(_POLL_S):
            for place in self._places:
                self._look_after(place, time.monotonic())
        self._stop()

    def _look_after(self, place: _Place, now: float) -> None:
        if place.process is not None and place.process.poll() is not None:
            healthy = now - place.started_at >= _HEALTHY_S
            pause_s = self._first_pause_s if healthy else place.pause_s
            _tell(f"a worker ended with {place.process.returncode}; another starts in {pause_s:g} s")
            place.process = None
            place.due_at, place.pause_s = now + pause_s, min(pause_s * 2, _LONGEST_PAUSE_S)
        if place.process is None and now >= place.due_at:
            place.process, place.started_at = self._start(), now

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=sys.__stderr__,  # the server's own output is read by programs
            start_new_session=True,  # Ctrl-C is the server's, which ends its workers
        )

    def _stop(self) -> None:
        processes = [place.process for place in self._places if place.process is not None]
        for process in processes:
            process.terminate()
        until = time.monotonic() + _STOP_S
        for process in processes:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _tell(message: str) -> None:
    print(f"modwright serve: {message}", file=sys.__stderr__, flush=True)
