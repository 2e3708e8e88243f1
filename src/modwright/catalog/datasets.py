"""Data sets of the hub by id: pinned to a commit, their files fetched one by one as they are read."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modwright.catalog.entries import HubSource
from modwright.catalog.hub import Repository, is_offline, look_up, take_from_hub
from modwright.catalog.index import UnreachableError
from modwright.catalog.landing import Landed, land, writing_cache
from modwright.catalog.layout import Layout, from_card, from_converted, from_names, has_loading_script
from modwright.catalog.progress import LogProgress, Progress
from modwright.catalog.specs import spec_label
from modwright.catalog.unpack import scratch_folder
from modwright.errors import DataError, IntegrityError, SourceError, UsageError
from modwright.files import locked, read_json, sha256_file, write_text_atomic
from modwright.settings import Settings

PREFIX = "hf://"
MAIN = "main"
CONVERTED = "refs/convert/parquet"
FORMAT_VERSION = 1
_CARD = "README.md"
_MAX_CARD_BYTES = 5_000_000
_SPEC = re.compile(
    r"hf://(?:datasets/)?(?P<repo>[\w.-]+/[\w.-]+)"
    r"(?:@(?P<revision>[\w./-]+))?(?:#(?P<config>[^:#]+))?(?::(?P<split>\w[\w.-]*))?",
    re.ASCII,
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REMEDY = (
    "run this once where the hub can be reached and copy MODWRIGHT_CACHE, "
    "or download the file yourself and give its path"
)


@dataclass(frozen=True, slots=True)
class HubSpec:
    """A data set of the hub: ``hf://OWNER/NAME[@REVISION][#CONFIG][:SPLIT]``, in this order.

    Attributes:
        repo: ``OWNER/NAME``.
        revision: a branch, tag or commit.
        config: None where there is one, or the card states a default.
        split: None where there is one.
    """

    repo: str
    revision: str = MAIN
    config: str | None = None
    split: str | None = None

    @classmethod
    def parse(cls, spec: str) -> HubSpec:
        """Read a spec; raises UsageError that shows the form."""
        found = _SPEC.fullmatch(spec)
        if found is None or ".." in spec:
            raise UsageError(
                "is not hf://OWNER/NAME[@REVISION][#CONFIG][:SPLIT]",
                where=spec_label(spec),
                remedy="for example hf://google/civil_comments:train",
            )
        return cls(found["repo"], found["revision"] or MAIN, found["config"], found["split"])


@dataclass(frozen=True, slots=True)
class PinnedRepository:
    """A repository's layout at a commit, as it is kept in the cache.

    Attributes:
        revision: the commit of the repository; it is what provenance names.
        commit: the commit the files are taken from; another one where the hub converted them.
        layout: configurations, splits and files.
        sizes: file to bytes.
        sha256: file to hash where the hub knows it.
    """

    revision: str
    commit: str
    layout: Layout
    sizes: dict[str, int]
    sha256: dict[str, str]


@dataclass(frozen=True, slots=True)
class HubFile:
    """A fetched data file: how it is called, the commit it is of, and where it lies."""

    name: str
    revision: str
    landed: Landed


def fetch_hub_files(spec: str, settings: Settings, progress: Progress | None = None) -> Iterator[HubFile]:
    """Yield the files of a data set's split in order; each is fetched when it is asked for, and cached by commit.

    Which files a split has is read from the card (`configs` of README.md), else from the usual names, else from the
    Parquet files that the hub itself made (branch `refs/convert/parquet`). No code of a repository is run. With a
    warm cache no network is needed; a branch is asked for its commit where the hub can be reached.

    Raises:
        UsageError: a spec of another form; several configurations or splits and none named (they are listed).
        NotFoundError: no such configuration or split; those there are, are listed.
        SourceError: the hub cannot be reached, has no such repository or refuses it, or a download broke off.
        DataError: the card names files that are not there, or there is no file that can be read.
        IntegrityError: a file is not the one the hub promised.
    """
    progress = progress if progress is not None else LogProgress()
    wanted = HubSpec.parse(spec)
    folder = settings.cache_dir / "hub" / wanted.repo.replace("/", "--")
    pinned = _pinned(wanted, folder, progress)
    _, _, names = pinned.layout.files(wanted.config, wanted.split, f"{PREFIX}{wanted.repo}")
    for name in names:
        yield HubFile(
            f"{PREFIX}{wanted.repo}/{name}", pinned.revision, _fetch(wanted, pinned, name, folder, progress)
        )


def _pinned(wanted: HubSpec, folder: Path, progress: Progress) -> PinnedRepository:
    """Return the layout at the revision's commit: as the hub says now, or as the cache knows it."""
    known = _known(wanted, folder)
    if known is not None and _COMMIT.fullmatch(wanted.revision):
        return known
    source = HubSource(wanted.repo, wanted.revision, "dataset")
    if is_offline():
        if known is None:
            raise SourceError(
                "HF_HUB_OFFLINE is set, and the cache has no copy", where=source.label, remedy=_REMEDY
            )
        return known
    try:
        found = look_up(source)
    except UnreachableError as error:
        if known is None:
            raise SourceError(error.message, where=source.label, remedy=_REMEDY) from None
        progress.notice(f"{source.label}: {error.message}; using commit {known.revision[:12]} of the cache")
        return known
    except SourceError as error:
        remedy = "check the name; where it is private or asks for consent, set HF_TOKEN to a token that may read it"
        raise SourceError(error.message, where=error.where, remedy=remedy) from None
    if known is not None and known.revision == found.commit:
        return known
    pinned = _read_layout(wanted, found, folder, progress)
    _remember(wanted, pinned, folder)
    return pinned


