"""Compressed files and standard input, written out to a scratch folder that never outlives its process for long."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from modwright.errors import DataError, MissingExtraError, SourceError
from modwright.files import locked

COMPRESSED = frozenset({".gz", ".zst", ".zstd"})
_CHUNK_BYTES = 1 << 20
#: One byte of zstd may say 32 KB, so that this much of it stays below 32 MB.
_ZSTD_FEED_BYTES = 1 << 10
_LOCK = ".lock"


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Give an empty folder below ``parent`` that is removed at the end, on errors too.

    A folder that a killed process left is removed by the next caller: its lock, which the kernel lets go with the
    process, is free.
    """
    with contextlib.ExitStack() as held:
        try:
            with locked(parent):
                _sweep(parent)
                parent.mkdir(parents=True, exist_ok=True)
                folder = Path(tempfile.mkdtemp(dir=parent))
                held.callback(shutil.rmtree, folder, ignore_errors=True)
                lock = held.enter_context((folder / _LOCK).open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            raise no_room(error, parent) from None
        yield folder


def _sweep(parent: Path) -> None:
    """Remove the folders whose process is gone."""
    for folder in parent.glob("*/"):
        with contextlib.suppress(FileNotFoundError), (folder / _LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(folder, ignore_errors=True)


def unpack(path: Path, name: str, folder: Path, limit_bytes: int) -> tuple[Path, str]:
    """Decompress a ``.gz``, ``.zst`` or ``.zstd`` file into a folder, in flat memory.

    Args:
        path: the compressed file.
        name: what errors call it.
        folder: where the file without that ending is written.
        limit_bytes: more than this is refused: a small archive may unpack to anything.

    Returns:
        The unpacked file, and the sha256 of the compressed one.

    Raises:
        DataError: missing, unreadable, damaged, cut off, or larger than the limit.
        SourceError: no room for it.
    """
    target = folder / path.stem
    digest, written = hashlib.sha256(), 0
    try:
        with _opened(path, name) as packed, target.open("wb") as stream:
            for piece in _pieces(path.suffix.lower())(_hashed(packed, digest, name), name):
                written += len(piece)
                if written > limit_bytes:
                    raise _too_large(name, path, limit_bytes)
                stream.write(piece)
    except OSError as error:
        raise no_room(error, folder) from None
    return target, digest.hexdigest()


def save_stdin(folder: Path, file: str) -> tuple[Path, str]:
    """Write standard input to a file in a folder and return it with its sha256."""
    digest, target = hashlib.sha256(), folder / file
    try:
        with target.open("wb") as stream:
            for chunk in _hashed(sys.stdin.buffer, digest, "stdin"):
                stream.write(chunk)
    except OSError as error:
        raise no_room(error, folder) from None
    return target, digest.hexdigest()


def no_room(error: OSError, folder: Path) -> SourceError:
    """Return the error of a scratch folder that cannot be written."""
    return SourceError(
        f"cannot be written: {error.strerror or error}",
        where=str(folder),
        remedy="make room, or set MODWRIGHT_CACHE to another folder",
    )


def _too_large(name: str, path: Path, limit_bytes: int) -> DataError:
    return DataError(
        f"unpacks to more than {limit_bytes:,} bytes, from {path.stat().st_size:,}",
        file=name,
        remedy="where you trust it, unpack it yourself or raise MODWRIGHT_MAX_UNPACKED_BYTES",
    )


def _opened(path: Path, name: str) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise DataError("no such file", file=name, remedy="check the path") from None
    except IsADirectoryError:
        raise DataError("is a folder, expected a file", file=name, remedy="name the files in it") from None
    except OSError as error:
        raise _unreadable(error, name) from None


def _unreadable(error: OSError, name: str) -> DataError:
    return DataError(f"cannot be read: {error.strerror or error}", file=name, remedy="name a readable file")


def _hashed(stream: BinaryIO, digest: Any, name: str) -> Iterator[bytes]:
    while True:
        try:
            chunk = stream.read(_CHUNK_BYTES)
        except OSError as error:
            raise _unreadable(error, name) from None
        if not chunk:
            return
        digest.update(chunk)
        yield chunk


def _pieces(suffix: str) -> Callable[[Iterator[bytes], str], Iterator[bytes]]:
    return _gunzip if suffix == ".gz" else _unzstd


def _gunzip(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield what the members of a gzip file hold, a bounded piece at a time."""
    inflater: Any = None
    members = 0
    try:
        for chunk in chunks:
            while chunk:
                if inflater is None:
                    chunk = chunk.lstrip(b"\0") if members else chunk  # members may be padded
                    if not chunk:
                        break
                    inflater, members = zlib.decompressobj(wbits=31), members + 1
                yield inflater.decompress(chunk, _CHUNK_BYTES)
                chunk = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
                inflater = None if inflater.eof else inflater
        while inflater is not None and not inflater.eof:
            piece = inflater.decompress(b"", _CHUNK_BYTES)
            if not piece and not inflater.eof:
                raise _cut_off(name, "gzip")
            yield piece
    except zlib.error as error:
        raise _damaged(name, "gzip", error) from None
    if not members:
        raise _cut_off(name, "gzip")


def _unzstd(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield what the frames of a zstd file hold, a bounded piece at a time."""
    try:
        import zstandard
    except ImportError as error:
        raise MissingExtraError("data", "reading .zst files") from error
    frame: Any = None
    frames = 0
    try:
        for chunk in chunks:
            done = 0
            while done < len(chunk):
                if frame is None:
                    frame, frames = zstandard.ZstdDecompressor().decompressobj(), frames + 1
                fed = chunk[done : done + _ZSTD_FEED_BYTES]
                yield frame.decompress(fed)
                done += len(fed)
                if frame.eof:
                    done -= len(frame.unused_data)
                    frame = None
    except zstandard.ZstdError as error:
        raise _damaged(name, "zstd", error) from None
    if frame is not None or not frames:
        raise _cut_off(name, "zstd")


def _cut_off(name: str, kind: str) -> DataError:
    return DataError(
        f"the {kind} file is cut off: it ends before its end mark",
        file=name,
        remedy="copy or download it again",
    )


def _damaged(name: str, kind: str, error: Exception) -> DataError:
    return DataError(
        f"is not a sound {kind} file: {error}",
        file=name,
        remedy="copy or download it again, or check its ending",
    )
