"""`python -m modwright.cli.tied PID COMMAND...`: modwright's command line, ended when the process PID ends.

`serve` starts its workers this way, so that none is left behind when the server is killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

from modwright.cli.app import main

_PR_SET_PDEATHSIG = 1
_POLL_S = 2.0


def tie(parent: int) -> None:
    """End this process with SIGTERM once `parent`, which started it, is gone."""
    if sys.platform == "linux":  # at once; else, and if that fails, within seconds
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    tie(int(sys.argv.pop(1)))
    main()
