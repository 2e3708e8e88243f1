"""Labelled files into a draft of a dataset, chunk by chunk: texts go to disk, only labels stay in memory.

The same rows, labels, notes and refusals as `modwright.data.importing.load_dataset`, in memory that grows with the
labels alone: 8 bytes for each row and label.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modwright.data.assemble import find_bounds, label_values, thresholded
from modwright.data.chunks import file_chunks, is_read_twice
from modwright.data.columnar import pl
from modwright.data.curate.part import Part
from modwright.data.curate.running import Draft
from modwright.data.freezing import freeze_schema
from modwright.data.given import GivenFile, ReadSplit, SeenFiles, sampling_notes, select
from modwright.data.importing import import_notes, import_provenance
from modwright.data.labelling import with_claims
from modwright.data.options import TRAIN, ImportOptions, Meaning, Progress
from modwright.data.problems import Problems
from modwright.data.relabel import Relabelling
from modwright.data.spool import Spool
from modwright.data.tables import FileRows
from modwright.errors import NotFoundError, nearest
from modwright.files import sha256_file
from modwright.schema import IntArray, Schema


@dataclass(frozen=True, slots=True)
class Streamed:
    """What was read: a draft whose texts lie in spools.

    Attributes:
        draft: labels and weights.
        spools: split to where its texts lie.
        notes: what was accepted and may surprise.
        provenance: sources and steps so far.
    """

    draft: Draft
    spools: dict[str, Spool]
    notes: tuple[str, ...]
    provenance: dict[str, Any]


@dataclass(slots=True)
class _Read:
    """A split while it is read: its rows but for texts and other columns, which are in the spool."""

    name: str
    spool: Spool
    light: list[FileRows] = field(default_factory=list)
    origins: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    order: IntArray | None = None


def stream_dataset(
    options: ImportOptions,
    folder: Path,
    files: Mapping[str, Iterable[GivenFile]],
    progress: Progress | None = None,
) -> Streamed:
    """Read labelled files whose meaning `can_stream`; raises as `load_dataset` does, but for labels without positives.

    Args:
        options: what the rows mean, and which of them are taken.
        folder: where the spools go; it must last as long as they are used.
        files: the files of every split, `train` first.
        progress: told the bytes read so far.
    """
    meaning, problems = options.meaning, Problems()
    for name in options.sampling:
        if name not in files:
            raise NotFoundError(
                f"a sample is taken of '{name}', which is no split", remedy=nearest(name, files)
            )
    seen = SeenFiles()
    read = [
        _read_split(name, given, options, folder, problems, progress, seen) for name, given in files.items()
    ]
    problems.raise_any()
    sampled = [_sampled(part, options) for part in read]
    training = [rows for part in read if part.name == TRAIN for rows in part.light]
    bounds = find_bounds(training or [rows for part in read for rows in part.light], meaning, problems)
    problems.raise_any()
    relabelling = Relabelling.of((rows for part in read for rows in part.light), meaning)
    for part in read:
        for place, rows in enumerate(part.light):  # one by one, so that the scores are let go
            part.light[place] = relabelling.apply(thresholded(rows, meaning, bounds), meaning.kind)
    every = {part.name: part.light for part in read}
    training = every.get(TRAIN) or [rows for rows_of in every.values() for rows in rows_of]
    others = [rows for name, rows_of in every.items() if name != TRAIN and TRAIN in every for rows in rows_of]
    schema = freeze_schema(training, others, meaning, problems)
    heads = [rows for part in read for rows in _one_per_file(part.light)]
    notes = import_notes(heads, schema, meaning, bounds, has_training=TRAIN in every)
    notes = [*notes, *sampling_notes(sampled)]
    parts = {part.name: _part(part, schema, meaning, problems) for part in read}
    problems.raise_any()
    provenance = import_provenance(sampled, options, bounds)
    spools = {part.name: part.spool for part in read}
    return Streamed(Draft(schema, parts), spools, tuple(dict.fromkeys(notes)), provenance)


def _read_split(
    name: str,
    given: Iterable[GivenFile],
    options: ImportOptions,
    folder: Path,
    problems: Problems,
    progress: Progress | None,
    seen: SeenFiles,
) -> _Read:
    """Read a split's files into a spool, no further than its sample needs."""
    needed = options.sampling[name].needed if name in options.sampling else None
    read = _Read(name, Spool(folder / name, name))
    for file in map(seen.named, given):
        left = None if needed is None else needed - sum(read.sizes)
        number = _read_file(read, file, left, options, problems, progress)
        read.origins.append({"sha256": file.origin.get("sha256") or sha256_file(file.path), **file.origin})
        read.origins[-1]["name"] = file.name
        read.sizes.append(number)
        if needed is not None and sum(read.sizes) >= needed:
            break
    return read


