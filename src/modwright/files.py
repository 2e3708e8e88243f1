"""Folders that appear whole or not at all: staged aside, hashed, renamed; the manifest is written last."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modwright.errors import IntegrityError, UsageError

_CHUNK_BYTES = 1 << 20
_AT_FDCWD, _RENAME_EXCHANGE, _RENAME_SWAP = -100, 2, 2


def sha256_file(path: Path) -> str:
    """Return the hex sha256 of a file's bytes, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_json(data: Any) -> str:
    """Return the hex sha256 of JSON data in canonical form (sorted keys, no spaces)."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_json(path: Path, data: Any) -> None:
    """Write JSON data readably, with NaN refused, and flush it to disk."""
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with path.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def read_json(path: Path) -> Any:
    """Read JSON data; raises IntegrityError where the file is missing or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise IntegrityError("file is missing", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"is not valid JSON: {error}", where=str(path)) from None


def file_hashes(folder: Path, *, leave_out: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return relative path (with '/') to sha256 for every file below a folder, less those left out."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: sha256_file(path) for name, path in names.items() if name not in leave_out}


def verify(folder: Path, hashes: Mapping[str, str]) -> None:
    """Raise IntegrityError unless every named file is there with its sha256."""
    for name, expected in hashes.items():
        path = folder / name
        if not path.is_file():
            raise IntegrityError("file is missing", where=str(path), remedy="make the folder again")
        found = sha256_file(path)
        if found != expected:
            raise IntegrityError(
                f"sha256 is {found[:16]}…, the manifest promises {expected[:16]}…",
                where=str(path),
                remedy="the file was changed or damaged; make the folder again",
            )


def link_or_copy(source: Path, destination: Path) -> None:
    """Hard-link a file where the file system allows it, else copy it; the folder is made."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), destination)
    except OSError:
        shutil.copyfile(source, destination)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a path for other processes; the kernel lets it go when this process dies.

    The lock file lies beside the path as ``.<name>.lock`` and is removed by the holder at the end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.parent / f".{path.name}.lock"
    while True:
        stream = lock.open("a")
        fcntl.flock(stream, fcntl.LOCK_EX)
        # The former holder may have removed the file between our open and our lock: then ours is a ghost.
        with contextlib.suppress(FileNotFoundError):
            if lock.stat().st_ino == os.fstat(stream.fileno()).st_ino:
                break
        stream.close()
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        stream.close()


@contextlib.contextmanager
def staged_folder(final: Path, *, replace: bool = False, only: str | None = None) -> Iterator[Path]:
    """Give an empty staging folder that becomes ``final`` at the end, whole or not at all.

    What a killed process left is put right first. On an exception the staging folder is removed and ``final``
    stays as it was. With ``replace`` an existing ``final`` is swapped out at the end; with ``only`` just one that
    holds a file of that name, so that nobody loses a folder of something else. A link stays and what it points to is
    staged. Processes that stage the same folder wait for each other.

    Raises:
        UsageError: ``final`` exists and is not empty and may not be replaced, is a file, or is the folder this runs in.
    """
    final = _resolved(final)
    refuse_unfit(
        final, replace=replace, only=only
    )  # before waiting for the lock, which may take as long as training
    with locked(final):
        staging, old, _ = _beside(final)
        _recover(final, staging, old)
        refuse_unfit(final, replace=replace, only=only)
        staging.mkdir(parents=True)
        try:
            yield staging
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        sync_tree(staging)
        _swap_in(final, staging, old)


def refuse_unfit(final: Path, *, replace: bool, only: str | None = None) -> None:
    """Raise UsageError unless `staged_folder` may write here; to be asked before long work."""
    final = _resolved(final)
    if final.is_file():
        raise UsageError("is a file, a folder is written", where=str(final), remedy="name a folder")
    if Path.cwd().is_relative_to(final):
        raise UsageError(
            "is the folder this runs in, which cannot be swapped",
            where=str(final),
            remedy="name a folder inside it",
        )
    if not final.exists() or not any(final.iterdir()):
        return
    if not replace:
        raise UsageError(
            "exists already and holds something else",
            where=str(final),
            remedy="choose another folder, or give --replace",
        )
    if only is not None and not (final / only).is_file():
        raise UsageError(
            f"holds something else and is not replaced: there is no {only}",
            where=str(final),
            remedy="choose another folder or remove this one",
        )


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        raise UsageError(
            "is a link that leads to itself", where=str(path), remedy="name another path, or remove it"
        ) from None


def _recover(final: Path, staging: Path, old: Path) -> None:
    """Put right what a killed process left: the old folder comes back, or its removal is finished."""
    if old.exists():
        if final.exists():
            shutil.rmtree(old)
        else:
            old.rename(final)
    if staging.exists():
        shutil.rmtree(staging)


def _swap_in(final: Path, staging: Path, old: Path) -> None:
    """Put the new folder in place: at every moment, where the system can exchange names, one of the two is there."""
    if not final.exists():
        staging.rename(final)
    elif _exchanged(staging, final):
        shutil.rmtree(staging)
    else:
        final.rename(old)
        staging.rename(final)
        shutil.rmtree(old)
    _sync(final.parent)


def _exchanged(one: Path, other: Path) -> bool:
    """Let two paths trade their content in one step; False where the system or file system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(one), os.fsencode(other)
    if hasattr(library, "renameat2"):  # Linux
        failed = library.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE)
    elif hasattr(library, "renamex_np"):  # macOS
        failed = library.renamex_np(first, second, _RENAME_SWAP)
    else:
        return False
    return bool(failed == 0)


def has_leftovers(final: Path) -> bool:
    """Say whether a writer of ``final`` is at work or was killed: writing it again clears what it left."""
    return any(path.exists() for path in _beside(_resolved(final)))


def _beside(final: Path) -> tuple[Path, Path, Path]:
    """Return the staging folder, the folder that is being replaced, and the lock."""
    staging, old, lock = (final.parent / f".{final.name}.{end}" for end in ("partial", "old", "lock"))
    return staging, old, lock


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below ``folder`` to disk, so that a rename never outlives its content."""
    for path in [*folder.rglob("*"), folder]:
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def staged_file(final: Path) -> Iterator[Path]:
    """Give a path beside ``final`` that takes its place at the end, whole or not at all; a link stays."""
    final = _resolved(final)
    with locked(final):
        staging = _beside(final)[0]
        try:
            yield staging
            _sync(staging)
            staging.replace(final)
        finally:
            staging.unlink(missing_ok=True)
        _sync(final.parent)


def write_text_atomic(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old content or the new, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.parent / f".{path.name}.partial"
    with staging.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    staging.replace(path)
