"""One fetched file in a folder of the cache: whole or not at all, with what it was when it was fetched."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modwright.errors import IntegrityError, SourceError
from modwright.files import locked, read_json, sha256_file, staged_folder, write_json

#: Written last into the folder of a fetched file.
MANIFEST = "source.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Landed:
    """A file in the cache.

    Attributes:
        path: the file; it is shared, so nothing may be written to it.
        identity: what its source called it (ETag, size, commit): the same again is not fetched again.
        sha256: of its bytes.
    """

    path: Path
    identity: dict[str, Any]
    sha256: str


@contextlib.contextmanager
def writing_cache(folder: Path) -> Iterator[None]:
    """Turn the system's refusals below a folder of the cache into a SourceError that says what to do."""
    try:
        yield
    except OSError as error:
        raise SourceError(
            f"the cache cannot be written: {error}",
            where=str(folder),
            remedy="make room, or set MODWRIGHT_CACHE to another folder",
        ) from None


def read_landed(folder: Path) -> Landed | None:
    """Return the file of a cache folder, its bytes verified; None where there is none or it is damaged."""
    with contextlib.suppress(IntegrityError, KeyError, TypeError, ValueError, OSError):
        data = read_json(folder / MANIFEST)
        path = folder / data["name"]
        if data["format_version"] == FORMAT_VERSION and sha256_file(path) == data["sha256"]:
            return Landed(path, data["identity"], data["sha256"])
    return None


def land(
    folder: Path, name: str, identity: Mapping[str, Any], fill: Callable[[Path], str], *, again: bool = False
) -> Landed:
    """Return a file of the cache, fetching it first unless the one of that identity is there.

    Args:
        folder: its own folder in the cache.
        name: what the file shall be called in it.
        identity: what the source says of it, JSON-ready.
        fill: writes the file to a path and returns its sha256.
        again: fetch it even where it is there, because its identity proves nothing.

    Raises:
        SourceError: `fill` could not fetch it, or the cache cannot be written.
    """
    wanted = dict(identity)
    name = f"data-{name}" if name == MANIFEST else name
    lock = folder.parent / f"{folder.name}.fetch"
    with writing_cache(folder):
        found = None if again or _was_interrupted(lock) else read_landed(folder)
        if found is not None and found.identity == wanted:
            return found
        with locked(lock):
            found = None if again else read_landed(folder)  # another process may have fetched it meanwhile
            if found is not None and found.identity == wanted:
                _clear_beside(folder)
                return found
            return _fetched(folder, name, wanted, fill)


def _fetched(folder: Path, name: str, identity: dict[str, Any], fill: Callable[[Path], str]) -> Landed:
    with staged_folder(folder, replace=True) as staging:
        sha256 = fill(staging / name)
        manifest = {
            "format_version": FORMAT_VERSION,
            "name": name,
            "identity": identity,
            "sha256": sha256,
        }
        write_json(staging / MANIFEST, manifest)
    return Landed(folder / name, identity, sha256)


def _was_interrupted(lock: Path) -> bool:
    """Say whether a process is fetching this file or was killed while it did: its lock is there."""
    return (lock.parent / f".{lock.name}.lock").exists()


def _clear_beside(folder: Path) -> None:
    """Remove what a process left that was killed after its file had landed; the caller holds the fetch lock."""
    for end in ("partial", "old"):
        shutil.rmtree(folder.parent / f".{folder.name}.{end}", ignore_errors=True)
    (folder.parent / f".{folder.name}.lock").unlink(missing_ok=True)
