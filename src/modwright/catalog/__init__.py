"""Bases (pretrained models) and data sets by name: an identity (sha256 of the bytes) and ordered sources.

`fetch_base` and `fetch_data` return a folder of verified files. A source that gives other bytes is refused; a
warm cache needs no network. `modwright.catalog.shelf` holds the entries. `fetch_sources` yields the files behind
whatever a user names as data: paths, patterns, data sets of the hub, web addresses, buckets, standard input.
"""

from __future__ import annotations

import os
from pathlib import Path

from modwright.catalog.data_files import SourceFile, fetch_sources
from modwright.catalog.entries import Base, BaseKind, DataSet, Pooling
from modwright.catalog.fetch import (
    BASE_MANIFEST,
    BaseFolder,
    base_path,
    fetch_catalog_base,
    fetch_data,
    looks_cached,
)
from modwright.catalog.foreign import fetch_hub_base, hub_source, read_local_base, read_manifest
from modwright.catalog.progress import Progress, TerminalProgress
from modwright.catalog.shelf import BASES, DATA_SETS, DEFAULT_BASE, base, data_set, find_base
from modwright.catalog.specs import spec_label
from modwright.errors import IntegrityError, NotFoundError, UsageError
from modwright.settings import Settings

__all__ = [
    "BASES",
    "DATA_SETS",
    "DEFAULT_BASE",
    "Base",
    "BaseFolder",
    "BaseKind",
    "DataSet",
    "Pooling",
    "Progress",
    "SourceFile",
    "TerminalProgress",
    "base",
    "cached_bases",
    "data_set",
    "fetch_base",
    "fetch_data",
    "fetch_sources",
    "is_cached",
    "spec_label",
]


def fetch_base(
    name: str, settings: Settings, *, progress: Progress | None = None, accept_terms: bool = False
) -> BaseFolder:
    """Return a folder with the verified files of a base, fetching them first where the cache has none.

    Args:
        name: a name or alias of the catalog, a local folder's path, or ``owner/name@revision`` on the hub.
        settings: its ``cache_dir`` holds the downloads.
        progress: told how far a download is and what failed; without one, failures go to the log.
        accept_terms: accept the terms of use of a base that has some; remembered in the cache.

    Raises:
        NotFoundError: no such name; the nearest is named.
        UsageError: terms not accepted, or a folder or repository that holds no usable base.
        SourceError: no source could be reached; each is listed with its reason and what to do.
        IntegrityError: a source gave other bytes than the pinned ones, and no other worked.
    """
    if not name.strip():
        raise UsageError(
            "the name of a base is empty", remedy="give a folder, a hub id or a name of the catalog"
        )
    known = find_base(name)
    if known is not None:
        return fetch_catalog_base(known, settings, progress, accept_terms=accept_terms)
    path = Path(os.path.expanduser(name))  # noqa: PTH111 (Path's own raises where there is no such user)
    if path.is_dir():
        return read_local_base(path.resolve())
    if path.is_file():
        raise UsageError(
            "is a file, a base is a folder", where=name, remedy="give the folder the file lies in"
        )
    source = hub_source(name)
    if source is not None:
        return fetch_hub_base(name, source, settings, progress)
    if name.startswith((".", "/", "~")):
        raise NotFoundError(
            "no such folder", where=name, remedy="give a folder, a hub id or a name of the catalog"
        )
    base(name)  # names the nearest one
    raise AssertionError("unreachable")


def is_cached(entry: Base, settings: Settings) -> bool:
    """Return whether a base lies in the cache, by the sizes of its files; fetching it verifies the bytes."""
    return looks_cached(entry, base_path(entry.name, settings), BASE_MANIFEST)


def cached_bases(settings: Settings) -> list[Base]:
    """Return the bases in the cache that are not of the catalog, by name; broken ones are left out."""
    found = []
    for manifest in sorted((settings.cache_dir / "bases").glob(f"[!.]*--*/{BASE_MANIFEST}")):
        try:
            found.append(read_manifest(manifest.parent))
        except IntegrityError:
            continue
    return found
