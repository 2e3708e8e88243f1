"""Files behind https:// and in S3 buckets, streamed into the cache; nothing is fetched twice."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from modwright.catalog.index import UnreachableError
from modwright.catalog.landing import Landed, land, read_landed
from modwright.catalog.patterns import has_magic, literal_prefix, matching
from modwright.catalog.progress import Progress, watched
from modwright.catalog.specs import spec_label
from modwright.errors import DataError, MissingExtraError, ModwrightError, SourceError, UsageError
from modwright.settings import Settings

_CHUNK_BYTES = 1 << 20
_CONNECT_TIMEOUT = timedelta(seconds=5)
_READ_TIMEOUT = timedelta(seconds=30)
_NO_TIMEOUT = timedelta(days=7)  # of a whole download; a stalled one ends after the time for one read
_RETRIES = 2
_NO_LENGTH = "Content-Length"
_NO_TIME = 0.0  # what the client says where the server tells no time
_STATUS = re.compile(r"status code: (\d{3})")
_NOT_SAFE = re.compile(r"[^\w.-]")
_FETCH_YOURSELF = "fetch the file on a machine that can reach it, and give its path instead"
_S3_REMEDY = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL"
_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as a store names it.

    Attributes:
        store: the client of its server or bucket.
        path: its place in the store.
        label: what messages call it: no user, password or query, which may be secrets.
        folder: where the cache keeps it.
    """

    store: Any
    path: str
    label: str
    folder: Path


def fetch_remote(spec: str, settings: Settings, progress: Progress) -> Iterator[tuple[str, Landed]]:
    """Yield label and cached file for every file of an ``https://``, ``http://`` or ``s3://`` address, in order.

    A file is streamed to the disk and lands in the cache whole or not at all. It is not fetched again while its
    server states the same ETag, time and size; where the server does not answer, the copy in the cache is used and
    that is told. S3 is set up by AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION and
    AWS_ENDPOINT_URL; without a key, requests are unsigned, as public buckets allow.

    Raises:
        UsageError: an address without a host or bucket, or without a file.
        SourceError: not reachable, refused, or the download broke off.
        DataError: a pattern that nothing in the bucket matches.
        MissingExtraError: the extra `data` is not installed.
    """
    if not spec.startswith("s3://"):
        file = _web_file(spec, settings)
        yield file.label, _fetch(file, settings, progress)
        return
    bucket, _, key = spec.removeprefix("s3://").partition("/")
    if not bucket or not key or key.endswith("/"):
        raise UsageError(
            "names no file",
            where=spec_label(spec),
            remedy="write s3://BUCKET/KEY, or a pattern: s3://BUCKET/FOLDER/*.parquet",
        )
    store = _bucket(bucket)
    for name in _listed(store, bucket, key) if has_magic(key) else [key]:
        label = f"s3://{bucket}/{name}"
        yield label, _fetch(RemoteFile(store, name, label, _folder(label, settings)), settings, progress)


def _web_file(url: str, settings: Settings) -> RemoteFile:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise UsageError(f"is no address: {error}", remedy="write https://HOST/PATH/FILE") from None
    if not parts.hostname:
        raise UsageError("the address names no host", remedy="write https://HOST/PATH/FILE")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    label = f"{parts.scheme}://{host}{port}{parts.path}"
    if has_magic(unquote(parts.path)):
        raise UsageError(
            "a web server lists no files, so a pattern cannot be used", where=label, remedy="name each file"
        )
    store = _obstore().store.HTTPStore(
        url.partition("#")[0],
        client_options={**_client_options(), "allow_http": parts.scheme == "http"},
        retry_config=_retries(),
    )
    return RemoteFile(store, "", label, _folder(url, settings))


def _bucket(bucket: str) -> Any:
    """Return the client of a bucket, set up by the AWS_* variables; without any key, requests are unsigned."""
    given: dict[str, Any] = {}
    if not any(os.environ.get(name) for name in _CREDENTIALS):
        given["skip_signature"] = True
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    if endpoint:
        given["endpoint"] = endpoint
    given["region"] = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return _obstore().store.S3Store(
        bucket,
        **given,
        client_options={**_client_options(), "allow_http": endpoint.startswith("http://")},
        retry_config=_retries(),
    )


def _listed(store: Any, bucket: str, pattern: str) -> list[str]:
    """Return the keys of a bucket that a pattern matches."""
    folder = literal_prefix(pattern).rpartition("/")[0]
    label = f"s3://{bucket}/{pattern}"
    try:
        pages = list(_obstore().list(store, prefix=folder or None))
    except Exception as error:  # the client's errors are of many classes, some of them OSError
        raise _in_words(error, label) from None
    found = matching(pattern, (entry["path"] for page in pages for entry in page if entry["size"]))
    if not found:
        keys = sum(len(page) for page in pages)
        raise DataError(
            f"no file matches; there are {keys:,} below s3://{bucket}/{folder}",
            file=label,
            remedy="'*' stops at '/', '**/*' goes on",
        )
    return found


