"""One entry point over the readers: a file in, its rows as columns out, chosen by the name's ending."""

from __future__ import annotations

from pathlib import Path

from modwright.data.delimited import read_delimited
from modwright.data.inputs import table_rows
from modwright.data.jsonl import read_jsonl
from modwright.data.options import Meaning, Progress, Reading
from modwright.data.parquet import read_parquet
from modwright.data.problems import Problems
from modwright.data.tables import FileRows, RawTable
from modwright.errors import DataError

_DELIMITED = frozenset({".csv", ".tsv", ".tab"})
_JSON = frozenset({".jsonl", ".ndjson", ".json"})
_PARQUET = frozenset({".parquet", ".pq"})


def read_records(
    source: str,
    reading: Reading,
    meaning: Meaning,
    problems: Problems,
    progress: Progress | None = None,
    *,
    name: str | None = None,
) -> FileRows | None:
    """Read one file of labelled records.

    What is wrong is added to `problems`; the return value is None where that leaves nothing to go on with.

    Args:
        source: the path as the user gave it.
        reading: how bytes become rows.
        meaning: which columns mean what.
        problems: collects what is wrong.
        progress: told the bytes read so far.
        name: what errors call the file; None takes `source`.
    """
    before = problems.total
    try:
        raw = _read(Path(source), source if name is None else name, reading, meaning, problems, progress)
        if problems.total > before:
            return None
        return table_rows(raw, meaning, problems) if isinstance(raw, RawTable) else raw
    except DataError as error:
        problems.add_error(error)
        return None


def _read(
    path: Path, name: str, reading: Reading, meaning: Meaning, problems: Problems, progress: Progress | None
) -> RawTable | FileRows:
    if path.is_dir():
        raise DataError("is a folder, expected a file", file=name, remedy="name the files in it")
    suffix = _suffix(path, reading)
    if suffix in _JSON:
        return read_jsonl(path, name, reading, meaning, problems, progress)
    if is_parquet(path, reading):
        return read_parquet(path, name, meaning, problems, progress, reading.max_rows)
    if is_delimited(path, reading):
        return read_delimited(path, name, reading, problems, progress)
    if not path.exists():
        raise DataError("no such file or folder", file=name, remedy="check the path")
    raise DataError(
        f"the name ends in '{suffix}', expected .csv, .tsv, .jsonl or .parquet",
        file=name,
        remedy="give --format, or --delimiter for delimited text",
    )


def _suffix(path: Path, reading: Reading) -> str:
    return f".{reading.format}" if reading.format else path.suffix.lower()


def is_parquet(path: Path, reading: Reading) -> bool:
    """Say whether a file is read as Parquet."""
    return _suffix(path, reading) in _PARQUET


def is_delimited(path: Path, reading: Reading) -> bool:
    """Say whether a file is read as delimited text."""
    suffix = _suffix(path, reading)
    return suffix in _DELIMITED or (suffix not in _JSON | _PARQUET and reading.delimiter is not None)
