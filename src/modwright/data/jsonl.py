"""JSONL: one object per line, read line by line in bounded memory; every error has its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from modwright.data.options import Meaning, Progress, Reading
from modwright.data.problems import Problems
from modwright.data.rows import RowCollector
from modwright.data.statements import found
from modwright.data.strict_json import decode, lone_surrogate
from modwright.data.tables import FileRows
from modwright.data.textual import check_utf8, utf8_chunks, without_lines
from modwright.errors import DataError

_MAYBE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ONE_PER_LINE = "write one complete object per line: jq -c . FILE > NEW.jsonl"


def read_jsonl(
    path: Path,
    name: str,
    reading: Reading,
    meaning: Meaning,
    problems: Problems,
    progress: Progress | None = None,
) -> FileRows:
    """Read a JSONL file; what is wrong with single lines is added to `problems`.

    Raises:
        DataError: the file as a whole cannot be read: encoding, a JSON array, no rows.
    """
    collector, notes = RowCollector(name, meaning, problems), list[str]()
    gather_jsonl(path, reading, collector, notes, progress)
    return collector.finish(notes)


def gather_jsonl(
    path: Path,
    reading: Reading,
    collector: RowCollector,
    notes: list[str],
    progress: Progress | None = None,
) -> None:
    """Give every line of a JSONL file to a collector; raises as `read_jsonl` does."""
    name, problems = collector.name, collector.problems
    chunks = utf8_chunks(path, name, reading, notes, progress)
    if reading.skip_lines:
        chunks = without_lines(chunks, reading.skip_lines)
    blank = 0
    for line, raw in _lines(chunks, name, reading, problems):
        if not raw.strip():
            blank += 1
            continue
        if not len(collector.lines) and raw.lstrip().startswith(b"["):
            raise DataError(
                "is a JSON array, expected one object per line",
                file=name,
                line=line,
                remedy="unpack it: jq -c '.[]' FILE > NEW.jsonl",
            )
        try:
            collector.add(line, _parsed(raw, name, line))
        except DataError as error:
            problems.add_error(error)
        if reading.max_rows is not None and len(collector.lines) >= reading.max_rows:
            break
    if not len(collector.lines) and not problems.total:
        raise DataError("is empty, expected at least one row", file=name, remedy="give a file with rows")
    if blank:
        notes.append(f"{blank:,} blank line{'s were' if blank > 1 else ' was'} left out")


def _lines(
    chunks: Iterable[bytes], name: str, reading: Reading, problems: Problems
) -> Iterator[tuple[int, bytes]]:
    """Yield line number and bytes; a line above the limit is a problem and is not held in memory."""
    limit, line = reading.max_record_bytes, reading.skip_lines + 1
    pending, dropped = b"", 0
    for chunk in chunks:
        *whole, rest = (pending + chunk).split(b"\n")
        # The end of a line that is being dropped may begin within a character.
        sound = bool(dropped)
        if whole:
            check_utf8(b"\n".join(whole[sound:]), line + sound, name)
        elif not chunk and not dropped:
            check_utf8(rest, line, name)
        for raw in whole if chunk else [*whole, rest]:
            size, dropped = len(raw) + dropped, 0
            if size > limit:
                problems.add(
                    f"the line has {size:,} bytes, the limit is {limit:,}",
                    file=name,
                    line=line,
                    remedy="raise the limit with --max-record-bytes, or shorten the record",
                )
            elif chunk or raw:
                yield line, raw
            line += 1
        if len(rest) + dropped > limit:
            dropped, rest = dropped + len(rest), b""
        pending = rest


def _parsed(raw: bytes, name: str, line: int) -> dict[str, Any]:
    """Parse one line; raises DataError for anything but one JSON object of sound text."""

    def wrong(message: str, remedy: str, field: str | None = None) -> DataError:
        return DataError(message, file=name, line=line, field=field, remedy=remedy)

    if b"\0" in raw:
        raise wrong("found a NUL byte, expected text", "remove it (tr -d '\\000' < FILE)")
    if b"\r" in raw.rstrip(b"\r"):
        remedy = "convert the line breaks: tr '\\r' '\\n' < FILE > NEW"
        raise wrong("found a carriage return (CR) alone, expected line breaks LF or CR LF", remedy)
    try:
        record = decode(raw.decode())
    except json.JSONDecodeError as error:
        raise wrong(f"is not valid JSON: {error.msg} at column {error.colno}", _ONE_PER_LINE) from None
    except ValueError as error:
        raise wrong(str(error), "each key once per object, and finite numbers of ordinary size") from None
    except RecursionError:
        raise wrong("is nested too deeply, expected an object of a few levels", "flatten it") from None
    if not isinstance(record, dict):
        raise wrong(f"found {found(record)}, expected an object", _ONE_PER_LINE)
    if _MAYBE_SURROGATE.search(raw):
        place, character = lone_surrogate(record, "")
        if character:
            shown = f"\\u{ord(character):04x}"
            raise wrong(
                f"found the lone surrogate {shown}, expected text",
                "write characters beyond U+FFFF as a pair, or as UTF-8",
                place,
            )
    return record