def _fetch(file: RemoteFile, settings: Settings, progress: Progress) -> Landed:
    """Return the cached file, asking first whether it is still the same."""
    try:
        meta = _asked(file)
    except UnreachableError as error:
        known = read_landed(file.folder)
        if known is None:
            raise SourceError(error.message, where=error.where, remedy=error.remedy) from None
        progress.notice(
            f"{file.label}: {error.message}; using the copy in the cache, sha256 {known.sha256[:16]}…"
        )
        return known
    time_s = meta["last_modified"].timestamp()
    modified = meta["last_modified"].isoformat() if time_s != _NO_TIME else None
    identity = {"etag": meta["e_tag"], "last_modified": modified, "size_bytes": meta["size"]}
    name = _NOT_SAFE.sub("_", unquote(PurePosixPath(urlsplit(file.label).path).name)).lstrip(".") or "file"
    proven = meta["e_tag"] is not None or modified is not None
    return land(
        file.folder,
        name,
        identity,
        lambda path: _download(file, path, progress),
        again=not proven,
    )


def _asked(file: RemoteFile) -> Any:
    """Return what the server says of a file; one that answers no such question is asked for the file itself."""
    obstore = _obstore()
    try:
        return obstore.head(file.store, file.path)
    except Exception as error:  # see _listed
        if _status(error) not in (400, 401, 403, 405, 501) and _NO_LENGTH not in str(error):
            raise _in_words(error, file.label) from None
    try:
        return obstore.get(file.store, file.path).meta
    except Exception as error:  # see _listed
        raise _in_words(error, file.label) from None


def _download(file: RemoteFile, path: Path, progress: Progress) -> str:
    """Stream a file to the disk and return its sha256."""
    digest, done = hashlib.sha256(), 0
    try:
        answer = _obstore().get(file.store, file.path)
    except Exception as error:  # see _listed
        raise _in_words(error, file.label) from None
    size = answer.meta["size"]
    what = PurePosixPath(urlsplit(file.label).path).name or file.label
    with path.open("wb") as stream, watched(lambda: done, progress, what, size):
        for chunk in _chunks(answer, file.label):
            stream.write(chunk)
            digest.update(chunk)
            done += len(chunk)
    if done != size:
        raise SourceError(
            f"the download broke off: {done:,} of {size:,} bytes came", where=file.label, remedy="try again"
        )
    return digest.hexdigest()


def _chunks(answer: Any, label: str) -> Iterator[memoryview]:
    try:
        for chunk in answer.stream(min_chunk_size=_CHUNK_BYTES):
            yield memoryview(chunk)
    except Exception as error:  # see _listed
        raise _in_words(error, label) from None


def _in_words(error: Exception, label: str) -> ModwrightError:
    """Put a client's error into words; its own hold the whole address, which may hold a secret."""
    status = _status(error)
    s3 = label.startswith("s3://")
    if status == 404 or isinstance(error, FileNotFoundError):
        kind = (
            "the bucket has no such file, or there is no such bucket"
            if s3
            else "the server has no such file (404)"
        )
        return SourceError(kind, where=label, remedy="check the address")
    if status in (401, 403) or type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError"):
        remedy = (
            _S3_REMEDY
            if s3
            else "open the address in a browser; where it asks you to log in, " + _FETCH_YOURSELF
        )
        return SourceError(f"access was refused ({status or 403})", where=label, remedy=remedy)
    if status is not None:
        return SourceError(
            f"the server answered {status}", where=label, remedy="try again later; " + _FETCH_YOURSELF
        )
    text = str(error)
    if _NO_LENGTH in text:
        return SourceError(
            "the server does not say how long the file is", where=label, remedy=_FETCH_YOURSELF
        )
    if "kind: Connect" in text or "error sending request" in text or "kind: Timeout" in text:
        remedy = (f"{_S3_REMEDY}; " if s3 else "check the network and the address; ") + _FETCH_YOURSELF
        return UnreachableError("no answer", where=label, remedy=remedy)
    return SourceError("the download broke off", where=label, remedy="try again; " + _FETCH_YOURSELF)


def _status(error: Exception) -> int | None:
    found = _STATUS.search(str(error))
    return int(found.group(1)) if found else None


def _folder(address: str, settings: Settings) -> Path:
    return settings.cache_dir / "remote" / hashlib.sha256(address.encode()).hexdigest()[:32]


def _client_options() -> dict[str, Any]:
    return {"connect_timeout": _CONNECT_TIMEOUT, "read_timeout": _READ_TIMEOUT, "timeout": _NO_TIMEOUT}


def _retries() -> dict[str, Any]:
    return {"max_retries": _RETRIES, "retry_timeout": timedelta(minutes=10)}


def _obstore() -> Any:
    try:
        import obstore
        import obstore.store
    except ImportError as error:
        raise MissingExtraError("data", "reading https:// and s3:// files") from error
    return obstore
