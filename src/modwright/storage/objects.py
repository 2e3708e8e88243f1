"""Where objects lie: a folder, or a bucket. An object has a name, is put whole, and is never changed."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, Protocol

from modwright.errors import IntegrityError, MissingExtraError, SettingsError, StorageError, StorageFullError

CHUNK_BYTES = 1 << 20
_PART_BYTES = 8 << 20  # 10,000 parts at most make an object of 80 GB
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_S3_REMEDY = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL"
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE")
_KEYS_OF_CONTAINERS = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


class Objects(Protocol):
    """A store of objects.

    Every method raises StorageError where the store cannot be reached or fails.
    """

    #: What messages call it.
    label: str

    def put(self, name: str, path: Path) -> None:
        """Put a file, whole or not at all; the file may be gone afterwards. Raises StorageFullError, too."""
        ...

    def read(self, name: str) -> Iterator[bytes]:
        """Return the content in pieces; raises IntegrityError, at once, where the object is missing."""
        ...

    def exists(self, name: str) -> bool:
        """Return whether the object is there."""
        ...

    def delete(self, name: str) -> None:
        """Delete an object, which may be gone already."""
        ...

    def names(self, *, older_than_s: float) -> Iterator[str]:
        """Yield the names of objects that have lain there for longer than that."""
        ...


class FolderObjects:
    """Objects as files below ``<folder>/blobs``, in folders by the first two characters of their names."""

    def __init__(self, folder: Path) -> None:
        self.label = str(folder)
        self._folder = folder / "blobs"

    def put(self, name: str, path: Path) -> None:
        """See `Objects.put`; ``path`` lies on the same file system, and moves."""
        final = self._path(name)
        with disk_in_words(self.label):
            if not final.parent.is_dir():
                final.parent.mkdir(parents=True, exist_ok=True)
                sync_folder(self._folder)
            path.rename(final)
            sync_folder(final.parent)

    def read(self, name: str) -> Iterator[bytes]:
        """See `Objects.read`."""
        with disk_in_words(self.label):
            try:
                stream = self._path(name).open("rb", buffering=0)
            except FileNotFoundError:
                _missing(self.label)
        return self._pieces(stream)

    def _pieces(self, stream: Any) -> Iterator[bytes]:
        with stream, disk_in_words(self.label):
            while piece := stream.read(CHUNK_BYTES):
                yield piece

    def exists(self, name: str) -> bool:
        """See `Objects.exists`."""
        return self._path(name).is_file()

    def delete(self, name: str) -> None:
        """See `Objects.delete`."""
        with disk_in_words(self.label):
            self._path(name).unlink(missing_ok=True)

    def names(self, *, older_than_s: float) -> Iterator[str]:
        """See `Objects.names`."""
        for path in old_files(self._folder, older_than_s):
            yield path.name

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name


class BucketObjects:
    """Objects of an S3 bucket below a prefix; set up by the variables AWS_*."""

    def __init__(self, address: str) -> None:
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        if not bucket:
            raise SettingsError(
                f"'{address}' names no bucket", remedy="write s3://BUCKET or s3://BUCKET/PREFIX"
            )
        self.label = f"s3://{bucket}/{prefix}".rstrip("/")
        self._prefix = "/".join(part for part in (prefix.strip("/"), "blobs") if part)
        self._store = _bucket(bucket)

    def put(self, name: str, path: Path) -> None:
        """See `Objects.put`; at most two parts of the file are in memory."""
        with self._in_words(there=False):
            import obstore

            obstore.put(self._store, self._key(name), path, chunk_size=_PART_BYTES, max_concurrency=2)

    def read(self, name: str) -> Iterator[bytes]:
        """See `Objects.read`."""
        with self._in_words():
            import obstore

            answer = obstore.get(self._store, self._key(name))
        return self._pieces(answer)

    def _pieces(self, answer: Any) -> Iterator[bytes]:
        with self._in_words():
            for piece in answer.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(piece)

    def exists(self, name: str) -> bool:
        """See `Objects.exists`."""
        try:
            with self._in_words():
                import obstore

                obstore.head(self._store, self._key(name))
        except IntegrityError:
            return False
        return True

    def delete(self, name: str) -> None:
        """See `Objects.delete`."""
        with contextlib.suppress(IntegrityError), self._in_words():
            import obstore

            obstore.delete(self._store, self._key(name))

    def names(self, *, older_than_s: float) -> Iterator[str]:
        """See `Objects.names`; by the bucket's clock, as far as this machine's agrees with it."""
        before = time.time() - older_than_s
        with self._in_words(there=False):
            import obstore

            for entries in obstore.list(self._store, prefix=self._prefix):
                for entry in entries:
                    if entry["last_modified"].timestamp() < before:
                        yield entry["path"].rpartition("/")[2]

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name[:2]}/{name}"

    @contextlib.contextmanager
    def _in_words(self, *, there: bool = True) -> Iterator[None]:
        """Say a client's error in words, its own hold the whole address; ``there`` expects an object to be there."""
        try:
            yield
        except Exception as error:  # the client's are of many classes, some of them OSError
            if isinstance(error, FileNotFoundError) and there:
                _missing(self.label)
            kind = type(error).__name__.removesuffix("Error")
            raise StorageError(f"the bucket failed ({kind})", where=self.label, remedy=_S3_REMEDY) from None


def old_files(folder: Path, older_than_s: float) -> Iterator[Path]:
    """Yield the files below a folder that were last written longer ago than that."""
    before = time.time() - older_than_s
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and path.stat().st_mtime < before:
                yield path


@contextlib.contextmanager
def disk_in_words(label: str) -> Iterator[None]:
    """Turn errors of the file system into StorageError, or StorageFullError where there is no room."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFullError(
                "there is no room left; nothing was kept", where=label, remedy="make room, then try again"
            ) from None
        raise StorageError(f"the disk failed: {error.strerror}", where=label) from None


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, so that what a row names outlives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _missing(label: str) -> NoReturn:
    raise IntegrityError(
        "an object that the database names is missing", where=label, remedy="bring it back from a backup"
    ) from None


def _bucket(bucket: str) -> Any:
    """Return the client of a bucket; without any key in the environment, requests are unsigned."""
    try:
        from obstore.store import S3Store
    except ImportError:
        raise MissingExtraError("serve", "keeping files in a bucket") from None
    given: dict[str, Any] = {}
    if not any(os.environ.get(name) for name in (*_KEYS, *_KEYS_OF_CONTAINERS)):
        given["skip_signature"] = bool(os.environ.get("AWS_SKIP_SIGNATURE"))
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    if endpoint:
        given["endpoint"] = endpoint
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return S3Store(
        bucket,
        **given,
        region=region,
        client_options={
            "connect_timeout": timedelta(seconds=5),
            "read_timeout": timedelta(seconds=30),
            "timeout": timedelta(
                days=1
            ),  # of a whole transfer; a stalled one ends after the time for one read
            "allow_http": endpoint.startswith("http://"),
        },
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=60)},
    )
