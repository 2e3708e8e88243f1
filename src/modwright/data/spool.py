"""Rows on disk while a dataset is built: texts and other columns wait in files, labels stay in memory.

A spool holds one split, chunk by chunk, each as two Parquet files: what is judged, and the other columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from modwright.data.assemble import context_groups, split_frame
from modwright.data.columnar import pl, stack_frames
from modwright.data.curate.curating import label_series
from modwright.data.curate.part import Part
from modwright.data.options import Meaning
from modwright.data.problems import Problems
from modwright.data.tables import FileRows
from modwright.schema import IntArray, Schema

_BLOCK_ROWS = 100_000
_POSITION = "\0position"
_HEIGHT = "\0height"  # keeps the height where a file has no other column


@dataclass(frozen=True, slots=True)
class _Chunk:
    name: str
    lines: IntArray
    inputs: Path
    columns: Path


@dataclass(slots=True)
class Spool:
    """A split's rows on disk, in the order they were read; a `Store` of curation.

    Attributes:
        folder: of the files; who made it removes it.
        split: name of the split the rows were read for; a row without an id is called `split-NUMBER`.
        numbers: (N,) number of each row in the sample that was taken, from 1; None numbers them as they are.
    """

    folder: Path
    split: str
    numbers: IntArray | None = None
    _chunks: list[_Chunk] = field(default_factory=list)
    _heads: list[pl.DataFrame] = field(default_factory=list)

    def add(self, rows: FileRows) -> None:
        """Write a chunk of rows."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = len(self._chunks)
        chunk = _Chunk(
            rows.name,
            rows.lines,
            self.folder / f"{number}.inputs.parquet",
            self.folder / f"{number}.columns.parquet",
        )
        inputs = rows.inputs.with_columns(group=context_groups(rows.inputs["messages"]))
        inputs.write_parquet(chunk.inputs, compression="lz4", statistics=False)
        rows.columns.write_parquet(chunk.columns, compression="lz4", statistics=False)
        self._chunks.append(chunk)
        self._heads.append(rows.columns.clear())

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield id, text, messages, weight and group of all rows, chunk by chunk."""
        for chunk in self._chunks:
            yield pl.read_parquet(chunk.inputs)

    def final(
        self, part: Part, split: str, schema: Schema, meaning: Meaning, notes: list[str]
    ) -> Iterator[pl.DataFrame]:
        """Yield the frames of a split as a dataset has them, in the part's order.

        Args:
            part: rows of this spool, with labels and weights.
            split: the split they belong to now.
            schema: targets and labels of the part's values.
            meaning: how the columns were read.
            notes: a column that had to be renamed is noted here.
        """
        ordered = bool(np.all(np.diff(part.rows) > 0))
        pieces = self._finished(part, split, schema, meaning, notes)
        yield from (frame for frame, _ in pieces) if ordered else self._reordered(pieces)

    def _finished(
        self, part: Part, split: str, schema: Schema, meaning: Meaning, notes: list[str]
    ) -> Iterator[tuple[pl.DataFrame, IntArray]]:
        """Yield finished frames chunk by chunk, and the positions of their rows in the part."""
        for rows, positions in self._in_order(part):
            values = label_series(part.values[positions], schema)
            frame = self._typed(rows, split, schema, meaning, notes)
            yield frame.with_columns(pl.Series("weight", part.weights[positions]), *values), positions

    def _in_order(self, part: Part) -> Iterator[tuple[FileRows, IntArray]]:
        """Yield the chosen rows of each chunk and their positions in a part, in the order of the chunks."""
        order = np.argsort(part.rows, kind="stable")
        wanted, start = part.rows[order], 0
        for chunk in self._chunks:
            low, high = np.searchsorted(wanted, [start, start + len(chunk.lines)])
            if high > low:
                yield self._read(chunk, wanted[low:high] - start, start), order[low:high]
            start += len(chunk.lines)

    def _read(self, chunk: _Chunk, rows: IntArray, start: int) -> FileRows:
        numbers = rows + start + 1 if self.numbers is None else self.numbers[rows + start]
        identity = pl.lit(f"{self.split}-") + pl.Series("n", numbers).cast(pl.String)
        inputs = pl.read_parquet(chunk.inputs)[rows].drop("group")
        columns = pl.read_parquet(chunk.columns)
        return FileRows(
            chunk.name,
            chunk.lines[rows],
            inputs.with_columns(id=pl.col("id").fill_null(identity)),
            columns[rows] if columns.width else columns,
        )

    def _typed(
        self, rows: FileRows, split: str, schema: Schema, meaning: Meaning, notes: list[str]
    ) -> pl.DataFrame:
        """Return a split's frame of some rows, every column of the type it has in all chunks."""
        filled = rows.columns if rows.columns.width else pl.DataFrame({_HEIGHT: [None] * len(rows)})
        columns = stack_frames([*self._heads, filled])
        whole = FileRows(rows.name, rows.lines, rows.inputs, columns.drop(_HEIGHT, strict=False))
        return split_frame([whole], split, schema, meaning, Problems(), notes)

    def _reordered(self, pieces: Iterator[tuple[pl.DataFrame, IntArray]]) -> Iterator[pl.DataFrame]:
        """Yield rows by position: on disk each piece's rows are dealt into blocks, and then each block is sorted."""
        shelf = self.folder / "blocks"
        shelf.mkdir(exist_ok=True)
        blocks: dict[int, list[Path]] = {}
        for number, (frame, positions) in enumerate(pieces):
            placed = frame.with_columns(pl.Series(_POSITION, positions))
            for block in np.unique(positions // _BLOCK_ROWS).tolist():
                blocks.setdefault(block, []).append(shelf / f"{block}.{number}.parquet")
                inside = placed.filter(pl.col(_POSITION) // _BLOCK_ROWS == block)
                inside.write_parquet(blocks[block][-1], compression="lz4", statistics=False)
        for block in sorted(blocks):
            whole = pl.concat([pl.read_parquet(path) for path in blocks[block]])
            yield whole.sort(_POSITION).drop(_POSITION)
            for path in blocks[block]:
                path.unlink()
