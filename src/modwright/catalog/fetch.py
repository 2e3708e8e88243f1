"""Fetches bases and data sets into the cache: verified, whole or not at all, by any number of processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modwright.catalog.entries import Base, BaseKind, Entry, Pooling
from modwright.catalog.landing import writing_cache
from modwright.catalog.progress import LogProgress, Progress
from modwright.catalog.shelf import data_set
from modwright.catalog.sources import fill
from modwright.catalog.terms import require_accepted
from modwright.errors import IntegrityError
from modwright.files import locked, staged_folder, verify, write_json
from modwright.settings import Settings

#: Written last into every fetched folder.
BASE_MANIFEST = "base.json"
DATA_MANIFEST = "data.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class BaseFolder:
    """A folder with a base's verified files.

    Attributes:
        path: the folder; it is shared, so nothing may be written into it.
        name: the catalog's name, a hub id, or the name of a folder of the user's own.
        hub: the upstream repository, empty where unknown.
        weights: file name, that of the index where they lie in several files.
        weights_sha256: the base's identity; see `modwright.catalog.weights`.
        tokenizer: file name; for GGUF the weights file, which holds the tokenizer.
        normalise: whether embeddings are scaled to unit length.
        max_tokens: the length the model was tuned for, special tokens included.
        max_positions: the length its position embeddings allow, special tokens included.
    """

    path: Path
    name: str
    hub: str
    kind: BaseKind
    licence: str
    weights: str
    weights_sha256: str
    tokenizer: str
    tokenizer_sha256: str
    pooling: Pooling
    normalise: bool
    max_tokens: int
    max_positions: int

    def to_json(self) -> dict[str, Any]:
        """Return the base as JSON-ready data, without the path."""
        data = {key: value for key, value in asdict(self).items() if key != "path"}
        return {**data, "kind": str(self.kind), "pooling": str(self.pooling)}


def fetch_catalog_base(
    base: Base, settings: Settings, progress: Progress | None, *, accept_terms: bool
) -> BaseFolder:
    """Return the cached folder of a catalog's base, fetching it first where it is not whole.

    Raises:
        UsageError: its terms were not accepted.
        SourceError, IntegrityError: see `fetch_entry`.
    """
    require_accepted(base, settings.cache_dir, accept_terms=accept_terms)
    path = fetch_entry(base, base_path(base.name, settings), BASE_MANIFEST, progress)
    return base_folder(base, path)


def fetch_data(name: str, settings: Settings, *, progress: Progress | None = None) -> Path:
    """Return the cached folder of a data set's verified files, fetching it first where it is not whole.

    Raises:
        NotFoundError: no data set of that name; the nearest is named.
        SourceError, IntegrityError: see `fetch_entry`.
    """
    entry = data_set(name)
    return fetch_entry(entry, settings.cache_dir / "data" / entry.name, DATA_MANIFEST, progress)


def fetch_entry(entry: Entry, folder: Path, manifest: str, progress: Progress | None = None) -> Path:
    """Make ``folder`` hold the entry's verified files and return it; a whole one needs no network.

    Raises:
        SourceError: no source could be reached (each listed with its reason), or the cache can't be written.
        IntegrityError: no source gave the pinned bytes.
    """
    progress = progress if progress is not None else LogProgress()
    if is_whole(entry, folder, manifest, progress):
        return folder
    with writing_cache(folder), locked(folder.parent / f"{folder.name}.fetch"):
        if not is_whole(entry, folder, manifest, None):
            with staged_folder(folder, replace=True) as staging:
                source = fill(entry, staging, progress)
                write_json(staging / manifest, manifest_json(entry, staging, source))
    return folder


def is_whole(entry: Entry, folder: Path, manifest: str, progress: Progress | None) -> bool:
    """Return whether the folder holds every required file with its pinned bytes; a damaged one is told."""
    if not (folder / manifest).is_file():
        return False
    try:
        verify(folder, entry.required)
    except IntegrityError as error:
        if progress is not None:
            progress.notice(f"the cached copy of {entry.name} is damaged and is fetched again: {error.where}")
        return False
    return True


def looks_cached(entry: Entry, folder: Path, manifest: str) -> bool:
    """Return whether the files are there in their sizes, without reading them."""
    paths = {folder / pin.name: pin.size_bytes for pin in entry.files if pin.required}
    whole = all(path.is_file() and path.stat().st_size == size for path, size in paths.items())
    return whole and (folder / manifest).is_file()


def base_path(name: str, settings: Settings) -> Path:
    """Return where a base of that name is cached."""
    return settings.cache_dir / "bases" / name.replace("/", "--")


def base_folder(base: Base, path: Path) -> BaseFolder:
    """Return the folder's description from the entry that was verified against it."""
    return BaseFolder(
        path=path,
        name=base.name,
        hub=base.hub,
        kind=base.kind,
        licence=base.licence,
        weights=base.weights,
        weights_sha256=base.weights_sha256,
        tokenizer=base.tokenizer,
        tokenizer_sha256=base.sha256(base.tokenizer),
        pooling=base.pooling,
        normalise=base.normalise,
        max_tokens=base.max_tokens,
        max_positions=base.max_positions,
    )


def manifest_json(entry: Entry, folder: Path, source: str) -> dict[str, Any]:
    """Return what is written beside the files: where they came from and what they are. No times, no paths."""
    pins = [pin for pin in entry.files if (folder / pin.name).is_file()]
    files = {pin.name: {"sha256": pin.sha256, "size_bytes": pin.size_bytes} for pin in pins}
    data: dict[str, Any] = {"format_version": FORMAT_VERSION, "name": entry.name, "licence": entry.licence}
    if isinstance(entry, Base):
        data |= {
            "hub": entry.hub,
            "kind": str(entry.kind),
            "pooling": str(entry.pooling),
            "normalise": entry.normalise,
            "max_tokens": entry.max_tokens,
            "max_positions": entry.max_positions,
            "weights": entry.weights,
            "tokenizer": entry.tokenizer,
        }
        if entry.identity is not None:
            data["weights_sha256"] = entry.identity
    return {**data, "source": source, "files": files}
