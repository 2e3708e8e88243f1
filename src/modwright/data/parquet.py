"""Parquet: flat tables by column, nested rows (messages, `labels`) as records; a line is a row's number."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from modwright.data.columnar import pl, plain_column
from modwright.data.options import Meaning, Progress
from modwright.data.problems import Problems
from modwright.data.rows import RowCollector
from modwright.data.tables import FileRows, RawTable
from modwright.errors import DataError

_SLICE_ROWS = 20_000


def read_parquet(
    path: Path,
    name: str,
    meaning: Meaning,
    problems: Problems,
    progress: Progress | None = None,
    max_rows: int | None = None,
) -> FileRows | RawTable:
    """Read a Parquet file, or its first rows: FileRows where its rows are records, else the table.

    Raises:
        DataError: missing, not Parquet, or without rows.
    """
    if not path.exists():
        raise DataError("no such file", file=name, remedy="check the path")
    try:
        frame = pl.read_parquet(path.open("rb"), n_rows=max_rows)
    except (pl.exceptions.PolarsError, OSError) as error:
        found = str(error).splitlines()[0][:200]
        raise DataError(
            f"is not a readable Parquet file: {found}",
            file=name,
            remedy="write it again, or give CSV or JSONL",
        ) from None
    if progress is not None:
        progress(name, path.stat().st_size, path.stat().st_size)
    if not len(frame):
        raise DataError("has no rows, expected at least one", file=name, remedy="give a file with rows")
    if holds_records(frame, meaning):
        collector = RowCollector(name, meaning, problems)
        plain = frame.with_columns([_as_values(series) for series in frame])
        for row, record in enumerate(plain.iter_rows(named=True, buffer_size=_SLICE_ROWS), 1):
            collector.add(row, record)
        return collector.finish([])
    return RawTable(name, np.arange(1, len(frame) + 1), flat_table(frame, meaning))


def flat_table(frame: pl.DataFrame, meaning: Meaning) -> pl.DataFrame:
    """Return a table with plain columns, but for nested ones that are read as labels or messages."""
    own = "messages" if meaning.text is None and meaning.prompt is None else None
    nested = {*meaning.columns, meaning.messages or own}
    return frame.with_columns(
        [_as_list(series) if series.name in nested else plain_column(series) for series in frame]
    )


def _as_values(series: pl.Series) -> pl.Series:
    """Return a column of dates and the like as a flat table has it; nested ones and integers are values already."""
    return series if series.dtype.is_nested() or series.dtype.is_integer() else plain_column(series)


def _as_list(series: pl.Series) -> pl.Series:
    """Return a nested column as it is, arrays as lists; others as plain columns."""
    if isinstance(series.dtype, pl.Array):
        return series.arr.to_list()
    return series if isinstance(series.dtype, pl.List | pl.Struct) else plain_column(series)


def holds_records(frame: pl.DataFrame, meaning: Meaning) -> bool:
    """Say whether rows must be read one by one, since what is used of them is nested in several ways."""
    if meaning.openai:
        return True
    named = meaning.text or meaning.prompt or meaning.messages
    if named is None and "messages" in frame.columns and {"prompt", "response"} & set(frame.columns):
        return True
    return not meaning.columns and "labels" in frame.columns and frame.schema["labels"].is_nested()