def _read_file(
    read: _Read,
    file: GivenFile,
    left: int | None,
    options: ImportOptions,
    problems: Problems,
    progress: Progress | None,
) -> int:
    """Read a file into a spool, `left` rows at most; return how many there were."""
    twice = is_read_twice(file.path, options)
    number, head = 0, pl.DataFrame()
    for rows in file_chunks(file.path, file.name, options, problems, progress, labels_only=twice):
        if left is not None and number + len(rows) > left:
            rows = select(rows, np.arange(left - number))
        if len(rows):
            rows = with_claims([rows], options.meaning, problems)[0]
            head = rows.columns
        if problems.total:
            continue
        if len(rows) and not twice:
            read.spool.add(rows)
        weights = rows.inputs.select("weight")
        read.light.append(dataclasses.replace(rows, inputs=weights, columns=pl.DataFrame()))
        number += len(rows)
        if left is not None and number >= left:
            break
    if twice and number:
        read.spool.refer(file.path, file.name, number, options.meaning, head)
    return number


def _sampled(read: _Read, options: ImportOptions) -> ReadSplit:
    """Take a split's sample: from now on `light` holds the rows that are taken, in the order of the spool."""
    sampling, total = options.sampling.get(read.name), sum(read.sizes)
    counts = read.sizes
    if sampling is not None:
        read.order = sampling.order(total)
        numbers = np.zeros(total, dtype=np.int64)
        numbers[read.order] = np.arange(1, len(read.order) + 1)
        read.spool.numbers = numbers
        taken, start = numbers > 0, 0
        for place, rows in enumerate(read.light):
            chosen = np.flatnonzero(taken[start : start + len(rows)]).astype(np.int64)
            start += len(rows)
            read.light[place] = select(rows, chosen)
        ends = np.cumsum(read.sizes)
        counts = [int(taken[end - size : end].sum()) for end, size in zip(ends, read.sizes, strict=True)]
    sources = []
    for origin, number in zip(read.origins, counts, strict=True):
        rest = {key: value for key, value in origin.items() if key != "name"}
        sources.append({"split": read.name, "file": origin["name"], "rows": number, **rest})
    counted = tuple(dataclasses.replace(rows, claims={}) for rows in read.light)
    return ReadSplit(read.name, counted, read.order, tuple(sources), total, sampling)


def _one_per_file(files: Iterable[FileRows]) -> list[FileRows]:
    """Return the first chunk of every file, with the notes of all."""
    notes: dict[str, dict[str, None]] = {}
    first: dict[str, FileRows] = {}
    for rows in files:
        first.setdefault(rows.name, rows)
        notes.setdefault(rows.name, {}).update(dict.fromkeys(rows.notes))
    return [dataclasses.replace(rows, notes=tuple(notes[name])) for name, rows in first.items()]


def _part(read: _Read, schema: Schema, meaning: Meaning, problems: Problems) -> Part:
    """Return a split's labels and weights in the order of its sample; what the chunks said is let go."""
    number = sum(len(rows) for rows in read.light)
    width = sum(len(target.labels) for target in schema.targets)
    values, weights, start = np.empty((number, width)), np.empty(number), 0
    for place, rows in enumerate(read.light):
        here = slice(start, start + len(rows))
        columns = [label_values(rows, target, meaning, problems) for target in schema.targets]
        values[here] = np.concatenate(columns, axis=1)
        weights[here] = rows.inputs["weight"].to_numpy()
        start += len(rows)
        read.light[place] = dataclasses.replace(rows, claims={})
    if read.order is None:
        return Part(read.spool, np.arange(number, dtype=np.int64), values, weights)
    stored = np.argsort(np.argsort(read.order, kind="stable"), kind="stable")
    return Part(read.spool, read.order, values[stored], weights[stored])
