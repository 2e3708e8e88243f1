"""Where records of delimited text begin and end, and whether their quoting is well formed: numpy on bytes.

RFC 4180: a field that holds the delimiter, a line break or '"' stands in quotes, a quote in it is doubled. In
well-formed text a byte is inside quotes when the number of quotes before it is odd; a quote that opens stands
at the start of a field, one that closes at its end. All up to the first quote that breaks this is certain.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modwright.data.textual import line_at
from modwright.errors import DataError
from modwright.schema import BoolArray, IntArray

_QUOTE, _LF, _CR = b'"\n\r'
Bytes = NDArray[np.uint8]
_NOTHING: IntArray = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records of a file.

    Attributes:
        data: their bytes.
        starts, ends: (R,) offsets in `data`; the line break belongs to its record.
        lines: (R,) 1-based physical line each record starts at.
        fields: (R,) number of fields.
        blank: (R,) whether there is nothing between the line breaks.
        carriage_returns: how many line breaks are CR LF.
        error: the first malformed place after these records; nothing follows it.
    """

    data: bytes
    starts: IntArray
    ends: IntArray
    lines: IntArray
    fields: IntArray
    blank: BoolArray
    carriage_returns: int
    error: DataError | None


def record_blocks(
    chunks: Iterable[bytes],
    name: str,
    delimiter: str,
    quoted: bool,
    max_record_bytes: int,
    first_line: int = 1,
) -> Iterator[Block]:
    """Cut chunks of bytes into blocks of whole records.

    A block with an error is the last. A record longer than both the limit and a chunk is an error too.
    """
    pending, line = b"", first_line
    for chunk in chunks:
        pending += chunk
        final = not chunk
        if not pending:
            return
        block = scan(pending, name, delimiter, quoted, line, final=final)
        cut = int(block.ends[-1]) if len(block.ends) else 0
        if block.error is None and not final and len(pending) - cut > max(max_record_bytes, len(chunk)):
            yield _endless(block, pending, cut, line, name, quoted, max_record_bytes)
            return
        yield block
        if block.error is not None:
            return
        line = line_at(pending, cut, line)
        pending = pending[cut:]


def scan(data: bytes, name: str, delimiter: str, quoted: bool, first_line: int, *, final: bool) -> Block:
    """Find the whole records in a run of bytes that begins with one; `final` says that nothing follows."""
    view = np.frombuffer(data, dtype=np.uint8)
    quotes = np.flatnonzero(view == _QUOTE) if quoted else _NOTHING
    line_feeds = np.flatnonzero(view == _LF)
    ends = _outside(line_feeds, quotes) + 1
    if final and len(data) and (not len(ends) or ends[-1] < len(data)):
        ends = np.append(ends, len(data))
    bad, message = _first_malformed(view, quotes, ord(delimiter), final)
    error = None
    if bad is not None and (final or not len(ends) or bad < ends[-1]):
        ends = ends[ends <= bad]
        error = _quote_error(data, quotes, bad, message, first_line, name)
    lone = _lone_carriage_return(view, quotes, final)
    if lone is not None and (bad is None or lone < bad) and (not len(ends) or lone < ends[-1]):
        ends = ends[ends <= lone]
        error = _carriage_return_error(line_at(data, lone, first_line), name)
    return _block(data, view, quotes, line_feeds, ends, ord(delimiter), first_line, error)


def _block(
    data: bytes,
    view: Bytes,
    quotes: IntArray,
    line_feeds: IntArray,
    ends: IntArray,
    delimiter: int,
    first_line: int,
    error: DataError | None,
) -> Block:
    """Count what the records hold."""
    starts = np.concatenate(([0], ends[:-1])).astype(np.int64)[: len(ends)]
    cut = int(ends[-1]) if len(ends) else 0
    delimiters = _outside(np.flatnonzero(view[:cut] == delimiter), quotes)
    before = np.searchsorted(delimiters, ends)
    broken = (view[ends - 1] == _LF) & (ends > starts)
    with_return = broken & (ends - starts >= 2) & (view[np.maximum(ends - 2, 0)] == _CR)
    return Block(
        data=data[:cut],
        starts=starts,
        ends=ends,
        lines=first_line + np.searchsorted(line_feeds, starts),
        fields=np.diff(before, prepend=0) + 1,
        blank=(ends - starts - broken - with_return) == 0,
        carriage_returns=int(with_return.sum()),
        error=error,
    )


