"""Content by its sha256: written aside and hashed on the way, kept once however often it is named.

The table `blobs` says under which name an object lies in the store. A name is used once and never again, so that
deleting an object can't hit content that another is adding. Who puts content has it reserved until a row names it;
what is neither named nor reserved goes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import select

from modwright.errors import IntegrityError, ModwrightError, NotFoundError, SettingsError
from modwright.files import sha256_file
from modwright.settings import Settings
from modwright.storage.clock import now
from modwright.storage.database import Database
from modwright.storage.objects import (
    CHUNK_BYTES,
    BucketObjects,
    FolderObjects,
    Objects,
    disk_in_words,
    old_files,
)
from modwright.storage.references import (
    add_reservation,
    drop_unused,
    hold,
    insert_new,
    lock,
    take_reservation,
)
from modwright.storage.tables import blob_reservations, blobs

#: How long content stays that was put and that no row names.
RESERVED_S = 24 * 3600.0
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What was put: its hex sha256 and its size."""

    sha256: str
    bytes: int


class BlobWriter:
    """Takes content in pieces; nothing is in the store before `commit`.

    As a context manager it gives up at the end what was not committed. Not for several threads at once.

    Attributes:
        path: the file aside; whole and readable between `finish` and `commit`.
        bytes: how many were written.
    """

    def __init__(self, owner: Blobs, path: Path, label: str) -> None:
        self.path = path
        self.bytes = 0
        self._owner = owner
        self._label = label
        self._digest = hashlib.sha256()
        self._info: BlobInfo | None = None
        with disk_in_words(label):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("xb", buffering=0)

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Append a piece.

        Raises:
            StorageFullError: there is no room; everything written is removed.
            StorageError: the disk failed; everything written is removed.
        """
        try:
            with disk_in_words(self._label):
                rest = memoryview(piece)
                while rest:  # an unbuffered write may take a part
                    rest = rest[self._stream.write(rest) :]
        except ModwrightError:
            self.abort()
            raise
        self._digest.update(piece)
        self.bytes += len(piece)

    def finish(self) -> BlobInfo:
        """Flush to the disk and return what was written; `path` may be read now. Raises like `write`."""
        if self._info is None:
            try:
                with disk_in_words(self._label):
                    os.fsync(self._stream.fileno())
                    self._stream.close()
            except ModwrightError:
                self.abort()
                raise
            self._info = BlobInfo(self._digest.hexdigest(), self.bytes)
        return self._info

    def commit(self) -> BlobInfo:
        """Put the content into the store and reserve it, until a row names it or `Blobs.release` gives it up.

        Raises:
            StorageFullError: there is no room; nothing is left.
            StorageError: database or store failed; nothing is left that the next sweep does not clear.
        """
        try:
            info = self.finish()
            self._owner.keep(self.path, info)
        finally:
            self.abort()
        return info

    def abort(self) -> None:
        """Remove what was written aside; what was committed stays."""
        with contextlib.suppress(OSError):
            self._stream.close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class Blobs:
    """The content that a server keeps.

    Args:
        database: which content there is, and who names it.
        objects: where it lies.
        aside: folder in which content is written before it is put; on the file system of a `FolderObjects`.
    """

    def __init__(self, database: Database, objects: Objects, aside: Path) -> None:
        self._database = database
        self._objects = objects
        self._aside = aside

    def writer(self) -> BlobWriter:
        """Return a writer of new content; raises StorageError where its file cannot be made."""
        return BlobWriter(self, self._aside / secrets.token_hex(16), self._objects.label)

    def put_file(self, path: Path) -> BlobInfo:
        """Put and reserve a copy of a file; content that is there already is not copied.

        Raises:
            OSError: the file cannot be read.
            StorageFullError, StorageError: see `BlobWriter.commit`.
        """
        info = BlobInfo(sha256_file(path), path.stat().st_size)
        if self._reserve(info.sha256):
            return info
        with path.open("rb") as stream, self.writer() as writer:
            while piece := stream.read(CHUNK_BYTES):
                writer.write(piece)
            return writer.commit()

    def read(self, sha256: str) -> Iterator[bytes]:
        """Return content in pieces of about a megabyte; flat in memory.

        Raises, before the first piece:
            NotFoundError: there is no such content.
            IntegrityError: its object is missing in the store.
            StorageError: the store or the database failed (the former between pieces, too).
        """
        return self._objects.read(self._name(sha256))

    def get_to(self, sha256: str, path: Path) -> None:
        """Copy content into a file, which appears whole and verified or not at all.

        Raises:
            NotFoundError, StorageError: see `read`.
            StorageFullError: no room for the file.
            IntegrityError: the object is missing, or its bytes are not those that were put.
        """
        aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        digest = hashlib.sha256()
        pieces = self.read(sha256)
        try:
            with disk_in_words(str(path)), aside.open("wb") as stream:
                for piece in pieces:
                    digest.update(piece)
                    stream.write(piece)
            if digest.hexdigest() != sha256:
                raise IntegrityError(
                    f"sha256 is {digest.hexdigest()[:16]}…, what was put has {sha256[:16]}…",
                    where=self._objects.label,
                    remedy="the store has damaged it: bring it back from a backup",
                )
            with disk_in_words(str(path)):
                aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)

    def exists(self, sha256: str) -> bool:
        """Return whether this content is kept, and its object is there."""
        try:
            return self._objects.exists(self._name(sha256))
        except NotFoundError:
            return False

    def release(self, sha256: str) -> None:
        """Give up one reservation: who committed does not want it any more. Named content stays."""
        with self._database.write() as connection:
            lock(connection, [sha256])
            take_reservation(connection, sha256)
            names = drop_unused(connection, [sha256])
        self.delete_objects(names)

    def sweep(self, *, older_than_s: float = RESERVED_S) -> int:
        """Remove what killed processes left: reservations that are over, objects and files aside that nobody names.

        Args:
            older_than_s: objects and files younger than this are left: somebody may be about to name them.

        Returns:
            how many objects and files were removed.
        """
        self.drop_expired()
        removed = 0
        unnamed: list[str] = []
        for name in self._objects.names(older_than_s=older_than_s):
            unnamed.append(name)
            if len(unnamed) == _ROWS_AT_ONCE:
                removed += self._delete_unnamed(unnamed)
                unnamed = []
        removed += self._delete_unnamed(unnamed)
        for path in old_files(self._aside, older_than_s):
            path.unlink(missing_ok=True)
            removed += 1
        return removed

    def drop_expired(self) -> None:
        """Remove content whose last reservation is over and that nobody names."""
        with self._database.read() as connection:
            over = blob_reservations.c.expires_at <= now(connection)
            found = (
                connection.execute(select(blob_reservations.c.sha256).where(over).distinct()).scalars().all()
            )
        for sha256 in found:
            with self._database.write() as connection:
                lock(connection, [sha256])
                names = drop_unused(connection, [sha256])
            self.delete_objects(names)

    def delete_objects(self, names: Iterable[str]) -> None:
        """Delete objects whose rows are gone: to be called after the transaction that dropped them."""
        for name in names:
            self._objects.delete(name)

    def keep(self, path: Path, info: BlobInfo) -> None:
        """Put a file that is complete, unless its content is there, and reserve it; for `BlobWriter`."""
        if self._reserve(info.sha256):
            return
        name = f"{info.sha256}-{secrets.token_hex(4)}"
        self._objects.put(name, path)
        # Where this fails it may have been kept all the same; an object that no row names is swept later.
        if self._register(info, name) != name:
            self._objects.delete(name)  # another was faster

    def _reserve(self, sha256: str) -> bool:
        """Reserve content and return True, or return False where it is not there."""
        with self._database.write() as connection:
            if not hold(connection, sha256):
                return False
            add_reservation(connection, sha256, RESERVED_S)
            return True

    def _register(self, info: BlobInfo, name: str) -> str:
        """Make the row of new content, reserve it, and return the name of its object: an earlier one's if there is."""
        with self._database.write() as connection:
            values = {"sha256": info.sha256, "key": name, "bytes": info.bytes, "created_at": now(connection)}
            found = None
            while found is None:  # the earlier one may go between the two
                insert_new(connection, blobs, values)
                found = hold(connection, info.sha256)
            add_reservation(connection, info.sha256, RESERVED_S)
            return found

    def _name(self, sha256: str) -> str:
        with self._database.read() as connection:
            found = connection.execute(select(blobs.c.key).where(blobs.c.sha256 == sha256)).scalar()
        if found is None:
            raise NotFoundError(f"there is no content with sha256 {sha256[:16]}…", where=self._objects.label)
        return str(found)

    def _delete_unnamed(self, names: list[str]) -> int:
        with self._database.read() as connection:
            named = set(connection.execute(select(blobs.c.key).where(blobs.c.key.in_(names))).scalars())
        gone = [name for name in names if name not in named]
        self.delete_objects(gone)
        return len(gone)


def open_blobs(settings: Settings, database: Database) -> Blobs:
    """Open the store of content that the setting `storage` names: a folder, or ``s3://BUCKET/PREFIX``.

    Raises:
        SettingsError: an address of another kind.
        MissingExtraError: a bucket without the package that speaks to it.
    """
    address = settings.storage or str(settings.home)
    if address.startswith("s3://"):
        return Blobs(database, BucketObjects(address), settings.home / "incoming")
    if "://" in address:
        kind = address.partition("://")[0]
        raise SettingsError(
            f"MODWRIGHT_STORAGE is of the kind '{kind}', which modwright does not know",
            remedy="give a folder, or s3://BUCKET/PREFIX",
        )
    folder = Path(address).expanduser().absolute()
    return Blobs(database, FolderObjects(folder), folder / "incoming")
