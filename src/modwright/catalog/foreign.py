"""Bases that are not in the catalog: hub repositories, pinned on first use, and local folders, in place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from modwright.catalog.entries import Base, BaseKind, FilePin, HubSource, Pooling
from modwright.catalog.fetch import (
    BASE_MANIFEST,
    FORMAT_VERSION,
    BaseFolder,
    base_folder,
    base_path,
    fetch_entry,
    manifest_json,
)
from modwright.catalog.hub import is_offline, look_up, take_from_hub
from modwright.catalog.index import UnreachableError
from modwright.catalog.progress import LogProgress, Progress
from modwright.catalog.shelf import BASES
from modwright.catalog.sources import OFFLINE_REMEDY
from modwright.catalog.traits import (
    OPTIONAL_FILES,
    REQUIRED_FILES,
    TOKENIZER,
    Traits,
    read_traits,
    require_files,
)
from modwright.catalog.weights import INDEX, WEIGHTS, Index, check_weights, read_index, refuse_two
from modwright.errors import IntegrityError, SourceError
from modwright.files import locked, read_json, sha256_file, staged_folder, write_json
from modwright.settings import Settings

_HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?", re.ASCII)


def hub_source(name: str) -> HubSource | None:
    """Return the hub repository that ``owner/name`` or ``owner/name@revision`` names, or None."""
    match = _HUB_ID.fullmatch(name)
    if match is None or ".." in name or name.startswith("."):
        return None
    return HubSource(match["repo"], match["revision"] or "main")


def read_local_base(folder: Path) -> BaseFolder:
    """Return a base from a folder of the user's own, read in place; its identity is that of its weights' bytes.

    Raises:
        UsageError: no safetensors weights, no tokenizer, or a pooling that is not known here.
        IntegrityError: weights in several files that are not what their index says.
    """
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    known = _recognised(folder, names)
    if known is not None:
        return base_folder(known, folder)
    require_files(names, str(folder))
    refuse_two(names, str(folder))
    traits, index = read_traits(folder), _index(folder, names, str(folder / INDEX))
    if index is not None:
        check_weights(folder, index)
    small = (name for name in (*REQUIRED_FILES, *OPTIONAL_FILES) if name in names)
    files = tuple(_pin(folder, name) for name in (*small, *_weights(index)))
    return base_folder(_entry(folder.name, "", files, traits, (), _identity(index, files)), folder)


def fetch_hub_base(name: str, source: HubSource, settings: Settings, progress: Progress | None) -> BaseFolder:
    """Return the cached folder of a hub repository's base.

    The first fetch pins the commit and every file's sha256 in the cache; from then on only those are taken.

    Raises:
        SourceError: the hub cannot be reached or has no such repository.
        UsageError: the repository holds no base that can be used (pickled weights only, unknown pooling).
        IntegrityError: the hub gives other bytes than those pinned, or files that are not what their index says.
    """
    folder = base_path(name, settings)
    if not (folder / BASE_MANIFEST).is_file():
        try:
            with locked(folder.parent / f"{folder.name}.fetch"):
                if not (folder / BASE_MANIFEST).is_file():
                    _pin_and_fetch(name, source, folder, progress if progress is not None else LogProgress())
        except OSError as error:
            remedy = "make room, or set MODWRIGHT_CACHE to another folder"
            raise SourceError(
                f"the cache cannot be written: {error}", where=str(folder), remedy=remedy
            ) from None
    entry = read_manifest(folder)
    return base_folder(entry, fetch_entry(entry, folder, BASE_MANIFEST, progress))


def read_manifest(folder: Path) -> Base:
    """Rebuild the entry of a base pinned in the cache; raises IntegrityError for a broken manifest."""
    path = folder / BASE_MANIFEST
    data = read_json(path)
    try:
        if data["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {data['format_version']!r}, {FORMAT_VERSION} was expected")
        files = tuple(FilePin(name, pin["sha256"], pin["size_bytes"]) for name, pin in data["files"].items())
        repo, _, commit = data["source"].partition("@")
        traits = Traits(
            kind=BaseKind(data["kind"]),
            pooling=Pooling(data["pooling"]),
            normalise=bool(data["normalise"]),
            max_tokens=int(data["max_tokens"]),
            max_positions=int(data["max_positions"]),
            licence=data["licence"],
        )
        identity = data.get("weights_sha256")
        if not isinstance(identity, str | None):
            raise TypeError(f"weights_sha256 is {identity!r}")
        entry = _entry(data["name"], repo, files, traits, (HubSource(repo, commit),), identity)
        if entry.weights not in entry.required:
            raise KeyError(entry.weights)
        return entry
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(
            f"is no manifest of a base: {error!r}",
            where=str(path),
            remedy="remove the folder and fetch it again",
        ) from None


def _pin_and_fetch(name: str, source: HubSource, folder: Path, progress: Progress) -> None:
    """Fetch a repository's settings, then its weights, and pin what came; useless settings stop it early."""
    try:
        repository = look_up(source)
    except SourceError as error:
        if not (isinstance(error, UnreachableError) or is_offline()):
            raise
        raise SourceError(error.message, where=error.where, remedy=OFFLINE_REMEDY) from None
    names = set(repository.files)
    require_files(names, source.label)
    several = () if WEIGHTS in names else (INDEX,)
    small = [file for file in (*REQUIRED_FILES, *OPTIONAL_FILES, *several) if file in names]
    with staged_folder(folder, replace=True) as staging:
        total_bytes = sum(repository.files[file] for file in small)
        take_from_hub(source, repository.commit, small, staging, f"{name} (settings)", total_bytes, progress)
        traits, index = read_traits(staging), _index(staging, names, f"{INDEX} of {source.label}")
        large = [file for file in _weights(index) if file != INDEX]
        total_bytes = sum(repository.files[file] for file in large)
        take_from_hub(source, repository.commit, large, staging, name, total_bytes, progress)
        if index is not None:
            _check_fetched(staging, index, source)
        files = tuple(_pin(staging, file) for file in (*small, *large))
        entry = _entry(name, source.repo, files, traits, (), _identity(index, files))
        write_json(
            staging / BASE_MANIFEST, manifest_json(entry, staging, f"{source.repo}@{repository.commit}")
        )


