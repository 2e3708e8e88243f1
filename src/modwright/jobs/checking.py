"""Checks uploaded files in processes of their own: a server that takes files needs no room to read them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any

from modwright.errors import MissingExtraError, UnavailableError
from modwright.jobs.environment import needed
from modwright.jobs.file_summary import FileProblem, FileProblemsError, FileSummary

_MODULE = "modwright.jobs.file_check"
#: What the readers need, and a server without the extra does not have.
_READERS = "polars"
_REPLY_BYTES = 1 << 16
_PIPE_BYTES = 1 << 20
#: Characters of a name that problems repeat.
_SHOWN_NAME = 200


class ProcessChecker:
    """Reads files as training data in up to `parallel` processes, each started when it is first needed.

    Its methods may be called from many threads.

    Args:
        parallel: processes at most; further checks wait for one.
        timeout_s: a longer check is given up.
    """

    def __init__(self, parallel: int = 2, timeout_s: float = 1_800.0) -> None:
        self.parallel = parallel
        self._timeout_s = timeout_s
        self._free: queue.LifoQueue[_Reader | None] = queue.LifoQueue()
        for _ in range(parallel):
            self._free.put(None)
        self._readers: set[_Reader] = set()
        self._closed = threading.Event()

    def check(self, content: Iterable[bytes], name: str, tolerated: float = 0.0) -> FileSummary:
        """Return what a file holds; an exception out of `content` ends the check and goes through.

        Args:
            content: the file's bytes in pieces.
            name: what its owner calls it, for messages; never used as a path.
            tolerated: share of the records that may be wrong, 0..1.

        Raises:
            FileProblemsError: it is no training data; up to 100 problems, each with its line.
            MissingExtraError: the extra 'data' is not installed here.
            UnavailableError: the check took too long, its process died, or the checker is closed.
        """
        reader = self._free.get()
        try:
            if reader is None or not reader.alive:
                reader = self._started()
            told = reader.ask(content, name[:_SHOWN_NAME], tolerated, self._timeout_s)
        except BaseException:
            if reader is not None:
                self._readers.discard(reader)
                reader.end()
                reader.hang_up()
            reader = None
            raise
        finally:
            self._free.put(reader)
        if "summary" in told:
            return FileSummary.from_json(told["summary"])
        problems = tuple(FileProblem(**problem) for problem in told["problems"])
        raise FileProblemsError(name[:_SHOWN_NAME], problems, told["total"])

    def close(self) -> None:
        """End the processes; a check under way is given up."""
        self._closed.set()
        for reader in tuple(self._readers):
            reader.end()

    def _started(self) -> _Reader:
        if self._closed.is_set():
            raise UnavailableError("the server is going away", retry_after_s=5.0)
        reader = _Reader()
        self._readers.add(reader)
        if self._closed.is_set():  # meanwhile
            reader.end()
        return reader


class _Reader:
    """One process that reads files, and the socket to it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _MODULE],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # an error's words may hold a text
                start_new_session=True,  # Ctrl-C is the server's, which ends it
                env={**needed(os.environ), "POLARS_MAX_THREADS": "1"},
            )

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def end(self) -> None:
        """End the process; any thread may."""
        self._process.kill()  # who asks it at this moment meets the end of its answer
        self._process.wait()

    def hang_up(self) -> None:
        """Close the socket; only who asked may: another could close one that is being read."""
        self._socket.close()

    def ask(self, content: Iterable[bytes], name: str, tolerated: float, timeout_s: float) -> dict[str, Any]:
        """Send a file and return the answer; the process is of no use after an exception."""
        watchdog = threading.Timer(timeout_s, self._process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            request = json.dumps({"name": name, "tolerated": tolerated}).encode()
            with _pipe_to(self._socket, request) as pipe:
                _pump(content, pipe)
            return self._answer()
        except (BrokenPipeError, ConnectionError):
            return self._answer()  # it may have known enough before the file's end
        finally:
            watchdog.cancel()

    def _answer(self) -> dict[str, Any]:
        reply = b""
        while not reply.endswith(b"\n"):
            piece = self._receive()
            if not piece:
                self._process.wait()
                if find_spec(_READERS) is None:
                    raise MissingExtraError("data", "checking training files")
                raise UnavailableError("the check of this file was given up", retry_after_s=5.0)
            reply += piece
        told: dict[str, Any] = json.loads(reply)
        return told

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_REPLY_BYTES)
        except ConnectionError:
            return b""


@contextlib.contextmanager
def _pipe_to(asked: socket.socket, request: bytes) -> Iterator[int]:
    """Give the end of a pipe to write to, whose other end went to the process with the request."""
    theirs, ours = os.pipe()
    try:
        if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux: fewer turns between the two
            with contextlib.suppress(OSError):
                fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            socket.send_fds(asked, [request], [theirs])
        finally:
            os.close(theirs)
        yield ours
    finally:
        os.close(ours)


def _pump(content: Iterable[bytes], pipe: int) -> None:
    for piece in content:
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(pipe, rest) :]
