"""Bodies of jobs that are shown again and again: a body is made once for each state of its job.

Everybody who watches a training job asks for all of its steps every second; while nothing has changed, all of them get
the same bytes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from modwright.storage.job_rows import JobRow

#: Bytes of bodies that are kept.
MAX_BYTES = 32_000_000
_Stamp = tuple[str, int, float]


class KeptBodies:
    """The latest body of each job, those asked for last; for use from many threads.

    Args:
        max_bytes: of all bodies together; one that is larger alone is not kept.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bodies: OrderedDict[str, tuple[_Stamp, bytes]] = OrderedDict()
        self._bytes = 0
        self._guard = threading.Lock()
        self._making: WeakValueDictionary[str, Any] = (
            WeakValueDictionary()
        )  # a lock each, while anybody uses it

    def body(self, job: JobRow, make: Callable[[JobRow], bytes]) -> bytes:
        """Return the body of a job as it is, from ``make`` where none is kept of this state.

        Every write to a job, to its events or to its steps changes what tells states apart here.
        """
        stamp = (str(job.status), job.epoch, job.modified_at)
        with self._guard:
            found = self._found(job.id, stamp)
            making = self._making.get(job.id)
            if making is None:
                making = self._making[job.id] = threading.Lock()
        if found is not None:
            return found
        with making:  # who waits finds what the first has made; other jobs' bodies are made meanwhile
            with self._guard:
                found = self._found(job.id, stamp)
            if found is not None:
                return found
            body = make(job)
            with self._guard:
                self._keep(job.id, stamp, body)
            return body

    def is_making(self, job_id: str) -> bool:
        """Return whether a job's body is being made."""
        making = self._making.get(job_id)
        return making is not None and bool(making.locked())

    def _found(self, job_id: str, stamp: _Stamp) -> bytes | None:
        kept = self._bodies.get(job_id)
        if kept is None or kept[0] != stamp:
            return None
        self._bodies.move_to_end(job_id)
        return kept[1]

    def _keep(self, job_id: str, stamp: _Stamp, body: bytes) -> None:
        old = self._bodies.pop(job_id, None)
        self._bytes -= len(old[1]) if old is not None else 0
        if len(body) > self._max_bytes:
            return
        self._bodies[job_id] = (stamp, body)
        self._bytes += len(body)
        while self._bytes > self._max_bytes:
            _, (_, gone) = self._bodies.popitem(last=False)
            self._bytes -= len(gone)