def _read_layout(wanted: HubSpec, found: Repository, folder: Path, progress: Progress) -> PinnedRepository:
    """Find out which files a repository's splits have."""
    where = f"{PREFIX}{wanted.repo}"
    layout = from_card(_card(wanted, found, folder, progress), found.files, where)
    if layout is None and not has_loading_script(wanted.repo, found.files):
        layout = from_names(found.files)
    if layout is not None:
        return PinnedRepository(found.commit, found.commit, layout, found.files, found.sha256)
    converted = _converted(wanted)
    layout = from_converted(converted.files) if converted is not None else None
    if layout is None or converted is None:
        raise DataError(
            f"has no Parquet, JSONL or CSV file that can be read, at commit {found.commit[:12]}",
            file=where,
            remedy="convert it, and give the file's path",
        )
    return PinnedRepository(found.commit, converted.commit, layout, converted.files, converted.sha256)


def _converted(wanted: HubSpec) -> Repository | None:
    """Return the branch of converted files; it is of the main branch alone."""
    if wanted.revision != MAIN:
        return None
    try:
        return look_up(HubSource(wanted.repo, CONVERTED, "dataset"))
    except SourceError as error:
        if isinstance(error, UnreachableError):
            raise
        return None


def _card(wanted: HubSpec, found: Repository, folder: Path, progress: Progress) -> dict[str, Any]:
    """Return the YAML at the head of README.md; one that cannot be read is told and says nothing."""
    if not 0 < found.files.get(_CARD, 0) <= _MAX_CARD_BYTES:
        return {}
    from huggingface_hub import metadata_load

    source = HubSource(wanted.repo, wanted.revision, "dataset")
    with scratch_folder(folder.parents[1] / "scratch") as path:
        size = found.files[_CARD]
        take_from_hub(source, found.commit, [_CARD], path, f"{wanted.repo} (card)", size, progress)
        try:
            return metadata_load(path / _CARD) or {}
        except Exception as error:  # whatever its YAML reader raises
            progress.notice(
                f"{source.label}: the card cannot be read and is left aside: {type(error).__name__}"
            )
            return {}


def _fetch(wanted: HubSpec, pinned: PinnedRepository, name: str, folder: Path, progress: Progress) -> Landed:
    """Return one data file of the cache, fetching it first."""
    source = HubSource(wanted.repo, pinned.revision, "dataset")
    own = folder / pinned.commit / name.replace("/", "--")

    def fill(path: Path) -> str:
        if is_offline():
            raise SourceError(
                f"HF_HUB_OFFLINE is set, and the cache has no '{name}'", where=source.label, remedy=_REMEDY
            )
        size = pinned.sizes.get(name, 0)
        with tempfile.TemporaryDirectory(prefix=".hub-", dir=path.parent) as scratch:
            try:
                take_from_hub(source, pinned.commit, [name], Path(scratch), name, size, progress)
            except SourceError as error:
                raise SourceError(error.message, where=error.where, remedy=_REMEDY) from None
            (Path(scratch) / name).rename(path)
        return _checked(path, name, pinned, source)

    identity = {"repo": wanted.repo, "commit": pinned.commit, "file": name}
    return land(own, Path(name).name, identity, fill)


def _checked(path: Path, name: str, pinned: PinnedRepository, source: HubSource) -> str:
    found = sha256_file(path)
    expected = pinned.sha256.get(name, found)
    if found != expected:
        raise IntegrityError(
            f"refused '{name}': its sha256 is {found}, the hub promised {expected}", where=source.label
        )
    return found


def _known(wanted: HubSpec, folder: Path) -> PinnedRepository | None:
    """Return what the cache knows of a revision, or None."""
    try:
        commit = wanted.revision
        if not _COMMIT.fullmatch(commit):
            commit = read_json(folder / "revisions.json")[wanted.revision]
        data = read_json(folder / commit / "layout.json")
        if data["format_version"] != FORMAT_VERSION:
            return None
        layout = Layout(data["configs"], data["default"])
        return PinnedRepository(commit, data["commit"], layout, data["sizes"], data["sha256"])
    except (IntegrityError, KeyError, TypeError, AttributeError):
        return None


def _remember(wanted: HubSpec, pinned: PinnedRepository, folder: Path) -> None:
    """Keep a layout, and which commit the revision was."""
    import json

    used = {name for splits in pinned.layout.configs.values() for names in splits.values() for name in names}
    data = {
        "format_version": FORMAT_VERSION,
        "commit": pinned.commit,
        "configs": pinned.layout.configs,
        "default": pinned.layout.default,
        "sizes": {name: size for name, size in pinned.sizes.items() if name in used},
        "sha256": {name: known for name, known in pinned.sha256.items() if name in used},
    }
    with writing_cache(folder), locked(folder / "revisions"):
        write_text_atomic(folder / pinned.revision / "layout.json", json.dumps(data, indent=2) + "\n")
        path = folder / "revisions.json"
        revisions = read_json(path) if path.is_file() else {}
        write_text_atomic(path, json.dumps({**revisions, wanted.revision: pinned.revision}, indent=2) + "\n")
