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
from modwright.schema import TargetKind

_CHUNK_ROWS = 100_000


def can_stream(meaning: Meaning) -> bool:
    """Say whether a chunk tells what its columns mean, without the rest of its file.

    That is so where label or score columns are named, except for one label column that may hold classes.
    """
    named = bool(meaning.scores) or len(meaning.labels) > 1
    alone = len(meaning.labels) == 1 and meaning.kind is TargetKind.MULTI_LABEL
    return (named or alone) and not meaning.openai and meaning.recorded is None


def file_chunks(
    path: Path, name: str, options: ImportOptions, problems: Problems, progress: Progress | None = None
) -> Iterator[FileRows]:
    """Yield a file's rows chunk by chunk; what is wrong is added to `problems`, and nothing more may come.

    CSV, TSV and flat Parquet files are never held as a whole; others are read whole and are one chunk.
    """
    reading, meaning = options.reading, options.meaning
    try:
        if is_parquet(path, reading) and path.is_file() and not holds_records(_head(path, name), meaning):
            yield from _tables(_parquet_tables(path, name, meaning, progress), meaning, problems)
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


def _parquet_tables(path: Path, name: str, meaning: Meaning, progress: Progress | None) -> Iterator[RawTable]:
    lazy, start, size = pl.scan_parquet(path, glob=False, low_memory=True), 0, path.stat().st_size
    total = int(lazy.select(pl.len()).collect().item())
    if not total:
        raise DataError("has no rows, expected at least one", file=name, remedy="give a file with rows")
    try:
        for frame in lazy.collect_batches(chunk_size=_CHUNK_ROWS, maintain_order=True):
            for piece in frame.iter_slices(_CHUNK_ROWS):
                lines = np.arange(start + 1, start + len(piece) + 1)
                yield RawTable(name, lines, flat_table(piece, meaning))
                start += len(piece)
                if progress is not None:
                    progress(name, size * start // total, size)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(name, error) from None
