"""Where data comes from, in one notation: a path, a pattern, hf://, https://, s3:// or '-', packed or not."""

from __future__ import annotations

import glob
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modwright.catalog.datasets import PREFIX, fetch_hub_files
from modwright.catalog.patterns import has_magic
from modwright.catalog.progress import LogProgress, Progress
from modwright.catalog.remote import fetch_remote
from modwright.catalog.specs import spec_label, with_plain_scheme
from modwright.catalog.unpack import COMPRESSED, save_stdin, scratch_folder, unpack
from modwright.errors import DataError, UsageError
from modwright.settings import Settings

STDIN = "-"
_REMOTE = ("https", "http", "s3")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read, on this machine.

    Attributes:
        path: where its bytes lie; not compressed, and there only until the next file is asked for.
        name: what messages and the column `source` call it.
        origin: what a dataset records of it, JSON-ready: spec, revision or ETag, sha256 of the bytes as they came.
            Empty for a plain local file.
        stored: where its bytes lie as they came, packed or not: another file lies elsewhere. None where `path` is
            that place.
    """

    path: Path
    name: str
    origin: dict[str, Any] = field(default_factory=dict)
    stored: Path | None = None


def is_local(spec: str) -> bool:
    """Say whether a spec is a path or a pattern of paths on this machine."""
    return spec != STDIN and "://" not in spec


def fetch_sources(
    spec: str, settings: Settings, progress: Progress | None = None, *, format: str | None = None
) -> Generator[SourceFile, None, None]:
    """Yield the files that a spec names, in order; each is fetched and unpacked when it is asked for.

    Close the iterator when done with it (`contextlib.closing`), so that what was unpacked is removed.

    Args:
        spec: a local path; a pattern (``data/*.jsonl``, sorted); ``hf://OWNER/NAME[@REVISION][#CONFIG][:SPLIT]``;
            ``https://…`` or ``http://…``; ``s3://BUCKET/KEY`` or a pattern of keys; ``-`` for standard input. Names
            that end in .gz, .zst or .zstd are unpacked.
        settings: its ``cache_dir`` holds downloads and what is unpacked, its ``max_unpacked_bytes`` bounds that.
        progress: told how far downloads are and what failed.
        format: csv, tsv, jsonl or parquet; what standard input holds.

    Raises:
        UsageError: an unknown scheme, or ``-`` without a format.
        DataError: a pattern that matches nothing; a packed file that is damaged or too large.
        SourceError: a source that cannot be reached, see `fetch_hub_files` and `fetch_remote`.
    """
    told = progress if progress is not None else LogProgress()
    if spec == STDIN:
        yield from _stdin(settings, format)
        return
    for source in _located(with_plain_scheme(spec), settings, told):
        if Path(source.path).suffix.lower() not in COMPRESSED:
            yield source
            continue
        with scratch_folder(settings.cache_dir / "scratch") as folder:
            path, sha256 = unpack(source.path, source.name, folder, settings.max_unpacked_bytes)
            yield SourceFile(path, source.name, {"sha256": sha256, **source.origin}, source.path)


def _located(spec: str, settings: Settings, progress: Progress) -> Iterator[SourceFile]:
    """Yield the files of a spec as they are stored."""
    if is_local(spec):
        yield from (SourceFile(path, str(path)) for path in _local(spec))
    elif spec.startswith(PREFIX):
        for file in fetch_hub_files(spec, settings, progress):
            found: dict[str, Any] = {"spec": spec, "revision": file.revision, "sha256": file.landed.sha256}
            yield SourceFile(file.landed.path, file.name, found)
    elif spec.partition("://")[0] in _REMOTE:
        for label, landed in fetch_remote(spec, settings, progress):
            origin: dict[str, Any] = {
                "spec": label,
                "etag": landed.identity.get("etag"),
                "sha256": landed.sha256,
            }
            yield SourceFile(landed.path, label, origin)
    else:
        raise UsageError(
            f"has the scheme '{spec.partition('://')[0]}', which is not known",
            where=spec_label(spec),
            remedy="give a path, hf://, https:// or s3://",
        )


def _local(spec: str) -> list[Path]:
    """Return the path, or the sorted paths that a pattern matches."""
    if not has_magic(spec) or os.path.lexists(spec):
        return [Path(spec)]
    names = glob.glob(spec, recursive=True)  # noqa: PTH207 (Path.glob knows no absolute patterns)
    found = sorted(path for path in map(Path, names) if path.is_file())
    if not found:
        raise DataError(
            "no file matches", file=spec, remedy="check the folder; '*' stops at '/', '**/*' goes on"
        )
    return found


def _stdin(settings: Settings, format: str | None) -> Iterator[SourceFile]:
    if format is None:
        raise UsageError(
            "'-' is standard input, which has no name that tells its format",
            remedy="give --format csv, tsv, jsonl or parquet",
        )
    with scratch_folder(settings.cache_dir / "scratch") as folder:
        path, sha256 = save_stdin(folder, f"stdin.{format}")
        yield SourceFile(path, "stdin", {"spec": STDIN, "sha256": sha256})
