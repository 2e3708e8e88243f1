"""A published folder as one tar stream: its length is known before the first byte, and no file of it is held whole."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modwright.errors import IntegrityError
from modwright.storage.artifacts import Manifest, ordered_names

if TYPE_CHECKING:
    from modwright.storage.blobs import Blobs

_BLOCK_BYTES = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK_BYTES)
_READABLE = 0o644


def archive_bytes(manifest: Manifest) -> int:
    """Return the length of `archived`; raises IntegrityError for a path that leads out of the folder."""
    size = len(_END)
    for name in ordered_names(manifest):
        content = int(manifest[name]["bytes"])
        size += len(_head(name, manifest[name], 0)) + content + _padding(content)
    return size


def archived(manifest: Manifest, blobs: Blobs, created_at: float) -> Iterator[bytes]:
    """Return a published folder as the bytes of a tar file, in pieces of about a megabyte; `artifact.json` is last.

    Every file is verified while it goes: a damaged one ends the stream before its end, so that what came is not whole.

    Args:
        manifest: which files there are.
        blobs: where they are.
        created_at: Unix seconds, the time of every file.

    Raises, before the first piece:
        IntegrityError: a path that leads out of the folder, or content that is not there.
        StorageError: the store or the database failed.
    """
    names = ordered_names(manifest)
    for name in names:
        if not blobs.exists(manifest[name]["sha256"]):
            raise IntegrityError(
                f"'{name}' is missing in the store of blobs", remedy="bring the store back, or train again"
            )
    return _pieces(manifest, names, blobs, created_at)


def _pieces(manifest: Manifest, names: list[str], blobs: Blobs, created_at: float) -> Iterator[bytes]:
    for name in names:
        entry = manifest[name]
        yield _head(name, entry, created_at)
        yield from _verified(name, entry, blobs)
        yield bytes(_padding(entry["bytes"]))
    yield _END


def _head(name: str, entry: Mapping[str, Any], created_at: float) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = entry["bytes"], int(created_at), _READABLE
    return member.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> int:
    return -size % _BLOCK_BYTES


def _verified(name: str, entry: Mapping[str, Any], blobs: Blobs) -> Iterator[bytes]:
    digest, size = hashlib.sha256(), 0
    for piece in blobs.read(entry["sha256"]):
        digest.update(piece)
        size += len(piece)
        yield piece
    if size != entry["bytes"] or digest.hexdigest() != entry["sha256"]:
        raise IntegrityError(
            f"'{name}' is not what was published: the store has damaged it",
            remedy="bring it back from a backup, or train again",
        )
