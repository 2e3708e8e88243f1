"""The files of an import as they are read: where their bytes lie, what they are called, what was taken of them."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modwright.data.options import ImportOptions, Progress, check_file_name
from modwright.data.problems import Problems
from modwright.data.records import read_records
from modwright.data.sampling import Sampling
from modwright.data.tables import Claim, FileRows
from modwright.errors import NotFoundError, UsageError, nearest
from modwright.files import sha256_file
from modwright.schema import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file to read.

    Attributes:
        path: where its bytes lie; they need to be there only while it is the current one.
        name: what errors and the column `source` call it.
        origin: what the dataset records of it; its `sha256` is computed where it is missing.
        stored: where its bytes lie as they came, which tells it from other files; None where `path` is that place.
    """

    path: Path
    name: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    stored: Path | None = None

    def __post_init__(self) -> None:
        check_file_name(self.name)


@dataclass(slots=True)
class SeenFiles:
    """The files of an import so far, of all splits."""

    _stored: set[str] = field(default_factory=set)
    _names: set[str] = field(default_factory=set)

    def named(self, file: GivenFile) -> GivenFile:
        """Return a file that was not seen yet, by a name that no other has.

        Addresses that differ in their query alone are shown alike: the second is called `NAME (2)`.

        Raises:
            UsageError: it was seen.
        """
        stored = os.path.realpath(file.stored or file.path)
        if stored in self._stored:
            raise UsageError("is given twice", where=file.name, remedy="name each file once")
        self._stored.add(stored)
        tried = (f"{file.name} ({number})" for number in itertools.count(2))
        name = next(name for name in itertools.chain([file.name], tried) if name not in self._names)
        self._names.add(name)
        return dataclasses.replace(file, name=name)


@dataclass(frozen=True, slots=True)
class ReadSplit:
    """The rows of a split that were taken.

    Attributes:
        name: of the split.
        files: those with rows, in order; the rows of each as they come in the sample.
        order: (N,) for each row of the split, its number among the rows of `files` put under each other; None
            leaves them as they are.
        sources: what the dataset records of each file that was read.
        rows_read: rows that were looked at.
        sampling: what was asked for; None takes everything.
    """

    name: str
    files: tuple[FileRows, ...]
    order: IntArray | None
    sources: tuple[dict[str, Any], ...]
    rows_read: int
    sampling: Sampling | None

    @property
    def rows(self) -> int:
        """Return how many rows were taken."""
        return sum(len(rows) for rows in self.files)


def local_files(options: ImportOptions) -> dict[str, list[GivenFile]]:
    """Return the files of every split where all of them are plain paths."""
    files: dict[str, list[GivenFile]] = {}
    for split, source in options.files():
        files.setdefault(split, []).append(GivenFile(Path(source), source))
    return files


def read_splits(
    files: Mapping[str, Iterable[GivenFile]],
    options: ImportOptions,
    problems: Problems,
    progress: Progress | None = None,
) -> list[ReadSplit]:
    """Read every split's files in order, no further than its sample needs; what is wrong is added to `problems`.

    Raises:
        NotFoundError: a sample of a split that is not imported.
        UsageError: a file twice.
    """
    for name in options.sampling:
        if name not in files:
            raise NotFoundError(
                f"--take names the split '{name}', which is not imported", remedy=nearest(name, files)
            )
    seen = SeenFiles()
    read = []
    for name, given in files.items():
        needed = options.sampling[name].needed if name in options.sampling else None
        whole, origins = _read_files(given, needed, options, problems, progress, seen)
        sampling = None if problems.total else options.sampling.get(name)
        read.append(_taken(name, whole, origins, sampling))
    return read


def _read_files(
    given: Iterable[GivenFile],
    needed: int | None,
    options: ImportOptions,
    problems: Problems,
    progress: Progress | None,
    seen: SeenFiles,
) -> tuple[list[FileRows], list[dict[str, Any]]]:
    """Read files until there are as many rows as needed, and say where each came from."""
    read: list[FileRows] = []
    origins: list[dict[str, Any]] = []
    reading, count = options.reading, 0
    for file in map(seen.named, given):
        if needed is not None:
            reading = dataclasses.replace(reading, max_rows=needed - count)
        rows = read_records(str(file.path), reading, options.meaning, problems, progress, name=file.name)
        if rows is None:
            continue
        read.append(rows)
        origins.append({"sha256": file.origin.get("sha256") or sha256_file(file.path), **file.origin})
        count += len(rows)
        if needed is not None and count >= needed:
            break
    return read, origins


