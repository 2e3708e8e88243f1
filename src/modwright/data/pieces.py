"""Where rows wait while a dataset is built: in a Parquet source that is read again, or in files of our own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from modwright.data.assemble import context_groups
from modwright.data.chunks import chosen_tables, parquet_tables
from modwright.data.columnar import pl
from modwright.data.inputs import table_rows
from modwright.data.labelling import with_claims
from modwright.data.options import Meaning
from modwright.data.problems import Problems
from modwright.data.tables import FileRows
from modwright.schema import IntArray


class Piece(Protocol):
    """Rows of one file, in their order."""

    @property
    def count(self) -> int:
        """Return how many rows there are."""
        ...

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield id, text, messages, weight and group of all rows, chunk by chunk."""
        ...

    def rows(self, wanted: IntArray) -> Iterator[FileRows]:
        """Yield some rows chunk by chunk, with their inputs and other columns; `wanted` is ascending."""
        ...


@dataclass(frozen=True, slots=True)
class WrittenPiece:
    """A chunk of rows in two files of our own: what is judged, and the other columns."""

    name: str
    lines: IntArray
    inputs: Path
    columns: Path

    @classmethod
    def write(cls, rows: FileRows, folder: Path, number: int) -> WrittenPiece:
        """Write a chunk of rows."""
        inputs, columns = folder / f"{number}.inputs.parquet", folder / f"{number}.columns.parquet"
        _inputs(rows).write_parquet(inputs, compression="lz4", statistics=False)
        rows.columns.write_parquet(columns, compression="lz4", statistics=False)
        return cls(rows.name, rows.lines, inputs, columns)

    @property
    def count(self) -> int:
        """Return how many rows there are."""
        return len(self.lines)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the inputs."""
        yield pl.read_parquet(self.inputs)

    def rows(self, wanted: IntArray) -> Iterator[FileRows]:
        """Yield some rows."""
        if len(wanted):
            columns = pl.read_parquet(self.columns)
            columns = columns[wanted] if columns.width else columns
            inputs = pl.read_parquet(self.inputs)[wanted].drop("group")
            yield FileRows(self.name, self.lines[wanted], inputs, columns)


@dataclass(frozen=True, slots=True)
class ParquetPiece:
    """The first rows of a flat Parquet source, read again each time."""

    name: str
    path: Path
    count: int
    meaning: Meaning

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the inputs."""
        for table in parquet_tables(self.path, self.name, self.meaning, rows=self.count):
            yield _inputs(table_rows(table, self.meaning, Problems()))

    def rows(self, wanted: IntArray) -> Iterator[FileRows]:
        """Yield some rows."""
        problems = Problems()
        for table in chosen_tables(self.path, self.name, self.meaning, wanted) if len(wanted) else ():
            yield with_claims([table_rows(table, self.meaning, problems)], self.meaning, problems)[0]


def _inputs(rows: FileRows) -> pl.DataFrame:
    return rows.inputs.with_columns(group=context_groups(rows.inputs["messages"]))
