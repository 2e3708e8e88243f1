"""Labelled files in, a dataset folder out: read, freeze the schema, assemble, write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modwright.data.assemble import find_bounds, label_column, split_frame, thresholded
from modwright.data.dataset import Dataset, make_dataset, store_dataset
from modwright.data.freezing import freeze_schema
from modwright.data.given import (
    GivenFile,
    ReadSplit,
    local_files,
    read_splits,
    sampling_notes,
    sampling_steps,
)
from modwright.data.labelling import with_claims
from modwright.data.options import TRAIN, ImportOptions, Meaning, Progress, Reading, Recorded
from modwright.data.problems import Problems
from modwright.data.relabel import relabelled
from modwright.data.summary import ImportSummary, summarise
from modwright.data.tables import FileRows
from modwright.data.threshold import Threshold
from modwright.errors import UsageError
from modwright.schema import Schema, TargetKind


@dataclass(frozen=True, slots=True)
class Loaded:
    """A dataset in memory, and what was accepted on the way and may surprise."""

    dataset: Dataset
    notes: tuple[str, ...]


def import_dataset(
    options: ImportOptions,
    progress: Progress | None = None,
    files: Mapping[str, Iterable[GivenFile]] | None = None,
) -> ImportSummary:
    """Import labelled files into a dataset folder.

    Running it again with the same files succeeds and leaves the identical dataset alone. Nothing is written
    unless everything is right. The arguments are those of `load_dataset`.

    Raises:
        DataError: wrong data, with file, line, field and remedy; several come as DataProblemsError.
        UsageError: contradicting options, or another dataset in the folder.
    """
    if options.out.is_file():
        raise UsageError("is a file, expected a folder", where=str(options.out), remedy="name a folder")
    loaded = load_dataset(options, progress, files)
    unchanged = store_dataset(loaded.dataset, options.out, replace=options.replace)
    return summarise(loaded.dataset, loaded.notes, str(options.out), "unchanged" if unchanged else "written")


def load_dataset(
    options: ImportOptions,
    progress: Progress | None = None,
    files: Mapping[str, Iterable[GivenFile]] | None = None,
    *,
    without_positives: bool = False,
) -> Loaded:
    """Read labelled files into a dataset without writing anything; raises as `import_dataset` does.

    Args:
        options: what the rows mean, and which of them are taken.
        progress: told the bytes read so far.
        files: the files of every split, `train` first, asked for one by one; None takes the options' plain paths.
        without_positives: whether declared labels may have no positive training row; steps may take them out yet.
    """
    meaning, problems = options.meaning, Problems()
    if meaning.threshold is not None:
        Threshold.parse(meaning.threshold)
    read = read_splits(local_files(options) if files is None else files, options, problems, progress)
    problems.raise_any()
    claimed = with_claims([rows for part in read for rows in part.files], meaning, problems)
    problems.raise_any()
    splits = [part.name for part in read for _ in part.files]
    named = [rows for split, rows in zip(splits, claimed, strict=True) if split == TRAIN]
    bounds = find_bounds(named or claimed, meaning, problems)
    problems.raise_any()
    all_rows = relabelled([thresholded(rows, meaning, bounds) for rows in claimed], meaning)
    notes = sampling_notes(read)
    by_split: dict[str, list[FileRows]] = {}
    for split, rows in zip(splits, all_rows, strict=True):
        by_split.setdefault(split, []).append(rows)
    training = by_split.get(TRAIN)
    training = all_rows if training is None else training
    others = [rows for rows in all_rows if all(rows is not other for other in training)]
    schema = freeze_schema(training, others, meaning, problems)
    orders = {part.name: part.order for part in read}
    frames = {
        split: split_frame(members, split, schema, meaning, problems, notes, orders[split])
        for split, members in by_split.items()
    }
    problems.raise_any()
    if meaning.recorded is None and not without_positives:
        refuse_declared_without_positive(training, frames, schema, meaning, problems)
    told = import_notes(all_rows, schema, meaning, bounds, has_training=TRAIN in by_split)
    notes = [*told, *notes]
    return Loaded(make_dataset(schema, frames, import_provenance(read, options, bounds)), tuple(notes))


def import_notes(
    files: Sequence[FileRows],
    schema: Schema,
    meaning: Meaning,
    bounds: Mapping[str, float],
    *,
    has_training: bool = True,
) -> list[str]:
    """Return what was accepted and may surprise."""
    notes = [f"{rows.name}: {note}" for rows in files for note in rows.notes]
    if not has_training:
        notes.append(f"there is no split '{TRAIN}': labels were collected over all files")
    notes += [
        f"label '{name}' holds where the score is {_compared(meaning)} {bound:g}"
        for name, bound in bounds.items()
    ]
    return notes + _unseen(files, schema) + _all_flagged(schema)


def _compared(meaning: Meaning) -> str:
    return ">=" if (meaning.threshold or "").strip().startswith(">=") else ">"


def refuse_declared_without_positive(
    training: Sequence[FileRows], frames: dict[str, Any], schema: Schema, meaning: Meaning, problems: Problems
) -> None:
    """Raise for each label that was declared by name and that no training row is positive for."""
    trained = [frames[TRAIN]] if TRAIN in frames else list(frames.values())
    for target in schema.targets:
        declared = set(meaning.declared.get(target.name, ()))
        for rows in training:
            claim = rows.claims.get(target.name)
            declared |= claim.declared if claim is not None else frozenset()
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
                and (claim.declared or np.any(claim.closed | claim.objects))
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


def import_provenance(
    read: Sequence[ReadSplit], options: ImportOptions, bounds: dict[str, float]
) -> dict[str, Any]:
    """Return the sources, and the import and the samples as steps."""
    stated = {**_stated(options.reading, Reading()), **_stated(options.meaning, Meaning())}
    step = {"step": "import", "options": stated, "bounds": bounds}
    return {
        "sources": [source for part in read for source in part.sources],
        "steps": [step, *sampling_steps(read)],
    }


def _stated(given: Any, default: Any) -> dict[str, Any]:
    """Return the options that differ from their defaults, JSON-ready."""
    values = {name: (getattr(given, name), getattr(default, name)) for name in given.__slots__}
    return {name: _plain(value) for name, (value, usual) in values.items() if value != usual}


def _plain(value: Any) -> Any:
    """Return an option as JSON-ready data."""
    if isinstance(value, Recorded):
        return value.to_json()
    if isinstance(value, Mapping):
        return {key: list(item) if isinstance(item, tuple) else item for key, item in value.items()}
    return value
