"""Labelled files in, a dataset folder out: read, freeze the schema, assemble, write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modwright.data.assemble import find_bounds, label_column, split_frame
from modwright.data.dataset import Dataset, holds, make_dataset, write_dataset
from modwright.data.freezing import freeze_schema
from modwright.data.labelling import with_claims
from modwright.data.options import TRAIN, ImportOptions, Meaning, Progress, Reading
from modwright.data.problems import Problems
from modwright.data.records import read_records
from modwright.data.summary import ImportSummary, summarise
from modwright.data.tables import FileRows
from modwright.data.threshold import Threshold
from modwright.errors import UsageError
from modwright.files import sha256_file
from modwright.schema import Schema, TargetKind


@dataclass(frozen=True, slots=True)
class Loaded:
    """A dataset in memory, and what was accepted on the way and may surprise."""

    dataset: Dataset
    notes: tuple[str, ...]


def import_dataset(options: ImportOptions, progress: Progress | None = None) -> ImportSummary:
    """Import labelled files into a dataset folder.

    Running it again with the same files succeeds and leaves the identical dataset alone. Nothing is written
    unless everything is right.

    Raises:
        DataError: wrong data, with file, line, field and remedy; several come as DataProblemsError.
        UsageError: contradicting options, or another dataset in the folder.
    """
    if options.out.is_file():
        raise UsageError("is a file, expected a folder", where=str(options.out), remedy="name a folder")
    loaded = load_dataset(options, progress)
    unchanged = holds(options.out, loaded.dataset.id)
    write_dataset(loaded.dataset, options.out, replace=options.replace)
    return summarise(loaded.dataset, loaded.notes, str(options.out), "unchanged" if unchanged else "written")


def load_dataset(options: ImportOptions, progress: Progress | None = None) -> Loaded:
    """Read labelled files into a dataset without writing anything; raises as `import_dataset` does."""
    meaning, problems = options.meaning, Problems()
    if meaning.threshold is not None:
        Threshold.parse(meaning.threshold)
    pairs = options.files()
    read = [read_records(source, options.reading, meaning, problems, progress) for _, source in pairs]
    problems.raise_any()
    files = with_claims([rows for rows in read if rows is not None], meaning, problems)
    problems.raise_any()
    notes = [f"{rows.name}: {note}" for rows in files for note in rows.notes]
    by_split: dict[str, list[FileRows]] = {}
    for (split, _), rows in zip(pairs, files, strict=True):
        by_split.setdefault(split, []).append(rows)
    training = by_split.get(TRAIN)
    if training is None:
        training = files
        notes.append(f"there is no split '{TRAIN}': labels were collected over all files")
    others = [rows for rows in files if all(rows is not other for other in training)]
    schema = freeze_schema(training, others, meaning, problems)
    bounds = find_bounds(training, schema, meaning, problems)
    problems.raise_any()
    frames = {
        split: split_frame(members, split, schema, meaning, bounds, problems, notes)
        for split, members in by_split.items()
    }
    problems.raise_any()
    _refuse_declared_without_positive(training, frames, schema, meaning, problems)
    notes += [
        f"label '{name}' holds where the score is {_compared(meaning)} {bound:g}"
        for name, bound in bounds.items()
    ]
    notes += _unseen(files, schema) + _all_flagged(schema)
    return Loaded(make_dataset(schema, frames, _provenance(pairs, files, options, bounds)), tuple(notes))


def _compared(meaning: Meaning) -> str:
    return ">=" if (meaning.threshold or "").strip().startswith(">=") else ">"


def _refuse_declared_without_positive(
    training: Sequence[FileRows], frames: dict[str, Any], schema: Schema, meaning: Meaning, problems: Problems
) -> None:
    """Raise for each label that was declared by name and that no training row is positive for."""
    trained = [frames[TRAIN]] if TRAIN in frames else list(frames.values())
    for target in schema.targets:
        declared = set(meaning.declared.get(target.name, ()))
        for rows in training:
            claim = rows.claims.get(target.name)
            declared |= set(claim.labels) if claim is not None and claim.declared else set()
        for label in target.labels:
            columns = [frame[label_column(target, label)] for frame in trained]
            highest = max((float(column.max() or 0.0) for column in columns if len(column)), default=0.0)
            if label in declared and highest <= schema.positive_above:
                problems.add(
                    f"the label '{label}' was declared, but no training row is positive "
                    f"(highest value {highest:g}, positive above {schema.positive_above:g})",
                    file=training[0].name,
                    field=label,
                    remedy="leave the label out, add rows that have it, or lower the --threshold",
                )
    problems.raise_any()


def _unseen(files: Sequence[FileRows], schema: Schema) -> list[str]:
    """Note the labels that are unknown in a whole file because it never names them."""
    notes = []
    for rows in files:
        for target in schema.targets:
            claim = rows.claims.get(target.name)
            if claim is None:
                notes.append(f"{rows.name}: says nothing about the target '{target.name}': unknown there")
                continue
            unseen = [label for label in target.labels if label not in claim.labels]
            if (
                unseen
                and target.kind is TargetKind.MULTI_LABEL
                and np.any(claim.closed | claim.objects | claim.declared)
            ):
                notes.append(
                    f"{rows.name}: never names {', '.join(unseen)} of '{target.name}': unknown there "
                    f"(unless declared: --declare {target.name}={','.join(target.labels)})"
                )
    return notes


def _all_flagged(schema: Schema) -> list[str]:
    """Note single-label targets none of whose labels is negative."""
    return [
        f"no label of '{target.name}' is negative, so each is flagged; name one with --negative LABEL"
        for target in schema.targets
        if target.kind is TargetKind.SINGLE_LABEL and not target.negative_labels
    ]


def _provenance(
    pairs: Sequence[tuple[str, str]],
    files: Sequence[FileRows],
    options: ImportOptions,
    bounds: dict[str, float],
) -> dict[str, Any]:
    sources = [
        {"split": split, "file": source, "rows": len(rows), "sha256": sha256_file(Path(source))}
        for (split, source), rows in zip(pairs, files, strict=True)
    ]
    stated = {**_stated(options.reading, Reading()), **_stated(options.meaning, Meaning())}
    return {"sources": sources, "steps": [{"step": "import", "options": stated, "bounds": bounds}]}


def _stated(given: Any, default: Any) -> dict[str, Any]:
    """Return the options that differ from their defaults, JSON-ready."""
    values = {name: (getattr(given, name), getattr(default, name)) for name in given.__slots__}
    return {
        name: {key: list(item) for key, item in value.items()} if isinstance(value, dict) else value
        for name, (value, usual) in values.items()
        if value != usual
    }