def _outside(positions: IntArray, quotes: IntArray) -> IntArray:
    """Return the positions that are outside quotes."""
    if not len(quotes):
        return positions
    outside: IntArray = positions[np.searchsorted(quotes, positions) & 1 == 0]
    return outside


def _first_malformed(view: Bytes, quotes: IntArray, delimiter: int, final: bool) -> tuple[int | None, str]:
    """Return the offset of the first quote that stands where none may, and what is wrong with it."""
    opening, closing = quotes[0::2], quotes[1::2]
    before = view[np.maximum(opening - 1, 0)]
    opens = (opening == 0) | (before == delimiter) | (before == _LF) | (before == _QUOTE)
    last = len(view) - 1
    after = view[np.minimum(closing + 1, last)] if len(view) else view
    second = view[np.minimum(closing + 2, last)] if len(view) else view
    returns = (after == _CR) & ((second == _LF) | (closing + 1 >= last))
    closes = (closing == last) | (after == delimiter) | (after == _LF) | (after == _QUOTE) | returns
    stray, torn = opening[~opens], closing[~closes]
    candidates = [
        (int(found[0]), message) for found, message in ((stray, "stray"), (torn, "torn")) if len(found)
    ]
    if candidates:
        return min(candidates)
    if final and len(quotes) % 2:
        return int(quotes[-1]), "open"
    return None, ""


def _lone_carriage_return(view: Bytes, quotes: IntArray, final: bool) -> int | None:
    """Return the offset of the first CR outside quotes that no LF follows."""
    returns = _outside(np.flatnonzero(view == _CR), quotes)
    if not len(returns):
        return None
    last = len(view) - 1
    lone = np.where(returns == last, final, view[np.minimum(returns + 1, last)] != _LF)
    found = returns[lone.astype(bool)]
    return int(found[0]) if len(found) else None


def _quote_error(data: bytes, quotes: IntArray, bad: int, what: str, first_line: int, name: str) -> DataError:
    line = line_at(data, bad, first_line)
    plain = "or read quotes as plain characters with --quote none"
    if what == "stray":
        return DataError(
            "found '\"' inside a field that does not start with one",
            file=name,
            line=line,
            remedy=f"put the field in quotes and double the quotes in it, {plain}",
        )
    if what == "torn":
        opened = line_at(data, int(quotes[np.searchsorted(quotes, bad) - 1]), first_line)
        return DataError(
            f"found text after the '\"' that closes the field opened in line {opened}, "
            "expected a delimiter or a line break",
            file=name,
            line=line,
            remedy=f"double the quotes in the field, {plain}",
        )
    return DataError(
        "the quote that opens a field here is never closed",
        file=name,
        line=line,
        remedy=f"close it, {plain}",
    )


def _carriage_return_error(line: int, name: str) -> DataError:
    return DataError(
        "found a carriage return (CR) alone outside quotes, expected line breaks LF or CR LF",
        file=name,
        line=line,
        remedy="convert the line breaks: tr '\\r' '\\n' < FILE > NEW",
    )


def _endless(
    block: Block, pending: bytes, cut: int, line: int, name: str, quoted: bool, max_record_bytes: int
) -> Block:
    """Return the block with an error for a record whose end is not in sight."""
    rest = pending[cut:]
    line = line_at(pending, cut, line)
    message = f"the record is longer than {len(rest):,} bytes, the limit is {max_record_bytes:,}"
    remedy = "raise the limit with --max-record-bytes, or shorten the record"
    if quoted and rest.count(b'"') % 2:
        opened = line_at(rest, rest.rindex(b'"'), line)
        message += f"; the quote opened in line {opened} may never be closed"
    error = DataError(message, file=name, line=line, remedy=remedy)
    return dataclasses.replace(block, error=error)
