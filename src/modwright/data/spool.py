"""Rows on disk while a dataset is built: texts and other columns wait in files, labels stay in memory.

A spool holds one split. Flat Parquet sources stay as they are and are read again; others are written down chunk by chunk.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from modwright.data.assemble import split_frame
from modwright.data.columnar import pl, stack_frames
from modwright.data.curate.curating import label_series
from modwright.data.curate.part import Part
from modwright.data.options import Meaning
from modwright.data.pieces import ParquetPiece, Piece, WrittenPiece
from modwright.data.problems import Problems
from modwright.data.tables import FileRows
from modwright.files import link_or_copy
from modwright.schema import IntArray, Schema

_BLOCK_ROWS = 100_000
_POSITION = "\0position"


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
    _pieces: list[Piece] = field(default_factory=list)
    _heads: list[pl.DataFrame] = field(default_factory=list)

    def add(self, rows: FileRows) -> None:
        """Write a chunk of rows."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._pieces.append(WrittenPiece.write(rows, self.folder, len(self._pieces)))
        self._heads.append(rows.columns.clear())

    def refer(self, path: Path, name: str, count: int, meaning: Meaning, head: pl.DataFrame) -> None:
        """Take the first rows of a flat Parquet file as they lie there; it may be removed afterwards.

        Args:
            path: the file.
            name: how the column `source` calls it.
            count: how many rows.
            meaning: how its columns are read.
            head: its other columns, as `FileRows` has them; their types count.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        own = self.folder / f"{len(self._pieces)}.source.parquet"
        link_or_copy(path, own)
        self._pieces.append(ParquetPiece(name, own, count, meaning))
        self._heads.append(head.clear())

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield id, text, messages, weight and group of all rows, chunk by chunk."""
        for piece in self._pieces:
            yield from piece.frames()

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
            weight, group = pl.Series("weight", part.weights[positions]), part.group_column(positions)
            yield frame.with_columns(weight, group, *values), positions

    def _in_order(self, part: Part) -> Iterator[tuple[FileRows, IntArray]]:
        """Yield the chosen rows of each chunk and their positions in a part, in the order of the chunks."""
        order = np.argsort(part.rows, kind="stable")
        wanted, start = part.rows[order], 0
        for piece in self._pieces:
            low, high = np.searchsorted(wanted, [start, start + piece.count])
            done = low
            for rows in piece.rows(wanted[low:high] - start):
                here = slice(done, done + len(rows))
                yield self._named(rows, wanted[here]), order[here]
                done += len(rows)
            start += piece.count

    def _named(self, rows: FileRows, stored: IntArray) -> FileRows:
        """Give rows without an id their number in the sample."""
        numbers = stored + 1 if self.numbers is None else self.numbers[stored]
        identity = pl.lit(f"{self.split}-") + pl.Series("n", numbers).cast(pl.String)
        inputs = rows.inputs.with_columns(id=pl.col("id").fill_null(identity))
        return dataclasses.replace(rows, inputs=inputs, claims={})

    def _typed(
        self, rows: FileRows, split: str, schema: Schema, meaning: Meaning, notes: list[str]
    ) -> pl.DataFrame:
        """Return a split's frame of some rows, every column of the type it has in all chunks."""
        columns = stack_frames([*self._heads, rows.columns], [*(0 for _ in self._heads), len(rows)])
        whole = FileRows(rows.name, rows.lines, rows.inputs, columns)
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
