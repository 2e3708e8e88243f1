"""Writes the files of an export: all of them whole, or what was there before."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from modwright.data.columnar import pl
from modwright.data.dataset import Dataset
from modwright.data.export import tables
from modwright.data.export.columns import other_columns, own_groups, own_names
from modwright.data.export.earlier import FORMAT, FORMAT_VERSION, MANIFEST, manifest_path, refuse_foreign
from modwright.data.export.factory import factory_lines
from modwright.data.export.openai import answer_columns, losses, openai_frames, openai_lines, openai_target
from modwright.data.export.options import ExportFormat, ExportOptions, ExportSummary
from modwright.errors import DataError, UsageError
from modwright.files import sha256_file, staged_file, staged_folder, write_json
from modwright.schema import Schema, TargetKind

GROUP = "group"
_CHUNK_ROWS = 100_000
_Writer = Callable[[pl.DataFrame, Path], None]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What will be written.

    Attributes:
        frames: split to rows.
        schema: the targets that are written.
        write: writes a split's rows to a path.
        names: other column to its name in the files; with `group` where groups are written.
        notes: what is lost or renamed.
    """

    frames: dict[str, pl.DataFrame]
    schema: Schema
    write: _Writer
    names: dict[str, str]
    notes: tuple[str, ...]


def export_dataset(dataset: Dataset, options: ExportOptions) -> ExportSummary:
    """Write a dataset in another format: a folder with a file per split and `export.json`, or one file.

    What was written is written down in `export.json`, or beside the one file in `NAME.export.json`.

    Rows are written by column, in chunks; a process killed at any point leaves what was there before, or the whole new
    set.

    Raises:
        DataError: the format cannot carry what the rows hold.
        NotFoundError: a split that is not there.
        UsageError: options that make no sense, or something else lies in `out`.
    """
    refuse_foreign(options)
    plan = _planned(dataset, options)
    for split, frame in plan.frames.items():
        if not len(frame):
            raise DataError("has no rows to write", file=split, remedy="choose others with --split NAME")
    if options.one_file:
        files = _write_one(plan, dataset, options)
    else:
        files = _write_folder(plan, dataset, options)
    shown = {split: {key: file[key] for key in ("file", "rows", "bytes")} for split, file in files.items()}
    back = _import_command(plan, options, files)
    return ExportSummary(str(options.out), str(options.format), dataset.id, shown, plan.notes, back)


def _planned(dataset: Dataset, options: ExportOptions) -> _Plan:
    frames = {name: dataset.split(name) for name in options.splits or dataset.splits}
    if options.one_file and len(frames) != 1:
        raise UsageError(
            f"found {len(frames)} splits for one file: {', '.join(frames)}",
            where=str(options.out),
            remedy="choose one with --split NAME, or name a folder",
        )
    _refuse_idle(options)
    if options.safe is not None:
        _refuse_safe(dataset.schema, options.safe)
    if options.format is ExportFormat.OPENAI:
        return _planned_openai(dataset.schema, frames, options)
    names = own_names(frames, dataset.schema)
    notes = [f"the column '{name}' is called '{own}' here" for name, own in names.items() if name != own]
    if own_groups(frames):
        names[GROUP] = GROUP
        notes.append(f"the groups of rows are the column '{GROUP}': give --schema to have them back")
    if options.format is ExportFormat.FACTORY:
        notes += _not_finite(frames, dataset.schema)
        write = _factory_writer(frames, dataset.schema, names, options.safe)
    else:
        write = _table_writer(frames, dataset.schema, names, csv=options.format is ExportFormat.CSV)
    return _Plan(frames, dataset.schema, write, names, tuple(notes))


def _is_weighted(frames: Mapping[str, pl.DataFrame]) -> bool:
    return any(bool((frame["weight"] != 1).any()) for frame in frames.values())


def _factory_writer(
    frames: Mapping[str, pl.DataFrame], schema: Schema, names: Mapping[str, str], safe: str | None
) -> _Writer:
    weighted = _is_weighted(frames)
    return _line_writer(lambda rows: factory_lines(rows, schema, names, weighted=weighted, safe=safe))


def _table_writer(
    frames: Mapping[str, pl.DataFrame], schema: Schema, names: Mapping[str, str], *, csv: bool
) -> _Writer:
    """Return what writes CSV or Parquet; raises DataError for texts that CSV cannot hold."""
    pairs = csv and tables.holds_pairs(frames)
    inputs = tables.input_names(frames, pairs=pairs)
    weighted = _is_weighted(frames) or not csv
    if csv:
        tables.refuse_nuls(frames, schema, pairs=pairs)

    def write(rows: pl.DataFrame, path: Path) -> None:
        if csv:
            certain = tables.certain_columns(rows, schema)
            _write_chunks(rows, path, lambda stream, part, first: add(stream, part, certain, first))
        else:
            shown = tables.table(rows, schema, names, weighted=weighted, inputs=inputs)
            shown.write_parquet(path, compression="zstd", row_group_size=_CHUNK_ROWS)

    def add(stream: BinaryIO, rows: pl.DataFrame, certain: frozenset[str], first: bool) -> None:
        shown = tables.table(rows, schema, names, weighted=weighted, inputs=inputs)
        tables.write_csv(stream, shown, certain, header=first)

    return write


