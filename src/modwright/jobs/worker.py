"""A worker: claims jobs, runs them, several at once if told so; stops by giving back what it holds."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

from modwright.errors import ModwrightError, StorageError
from modwright.jobs.executors import Executor
from modwright.jobs.job_run import JobRun, Parts
from modwright.jobs.states import Phase
from modwright.jobs.workspace import FOLDER
from modwright.settings import Settings
from modwright.storage.blobs import open_blobs
from modwright.storage.database import database_url, open_database
from modwright.storage.files import FileStore
from modwright.storage.jobs import Claim, JobStore
from modwright.storage.models import ModelStore
from modwright.storage.secrets import Sealer

#: Between two looks at an idle queue: at first, and after many that found nothing.
_FIRST_POLL_S, _LAST_POLL_S = 0.3, 1.0
_AWAY_S = 2.0
_SWEEP_S = 600.0
#: A workspace that was touched more recently may be about to be claimed.
_SWEEP_AGE_S = 600.0
_SWEPT_AT_ONCE = 500

#: Told what a worker does, one sentence each.
Told = Callable[[str], None]


class Worker:
    """Runs jobs until it is stopped.

    Args:
        parts: where jobs, files and models are.
        slots: jobs at once; one more validates only, so that no new job waits for a long training to be checked.
        tell: told what happens, in sentences without any text of the data.
        name: no other worker's; made up where None.
    """

    def __init__(
        self, parts: Parts, *, slots: int = 1, tell: Told | None = None, name: str | None = None
    ) -> None:
        self.name = name or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._parts, self._slots = parts, slots
        self._tell = tell or (lambda sentence: None)
        self._stopping = threading.Event()

    def run(self) -> None:
        """Work until `stop`, then give back what is under way and return."""
        every = frozenset(Phase)
        roles = [every] * self._slots + [frozenset({Phase.VALIDATE})]
        threads = [
            threading.Thread(target=self._serve, args=(phases,), name=f"slot {number}")
            for number, phases in enumerate(roles)
        ]
        for thread in threads:
            thread.start()
        while not self._stopping.is_set():
            self._sweep()
            self._stopping.wait(_SWEEP_S)
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        """Have `run` return soon; may be called from a signal handler and from any thread."""
        self._stopping.set()

    def _serve(self, phases: Collection[Phase]) -> None:
        """Work as one slot: one job after the other."""
        pause = _FIRST_POLL_S
        while not self._stopping.is_set():
            try:
                claim = self._parts.jobs.claim(self.name, self._parts.settings.lease_s, phases)
            except Exception as error:  # whatever it is, the slot lives on
                said = str(error) if isinstance(error, ModwrightError) else type(error).__name__
                self._tell(f"no job could be claimed: {said}")
                self._stopping.wait(_AWAY_S)
                continue
            if claim is None:
                self._stopping.wait(pause * random.uniform(0.8, 1.2))
                pause = min(pause * 1.25, _LAST_POLL_S)
                continue
            pause = _FIRST_POLL_S
            self._work(claim)

    def _work(self, claim: Claim) -> None:
        """Run a job; whatever happens, the slot lives on."""
        short = claim.job.id[:8]
        self._tell(f"job {short}: {claim.phase}, attempt {claim.job.attempts}")
        try:
            status = JobRun(self._parts, claim, self._stopping).run()
        except Exception as error:
            self._tell(f"job {short}: the worker failed at it: {type(error).__name__}")
            self._give_up(claim, error)
            return
        self._tell(f"job {short}: {status or 'is no longer held'}")

    def _give_up(self, claim: Claim, error: Exception) -> None:
        """Count a failure of the worker itself as an attempt; where even that fails, the lease ends by itself."""
        print(f"{type(error).__name__} in the worker at job {claim.job.id}", file=sys.stderr)
        told = {"code": "worker_failed", "message": f"the worker failed: {type(error).__name__}"}
        try:
            self._parts.jobs.retry(claim, told)
        except ModwrightError:
            return

    def _sweep(self) -> None:
        """Remove workspaces of jobs that have ended elsewhere: rows do not stay longer than they are needed."""
        folder = self._parts.settings.home / FOLDER
        old = _old_folders(folder, time.time() - _SWEEP_AGE_S)
        try:
            for start in range(0, len(old), _SWEPT_AT_ONCE):
                some = old[start : start + _SWEPT_AT_ONCE]
                needed = self._parts.jobs.unfinished_among([path.name for path in some])
                for path in some:
                    if path.name not in needed:
                        shutil.rmtree(path, ignore_errors=True)
        except StorageError:
            return


def _old_folders(folder: Path, before: float) -> list[Path]:
    """Return the folders in a folder that were last touched before a time; others may remove them meanwhile."""
    found = []
    for path in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_dir() and path.stat().st_mtime < before:
                found.append(path)
    return found


def open_parts(settings: Settings, executor: Executor | None = None) -> Parts:
    """Open everything a worker needs, as the settings say; the database is migrated.

    Raises:
        StorageError, SettingsError, MissingExtraError: it cannot be opened.
    """
    database = open_database(database_url(settings))
    database.migrate()
    blobs = open_blobs(settings, database)
    return Parts(
        settings=settings,
        jobs=JobStore(database, max_attempts=settings.max_attempts),
        files=FileStore(database, blobs),
        blobs=blobs,
        models=ModelStore(database, blobs),
        sealer=Sealer(settings),
        executor=executor,
    )
