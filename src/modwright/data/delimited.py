"""Delimited text (CSV, TSV): validated on bytes, parsed by polars, every record with its line."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from modwright.data.columnar import pl
from modwright.data.options import Progress, Reading
from modwright.data.problems import Problems
from modwright.data.rfc4180 import Block, record_blocks
from modwright.data.tables import RawTable, no_lines
from modwright.data.textual import add_nuls, check_utf8, utf8_chunks, without_lines
from modwright.errors import DataError, IntegrityError
from modwright.schema import IntArray

_SUFFIX_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_OTHER_DELIMITERS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}
_SAMPLED_RECORDS = 100
_CONSISTENT_SHARE = 0.8
_BOM = b"\xef\xbb\xbf"


def read_delimited(
    path: Path, name: str, reading: Reading, problems: Problems, progress: Progress | None = None
) -> RawTable:
    """Read a delimited file; every column is String, an empty cell is null.

    Problems of single records (number of fields, size, NUL bytes) are added to `problems`, and the rows are
    then incomplete. Blank lines are left out and noted.

    Raises:
        DataError: the file as a whole cannot be read: encoding, quoting, delimiter, header, no rows.
    """
    table, blocks = _opened(path, name, reading, problems, progress)
    for block in blocks:
        table.add(block)
        if reading.max_rows is not None and table.rows >= reading.max_rows:
            break
    return table.finish()


def delimited_tables(
    path: Path, name: str, reading: Reading, problems: Problems, progress: Progress | None = None
) -> Iterator[RawTable]:
    """Yield a delimited file block by block, as `read_delimited` reads it whole; the last may have no rows."""
    table, blocks = _opened(path, name, reading, problems, progress)
    done = 0
    for block in blocks:
        table.add(block)
        if table.frames:
            done += table.rows
            yield RawTable(name, np.concatenate(table.lines), pl.concat(table.frames))
            table.frames, table.lines = [], []
        if reading.max_rows is not None and done >= reading.max_rows:
            return
    if not done or table.notes or table.blank or table.breaks:
        last = table.finish(empty=bool(done))
        if not problems.total:
            yield last


def _opened(
    path: Path, name: str, reading: Reading, problems: Problems, progress: Progress | None
) -> tuple[_Table, Iterator[Block]]:
    """Return an empty table and the blocks for it; a malformed place becomes a problem, and ends them."""
    suffix = f".{reading.format}" if reading.format else path.suffix.lower()
    delimiter = reading.delimiter or _SUFFIX_DELIMITERS.get(suffix, ",")
    table = _Table(name, delimiter, reading, problems)
    chunks = utf8_chunks(path, name, reading, table.notes, progress)
    if reading.skip_lines:
        chunks = without_lines(chunks, reading.skip_lines)
    limit, first_line = reading.max_record_bytes, reading.skip_lines + 1

    def blocks() -> Iterator[Block]:
        for block in record_blocks(chunks, name, delimiter, reading.quoted, limit, first_line):
            yield block
            if block.error is not None:
                problems.add_error(block.error)
                return

    return table, blocks()


@dataclass(slots=True)
class _Table:
    """Gathers blocks."""

    name: str
    delimiter: str
    reading: Reading
    problems: Problems
    notes: list[str] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    frames: list[pl.DataFrame] = field(default_factory=list)
    lines: list[IntArray] = field(default_factory=list)
    blank: int = 0
    breaks: Counter[str] = field(default_factory=Counter)
    sound: bool = True

    @property
    def rows(self) -> int:
        """Return how many rows were parsed."""
        return sum(len(frame) for frame in self.frames)

    def add(self, block: Block) -> None:
        """Check a block's records and parse them."""
        if not len(block.ends):
            return
        check_utf8(block.data, int(block.lines[0]), self.name)
        self.sound &= not add_nuls(block.data, int(block.lines[0]), self.name, self.problems)
        self.breaks["CR LF"] += block.carriage_returns
        self.breaks["LF"] += int(block.data.endswith(b"\n")) + len(block.ends) - 1 - block.carriage_returns
        keep = np.flatnonzero(~block.blank)
        self.blank += len(block.ends) - len(keep)
        if not self.header and len(keep):
            keep = self._take_header(block, keep)
        keep = self._sized(block, self._even(block, keep))
        if self.sound and len(keep):
            self.frames.append(self._parse(block, keep))
            self.lines.append(block.lines[keep])

    def _take_header(self, block: Block, keep: IntArray) -> IntArray:
        first = int(keep[0])
        number = int(block.fields[first])
        if number == 1:
            self._refuse_other_delimiter(block, keep)
        if not self.reading.header:
            self.header = [f"column_{place}" for place in range(1, number + 1)]
            return keep
        text = block.data[block.starts[first] : block.ends[first]].decode("utf-8", "replace")
        names = _fields(text.rstrip("\r\n"), self.delimiter, self.reading.quoted)
        self.header = self._named(names, int(block.lines[first]))
        return keep[1:]

    def _named(self, names: list[str], line: int) -> list[str]:
        """Give empty names their place, refuse double ones."""
        empty = [place for place, name in enumerate(names, 1) if not name.strip()]
        if len(empty) == len(names):
            raise DataError(
                "the header names no column",
                file=self.name,
                line=line,
                remedy="name them, or give --no-header",
            )
        named = [name if name.strip() else f"column_{place}" for place, name in enumerate(names, 1)]
        for name in named:
            if named.count(name) > 1:
                raise DataError(
                    f"the header names the column '{name}' {named.count(name)} times",
                    file=self.name,
                    line=line,
                    field=name,
                    remedy="give every column its own name, or give --no-header where this is a row of data",
                )
        if empty:
            listed = ", ".join(f"column_{place}" for place in empty)
            self.notes.append(f"columns without a name in the header are called {listed}")
        return named

    def _refuse_other_delimiter(self, block: Block, keep: IntArray) -> None:
        """Raise DataError where there is one column, but another character delimits consistently."""
        records = [
            block.data[block.starts[row] : block.ends[row]] for row in keep[:_SAMPLED_RECORDS].tolist()
        ]
        for other, shown in _OTHER_DELIMITERS.items():
            number = _outside_quotes(records[0], other)
            alike = sum(_outside_quotes(record, other) == number for record in records)
            if other != self.delimiter and number and alike >= _CONSISTENT_SHARE * len(records):
                raise DataError(
                    f"found one column, but {shown} occurs {number}x in nearly every record; "
                    f"expected the delimiter {_OTHER_DELIMITERS.get(self.delimiter, repr(self.delimiter))}",
                    file=self.name,
                    line=int(block.lines[keep[0]]),
                    remedy=f"give --delimiter {shown}",
                )

    def _even(self, block: Block, keep: IntArray) -> IntArray:
        """Return the records that have as many fields as the header; the others are problems."""
        width = len(self.header)
        odd = keep[block.fields[keep] != width]
        if not len(odd):
            return keep
        self.sound = False

        def wrong(row: int) -> DataError:
            found = int(block.fields[row])
            return DataError(
                f"found {found} field{'s' * (found != 1)}, expected {width} ({_shortened(self.header)})",
                file=self.name,
                line=int(block.lines[row]),
                field=self.header[found] if found < width else None,
                remedy="put a field that holds the delimiter in quotes, or give the right --delimiter"
                if found > width
                else "add the missing field, if only an empty one",
            )

        self.problems.add_rows(odd, wrong)
        even: IntArray = keep[block.fields[keep] == width]
        return even

    def _sized(self, block: Block, keep: IntArray) -> IntArray:
        """Return the records within the size limit; the others are problems."""
        sizes = (block.ends - block.starts)[keep]
        large = np.flatnonzero(sizes > self.reading.max_record_bytes)
        self.sound &= not len(large)

        def wrong(place: int) -> DataError:
            return DataError(
                f"the record has {sizes[place]:,} bytes, the limit is {self.reading.max_record_bytes:,}",
                file=self.name,
                line=int(block.lines[keep[place]]),
                remedy="raise the limit with --max-record-bytes, or shorten the record",
            )

        self.problems.add_rows(large, wrong)
        return np.delete(keep, large) if len(large) else keep

    def _parse(self, block: Block, keep: IntArray) -> pl.DataFrame:
        """Parse whole, even records with polars and hold it to their number."""
        data = block.data[block.starts[keep[0]] : block.ends[keep[-1]]]
        if keep[-1] - keep[0] + 1 != len(keep):
            data = b"".join(block.data[block.starts[row] : block.ends[row]] for row in keep.tolist())
        # polars would leave out a character U+FEFF at the start of any block: a first record takes the blow.
        shield = data.startswith(_BOM)
        if shield:
            data = self.delimiter.encode() * (len(self.header) - 1) + b"\n" + data
        frame = pl.read_csv(
            io.BytesIO(data),
            has_header=False,
            schema=dict.fromkeys(self.header, pl.String),
            separator=self.delimiter,
            quote_char='"' if self.reading.quoted else None,
        )
        frame = frame.slice(1) if shield else frame
        if len(frame) != len(keep):
            raise IntegrityError(
                f"counted {len(keep)} records but parsed {len(frame)}",
                where=f"{self.name}:{block.lines[keep[0]]}",
                remedy="please report this file's shape",
            )
        return frame

    def finish(self, *, empty: bool = False) -> RawTable:
        """Return the table; raises DataError where there is no header or, unless it may be empty, no row."""
        if not self.header and self.sound and not self.problems.total:
            raise DataError(
                "is empty, expected at least one row", file=self.name, remedy="give a file with rows"
            )
        if not self.frames and not empty and self.sound and not self.problems.total:
            raise DataError(
                f"has a header ({_shortened(self.header)}) and no rows",
                file=self.name,
                line=self.reading.skip_lines + 1,
                remedy="add rows, or give --no-header where the first line is one",
            )
        if self.blank:
            self.notes.append(f"{self.blank:,} blank line{'s were' if self.blank > 1 else ' was'} left out")
        if self.breaks["LF"] > 0 and self.breaks["CR LF"] > 0:
            self.notes.append(
                f"line breaks are mixed: {self.breaks['CR LF']:,} CR LF, {self.breaks['LF']:,} LF"
            )
        nothing = pl.DataFrame(schema=dict.fromkeys(self.header, pl.String))
        frame = pl.concat(self.frames) if self.frames else nothing
        lines = np.concatenate(self.lines) if self.lines else no_lines()
        return RawTable(self.name, lines, frame, tuple(self.notes))


def _fields(record: str, delimiter: str, quoted: bool) -> list[str]:
    if not quoted:
        return record.split(delimiter)
    before = csv.field_size_limit(len(record) + 1)
    try:
        return next(csv.reader(io.StringIO(record, newline=""), delimiter=delimiter, strict=True))
    finally:
        csv.field_size_limit(before)


def _outside_quotes(record: bytes, delimiter: str) -> int:
    """Count a character in the parts of a record that are outside quotes."""
    return sum(part.count(delimiter.encode()) for part in record.split(b'"')[::2])


def _shortened(names: list[str], limit: int = 12) -> str:
    return ", ".join(name if name.isprintable() else repr(name) for name in names[:limit]) + (
        ", …" if len(names) > limit else ""
    )