def _planned_openai(schema: Schema, frames: Mapping[str, pl.DataFrame], options: ExportOptions) -> _Plan:
    target = openai_target(schema, options)
    notes = losses(frames, schema, target)
    ready, done = openai_frames(frames, target, options)

    def lines(rows: pl.DataFrame) -> pl.Series:
        return openai_lines(rows.select(answer_columns(target)), target, options.safe)

    return _Plan(ready, Schema((target,), schema.positive_above), _line_writer(lines), {}, (*notes, *done))


def _refuse_idle(options: ExportOptions) -> None:
    """Raise UsageError for options that the format has no use for."""
    given = {
        "--target": options.target is not None,
        "--threshold": options.threshold is not None,
        "--drop-unknown": options.drop_unknown,
    }
    idle = [name for name, there in given.items() if there and options.format is not ExportFormat.OPENAI]
    if options.safe is not None and options.format in (ExportFormat.CSV, ExportFormat.PARQUET):
        idle.append("--safe")
    if idle:
        raise UsageError(f"{idle[0]} means nothing to --format {options.format}", remedy="leave it out")


def _refuse_safe(schema: Schema, safe: str) -> None:
    if not safe.strip():
        raise UsageError("--safe is an empty label", remedy="give a name, such as safe")
    for target in schema.targets:
        if safe in target.labels:
            raise UsageError(
                f"--safe {safe}: '{safe}' is a label of '{target.name}' already",
                remedy="leave --safe out: the label is written where it holds",
            )
    if all(target.kind is TargetKind.SINGLE_LABEL for target in schema.targets):
        raise UsageError("--safe needs a multi_label target, found none", remedy="leave --safe out")


def _not_finite(frames: Mapping[str, pl.DataFrame], schema: Schema) -> list[str]:
    """Note numbers that JSON does not have."""
    notes = []
    for split, frame in frames.items():
        for name in other_columns(frame, schema):
            if frame.schema[name] == pl.Float64:
                number = int((~frame[name].is_finite()).sum())
                if number:
                    notes.append(f"{split}: {number:,} values in '{name}' are not finite and written as null")
    return notes


def _line_writer(lines: Callable[[pl.DataFrame], pl.Series]) -> _Writer:
    """Return what writes rows as lines, a chunk at a time."""

    def write(frame: pl.DataFrame, path: Path) -> None:
        def add(stream: BinaryIO, rows: pl.DataFrame, first: bool) -> None:
            lines(rows).to_frame().write_csv(stream, include_header=False, quote_style="never")

        _write_chunks(frame, path, add)

    return write


def _write_chunks(
    frame: pl.DataFrame, path: Path, add: Callable[[BinaryIO, pl.DataFrame, bool], None]
) -> None:
    with path.open("wb") as stream:
        for start in range(0, len(frame), _CHUNK_ROWS):
            add(stream, frame.slice(start, _CHUNK_ROWS), start == 0)
        stream.flush()
        os.fsync(stream.fileno())


def _write_one(plan: _Plan, dataset: Dataset, options: ExportOptions) -> dict[str, dict[str, Any]]:
    """Write the one split to the one file; its manifest first, so that a file without one is never ours."""
    ((split, frame),) = plan.frames.items()
    with staged_file(options.out) as staging:
        plan.write(frame, staging)
        files = {split: _described(staging, frame) | {"file": options.out.name}}
        with staged_file(manifest_path(options)) as beside:
            write_json(beside, _manifest(plan, dataset, options, files))
    return files


def _write_folder(plan: _Plan, dataset: Dataset, options: ExportOptions) -> dict[str, dict[str, Any]]:
    """Write a file per split, then the manifest."""
    with staged_folder(options.out, replace=options.replace, only=MANIFEST) as staging:
        files = {}
        for split, frame in plan.frames.items():
            path = staging / f"{split}{options.format.suffix}"
            plan.write(frame, path)
            files[split] = _described(path, frame)
        write_json(staging / MANIFEST, _manifest(plan, dataset, options, files))
    return files


def _described(path: Path, frame: pl.DataFrame) -> dict[str, Any]:
    size = path.stat().st_size
    return {"file": path.name, "rows": len(frame), "bytes": size, "sha256": sha256_file(path)}


def _manifest(
    plan: _Plan, dataset: Dataset, options: ExportOptions, files: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    columns = {
        split: [
            [name, plan.names[name], str(frame.schema[name])]
            for name in other_columns(frame, dataset.schema)
            if name in plan.names
        ]
        for split, frame in plan.frames.items()
    }
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "written_as": str(options.format),
        "dataset": dataset.id,
        "schema": plan.schema.to_json(),
        "safe": options.safe,
        "group": plan.names.get(GROUP),
        "columns": columns,
        "files": files,
        "notes": list(plan.notes),
        "sources": dataset.provenance.get("sources", []),
        "steps": dataset.provenance.get("steps", []),
    }


def _import_command(plan: _Plan, options: ExportOptions, files: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the command that imports the files again."""
    words = ["modwright", "data", "import"]
    for split, file in files.items():
        path = options.out if options.one_file else options.out / str(file["file"])
        words += ["--split", f"{split}={path}"]
    if options.format is ExportFormat.OPENAI:
        words.append("--openai")
    return shlex.join([*words, "--schema", str(manifest_path(options)), "--out", "DIR"])