def _index(folder: Path, names: set[str], where: str) -> Index | None:
    """Return the index of weights in several files, None where they lie in one."""
    return None if WEIGHTS in names else read_index(folder / INDEX, names, where)


def _check_fetched(staging: Path, index: Index, source: HubSource) -> None:
    """Check weights in several files; an error names the repository, since the staging folder goes."""
    try:
        check_weights(staging, index)
    except IntegrityError as error:
        name = Path(error.where or "").name
        raise IntegrityError(error.message, where=f"{name} of {source.label}", remedy=error.remedy) from None


def _weights(index: Index | None) -> tuple[str, ...]:
    return (WEIGHTS,) if index is None else (INDEX, *index.files)


def _identity(index: Index | None, files: tuple[FilePin, ...]) -> str | None:
    return None if index is None else index.identity({pin.name: pin.sha256 for pin in files})


def _entry(
    name: str,
    hub: str,
    files: tuple[FilePin, ...],
    traits: Traits,
    sources: tuple[Any, ...],
    identity: str | None,
) -> Base:
    return Base(
        name=name,
        licence=traits.licence,
        files=files,
        sources=sources,
        hub=hub,
        parameters=None,
        kind=traits.kind,
        pooling=traits.pooling,
        normalise=traits.normalise,
        max_tokens=traits.max_tokens,
        max_positions=traits.max_positions,
        weights=WEIGHTS if identity is None else INDEX,
        tokenizer=TOKENIZER,
        identity=identity,
    )


def _pin(folder: Path, name: str) -> FilePin:
    path = folder / name
    return FilePin(name, sha256_file(path), path.stat().st_size)


def _recognised(folder: Path, names: set[str]) -> Base | None:
    """Return the catalog's base whose required files the folder holds, byte for byte, if there is one."""
    hashes: dict[str, str] = {}
    for base in BASES:
        for name in (base.weights, *base.required):
            if name in names and name not in hashes:
                hashes[name] = sha256_file(folder / name)
            if hashes.get(name) != base.sha256(name):
                break
        else:
            return base
    return None