def _taken(
    name: str, read: list[FileRows], origins: list[dict[str, Any]], sampling: Sampling | None
) -> ReadSplit:
    """Take a split's sample of the rows that were read."""
    sizes = [len(rows) for rows in read]
    parts, order = read, None
    if sampling is not None:
        chosen, order = _dealt(sampling.order(sum(sizes)), sizes)
        parts = [select(rows, part) for rows, part in zip(read, chosen, strict=True)]
    sources = [
        {"split": name, "file": rows.name, "rows": len(rows), **origin}
        for rows, origin in zip(parts, origins, strict=True)
    ]
    kept = tuple(rows for rows in parts if len(rows) or sampling is None)
    return ReadSplit(name, kept, order, tuple(sources), sum(sizes), sampling)


def _dealt(taken: IntArray, sizes: list[int]) -> tuple[list[IntArray], IntArray]:
    """Return each file's rows that are taken, and where the rows of the files under each other go."""
    starts = np.cumsum([0, *sizes])
    file = np.searchsorted(starts, taken, side="right") - 1
    chosen: list[IntArray] = [taken[file == place] - starts[place] for place in range(len(sizes))]
    grouped = np.argsort(file, kind="stable")
    order = np.empty(len(taken), dtype=np.int64)
    order[grouped] = np.arange(len(taken))
    return chosen, order


def sampling_notes(read: Sequence[ReadSplit]) -> list[str]:
    """Note the splits that have fewer rows than were asked for."""
    return [
        f"split '{part.name}': {part.sampling.take:,} rows were to be taken, there are {part.rows:,}"
        for part in read
        if part.sampling is not None and part.sampling.take is not None and part.rows < part.sampling.take
    ]


def sampling_steps(read: Sequence[ReadSplit]) -> list[dict[str, Any]]:
    """Return the step that a dataset records of its samples, or nothing; `before` counts the rows looked at."""
    splits: dict[str, dict[str, Any]] = {}
    for part in read:
        if part.sampling is not None:
            given = {
                "seed": part.sampling.seed,
                "buffer": part.sampling.buffer_rows,
                "take": part.sampling.take,
            }
            counts = {"before": part.rows_read, "kept": part.rows, "dropped": part.rows_read - part.rows}
            splits[part.name] = {**{key: value for key, value in given.items() if value}, **counts}
            if part.sampling.seed is not None:
                splits[part.name]["seed"] = part.sampling.seed
    return [{"step": "sample", "splits": splits}] if splits else []


def select(rows: FileRows, chosen: IntArray) -> FileRows:
    """Return some rows of a file in a new order; labels that none of them names are unknown to it."""
    return dataclasses.replace(
        rows,
        lines=rows.lines[chosen],
        inputs=rows.inputs[chosen],
        columns=rows.columns[chosen] if rows.columns.width else rows.columns,
        claims=_selected_claims(rows.claims, rows.lines, chosen),
        nested=_selected_claims(rows.nested, rows.lines, chosen),
    )


def _selected_claims(claims: Mapping[str, Claim], lines: IntArray, chosen: IntArray) -> dict[str, Claim]:
    parts = {name: _selected(claim, lines[chosen], chosen) for name, claim in claims.items()}
    return {
        name: claim for name, claim in parts.items() if np.any(claim.closed | claim.objects) or claim.declared
    }


def _selected(claim: Claim, lines: IntArray, chosen: IntArray) -> Claim:
    """Return what some rows say about a target: their labels in order of first sight among them."""
    values, closed, objects = claim.values[chosen], claim.closed[chosen], claim.objects[chosen]
    with np.errstate(invalid="ignore"):
        named: BoolArray = (values > 0) | (objects[:, None] & ~np.isnan(values))
    first = {
        label: int(np.argmax(named[:, place])) if named[:, place].any() else len(lines)
        for place, label in enumerate(claim.labels)
    }
    places = {label: place for place, label in enumerate(claim.labels)}
    kept = [label for label in first if first[label] < len(lines) or label in claim.declared]
    if not claim.declared:
        kept.sort(key=lambda label: (first[label], places[label]))
    labels = {
        label: int(lines[first[label]]) if first[label] < len(lines) else claim.kind_line for label in kept
    }
    return dataclasses.replace(
        claim,
        kind=claim.kind if np.any(closed) or claim.declared else None,
        kind_line=int(lines[np.argmax(closed)]) if np.any(closed) else claim.kind_line,
        labels=labels,
        values=values[:, [places[label] for label in kept]],
        closed=closed,
        objects=objects,
        raw=claim.raw & frozenset(labels),
    )
