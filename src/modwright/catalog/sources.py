"""Tries an entry's sources in their order; what each one failed with is remembered and told."""

from __future__ import annotations

import shutil
from pathlib import Path

from modwright.catalog.entries import Entry, HubSource, Source
from modwright.catalog.hub import look_up, take_from_hub
from modwright.catalog.index import UnreachableError, take_from_index
from modwright.catalog.progress import Progress
from modwright.errors import IntegrityError, ModwrightError, SourceError
from modwright.files import sha256_file

OFFLINE_REMEDY = (
    "offline: run this once with a network, or set MODWRIGHT_CACHE to a folder that has it, "
    "or give a local folder in place of the name"
)


def fill(entry: Entry, folder: Path, progress: Progress) -> str:
    """Fill an empty folder with the entry's files from the first source that gives the right bytes.

    Returns the label of that source. One that fails or is refused is told to ``progress``, the next tried.

    Raises:
        SourceError: no source could be reached; each is listed with its reason.
        IntegrityError: none worked and at least one gave other bytes than the pinned ones.
    """
    failures: list[ModwrightError] = []
    closed: set[type[Source]] = set()
    for source in entry.sources:
        if type(source) in closed:
            failures.append(SourceError("not tried, the same place just did not answer", where=source.label))
            continue
        try:
            _take(source, entry, folder, progress)
            check_files(entry, folder, source.label)
            return source.label
        except (SourceError, IntegrityError) as error:
            failures.append(error)
            if isinstance(error, UnreachableError):
                closed.add(type(source))
            if len(failures) < len(entry.sources):
                progress.notice(f"{error}; trying the next source")
            _empty(folder)
    raise _all_failed(entry, failures)


def check_files(entry: Entry, folder: Path, label: str) -> None:
    """Raise IntegrityError, naming source, file and both hashes, unless every file has its pinned bytes."""
    for pin in entry.files:
        path = folder / pin.name
        if not path.is_file():
            if pin.required:
                raise IntegrityError(f"refused: '{pin.name}' is missing", where=label)
            continue
        found = sha256_file(path)
        if found != pin.sha256:
            raise IntegrityError(
                f"refused '{pin.name}' ({path.stat().st_size:,} bytes): its sha256 is {found}, "
                f"that of {entry.name} is {pin.sha256}",
                where=label,
            )


def _take(source: Source, entry: Entry, folder: Path, progress: Progress) -> None:
    if isinstance(source, HubSource):
        repository = look_up(source)
        take_from_hub(
            source, repository.commit, list(entry.required), folder, entry.name, entry.size_bytes, progress
        )
    else:
        take_from_index(source, entry.files, folder, entry.name, progress)


def _empty(folder: Path) -> None:
    """Remove what a failed source left."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _all_failed(entry: Entry, failures: list[ModwrightError]) -> ModwrightError:
    """Make one error of all failures: each source with its reason, and what to do."""
    reasons = [f"{n}. {error.where}: {error.message}" for n, error in enumerate(failures, start=1)]
    remedies = list(dict.fromkeys(error.remedy for error in failures if error.remedy))
    if any(isinstance(error, SourceError) for error in failures):
        remedies.append(OFFLINE_REMEDY)
    kind = IntegrityError if any(isinstance(error, IntegrityError) for error in failures) else SourceError
    message = "\n  ".join([f"no source could give {entry.name}:", *reasons])
    return kind(message, remedy="; ".join(remedies) or None)
