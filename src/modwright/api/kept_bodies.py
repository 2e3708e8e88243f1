"""Bodies of jobs that are shown again and again: a body is made once for each state of its job.

Everybody who watches a training job asks for all of its steps every second; while nothing has changed, all of them get
the same bytes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

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
        self._making = threading.Lock()

    def body(self, job: JobRow, make: Callable[[JobRow], bytes]) -> bytes:
        """Return the body of a job as it is, from ``make`` where none is kept of this state.

        Every write to a job, to its events or to its steps changes what tells states apart here.
        """
        stamp = (str(job.status), job.epoch, job.modified_at)
        with self._making:  # who waits finds what the first has made
            found = self._bodies.get(job.id)
            if found is not None and found[0] == stamp:
                self._bodies.move_to_end(job.id)
                return found[1]
            body = make(job)
            self._keep(job.id, stamp, body)
            return body

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
