"""What goes without being asked: files past their time, content that nobody names, leftovers of killed processes."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import Self

from modwright.errors import ModwrightError
from modwright.storage.blobs import Blobs
from modwright.storage.files import FileStore

_log = logging.getLogger(__name__)
_EXPIRE_EVERY_S = 60.0
_SWEEP_EVERY_S = 24 * 3600.0  # it lists everything in the store


class Housekeeper:
    """A thread that keeps house for as long as the context lasts; several servers may each have one.

    Args:
        files: whose expired ones are removed, every ``expire_every_s``.
        blobs: whose leftovers are removed, first with the first expiry and then every ``sweep_every_s``.
    """

    def __init__(
        self,
        files: FileStore,
        blobs: Blobs,
        *,
        expire_every_s: float = _EXPIRE_EVERY_S,
        sweep_every_s: float = _SWEEP_EVERY_S,
    ) -> None:
        self._files = files
        self._blobs = blobs
        self._expire_every_s = expire_every_s
        self._sweep_every_s = sweep_every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()  # what it is at may be left half done; it is done again

    def _run(self) -> None:
        next_sweep = time.monotonic()
        while not self._ended.wait(self._expire_every_s):
            try:
                self._files.expire()
                if time.monotonic() >= next_sweep:
                    self._blobs.sweep()
                    next_sweep = time.monotonic() + self._sweep_every_s
            except ModwrightError as error:
                _log.warning("what has expired is removed later: %s", error)
