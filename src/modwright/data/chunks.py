"""Large files as a stream of chunks of rows, each as `read_records` gives a whole file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from modwright.data.columnar import pl
from modwright.data.delimited import delimited_tables
from modwright.data.inputs import table_rows
from modwright.data.options import ImportOptions, Meaning, Progress
from modwright.data.parquet import flat_table, holds_records
from modwright.data.problems import Problems
from modwright.data.records import is_delimited, is_parquet, read_records
from modwright.data.tables import FileRows, RawTable
from modwright.errors import DataError
from modwright.schema import IntArray, TargetKind

_CHUNK_ROWS = 100_000
_NUMBER = "\0number"
_FLAT = (pl.String, pl.Boolean)


def can_stream(meaning: Meaning) -> bool:
    """Say whether a chunk tells what its columns mean, without the rest of its file.

    That is so where label or score columns are named, except for one label column that may hold classes.
    """
    named = bool(meaning.scores) or len(meaning.labels) > 1
    alone = len(meaning.labels) == 1 and meaning.kind is TargetKind.MULTI_LABEL
    return (named or alone) and not meaning.openai and meaning.recorded is None


def file_chunks(
    path: Path,
    name: str,
    options: ImportOptions,
    problems: Problems,
    progress: Progress | None = None,
    *,
    labels_only: bool = False,
) -> Iterator[FileRows]:
    """Yield a file's rows chunk by chunk; what is wrong is added to `problems`, and nothing more may come.

    CSV, TSV and flat Parquet files are never held as a whole; others are read whole and are one chunk. With
    `labels_only`, where `is_read_twice`, only weights and labels are read; texts and other columns are empty.
    """
    reading, meaning = options.reading, options.meaning
    try:
        if is_parquet(path, reading) and path.is_file() and not holds_records(_head(path, name), meaning):
            only = frozenset({*meaning.columns, meaning.weight or "weight"}) if labels_only else None
            yield from _tables(parquet_tables(path, name, meaning, progress, only=only), meaning, problems)
        elif is_delimited(path, reading) and not path.is_dir():
            yield from _tables(delimited_tables(path, name, reading, problems, progress), meaning, problems)
        else:
            rows = read_records(str(path), reading, meaning, problems, progress, name=name)
            if rows is not None:
                yield rows
    except DataError as error:
        problems.add_error(error)


def _tables(tables: Iterator[RawTable], meaning: Meaning, problems: Problems) -> Iterator[FileRows]:
    for table in tables:
        before = problems.total
        rows = table_rows(table, meaning, problems)
        if problems.total == before:
            yield rows


def _head(path: Path, name: str) -> pl.DataFrame:
    try:
        return pl.scan_parquet(path, glob=False).head(0).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(name, error) from None


def _unreadable(name: str, error: Exception) -> DataError:
    return DataError(
        f"is not a readable Parquet file: {str(error).splitlines()[0][:200]}",
        file=name,
        remedy="write it again, or give CSV or JSONL",
    )


def parquet_tables(
    path: Path,
    name: str,
    meaning: Meaning,
    progress: Progress | None = None,
    *,
    rows: int | None = None,
    only: frozenset[str] | None = None,
) -> Iterator[RawTable]:
    """Yield a flat Parquet file, or its first rows, chunk by chunk.

    With `only`, other columns are there and have their type, but are not read and hold nothing.
    """
    lazy, start, size = pl.scan_parquet(path, glob=False, low_memory=True), 0, path.stat().st_size
    total = int(lazy.select(pl.len()).collect().item())
    if not total:
        raise DataError("has no rows, expected at least one", file=name, remedy="give a file with rows")
    lazy = lazy.head(rows) if rows is not None and rows < total else lazy
    types = lazy.collect_schema()
    chosen = [column for column in types if only is None or column in only] or list(types)
    left_out = {column: dtype for column, dtype in types.items() if column not in chosen}
    try:
        for frame in lazy.select(chosen).collect_batches(chunk_size=_CHUNK_ROWS, maintain_order=True):
            for piece in frame.iter_slices(_CHUNK_ROWS):
                blanks = [pl.lit(None, dtype=dtype).alias(column) for column, dtype in left_out.items()]
                lines = np.arange(start + 1, start + len(piece) + 1)
                yield RawTable(
                    name, lines, flat_table(piece.with_columns(blanks).select(list(types)), meaning)
                )
                start += len(piece)
                if progress is not None:
                    progress(name, size * start // total, size)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(name, error) from None


def chosen_tables(path: Path, name: str, meaning: Meaning, wanted: IntArray) -> Iterator[RawTable]:
    """Yield some rows of a flat Parquet file chunk by chunk, by their ascending numbers from 0."""
    numbers = pl.Series(_NUMBER, wanted, dtype=pl.UInt32)
    lazy = pl.scan_parquet(path, glob=False, low_memory=True, row_index_name=_NUMBER)
    try:
        few = lazy.filter(pl.col(_NUMBER).is_in(numbers.implode()))
        for frame in few.collect_batches(chunk_size=_CHUNK_ROWS, maintain_order=True):
            lines = frame[_NUMBER].to_numpy().astype(np.int64) + 1
            if len(frame):
                yield RawTable(name, lines, flat_table(frame.drop(_NUMBER), meaning))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(name, error) from None


def is_read_twice(path: Path, options: ImportOptions) -> bool:
    """Say whether a file's labels can be read without its texts: Parquet whose columns are all flat."""
    if not is_parquet(path, options.reading) or not path.is_file():
        return False
    try:
        head = _head(path, str(path))
    except DataError:
        return False  # told when it is read
    plain = all(dtype in _FLAT or dtype.is_numeric() for dtype in head.schema.values())
    return plain and not holds_records(head, options.meaning)
