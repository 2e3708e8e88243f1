"""Bytes of a text file in chunks of UTF-8: marks, encodings and foreign formats are told, not guessed."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from modwright.data.options import Progress, Reading
from modwright.data.problems import Problems
from modwright.errors import DataError, UsageError

CHUNK_BYTES = 16 << 20
_UTF8_BOM = codecs.BOM_UTF8
_UTF16_BOMS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_FOREIGN = {
    b"\x1f\x8b": ("gzip-compressed data", "unpack it first: gunzip FILE"),
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "unpack it, or save the sheet as CSV in UTF-8"),
    b"\x28\xb5\x2f\xfd": ("Zstandard-compressed data", "unpack it first: zstd -d FILE"),
    b"\xfd7zXZ\0": ("xz-compressed data", "unpack it first: unxz FILE"),
    b"BZh": ("bzip2-compressed data", "unpack it first: bunzip2 FILE"),
    b"PAR1": ("a Parquet file", "let its name end in .parquet"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save the sheet as CSV in UTF-8"),
}
_SHARE_OF_ANOTHER_SCRIPT = 0.3


def utf8_chunks(
    path: Path, name: str, reading: Reading, notes: list[str], progress: Progress | None = None
) -> Iterator[bytes]:
    """Yield the file's bytes as UTF-8 without byte-order mark; chunks end anywhere, the last is empty.

    Args:
        path: the file.
        name: how errors call it.
        reading: its `encoding`; for utf-8 the bytes come through unchecked, see `check_utf8`.
        notes: a byte-order mark is noted here.
        progress: told the bytes read so far.

    Raises:
        DataError: missing, empty, of another format or encoding, or with bytes the encoding does not have.
    """
    try:
        stream = path.open("rb")
        size = path.stat().st_size
    except FileNotFoundError:
        raise DataError("no such file", file=name, remedy="check the path") from None
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}", file=name, remedy="name a readable file"
        ) from None
    with stream:
        yield from _stripped(_decoded(stream, size, name, reading.encoding, progress), name, notes)


def _decoded(
    stream: BinaryIO, size: int, name: str, encoding: str, progress: Progress | None
) -> Iterator[bytes]:
    """Yield chunks of UTF-8 bytes, each a whole number of characters unless the file is UTF-8 already."""
    decoder = None if _codec(encoding) == "utf-8" else codecs.getincrementaldecoder(encoding)("strict")
    first, line, done = True, 1, 0
    while True:
        chunk = stream.read(CHUNK_BYTES)
        if first:
            _refuse_foreign(chunk, name, utf8=decoder is None)
            first = False
        done += len(chunk)
        if progress is not None:
            progress(name, done, size)
        if decoder is not None:
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeError as error:
                raise _undecodable(error, name, encoding, line) from None
            line += text.count("\n")
            yield text.encode("utf-8", "surrogatepass")
        elif chunk:
            yield chunk
        if not chunk:
            return


def _codec(encoding: str) -> str:
    """Return the codec's canonical name; raises UsageError for one that Python does not have."""
    try:
        codec = codecs.lookup(encoding)
        b"".decode(encoding)
    except (LookupError, UnicodeError):
        raise UsageError(
            f"--encoding is {encoding!r}, expected a known encoding",
            remedy="such as utf-8, utf-16, windows-1252, latin-1 or gb18030",
        ) from None
    return "utf-8" if codec.name in ("utf-8", "utf-8-sig") else codec.name


def _undecodable(error: UnicodeError, name: str, encoding: str, line: int) -> DataError:
    found = "bytes"
    if isinstance(error, UnicodeDecodeError):
        found = f"byte 0x{error.object[error.start]:02x}"
        # The error's own codec knows the byte order, which only the file's first bytes tell.
        codec = encoding if error.encoding == "charmap" else error.encoding
        line += error.object[: error.start].decode(codec, "replace").count("\n")
    return DataError(
        f"found {found}, which {encoding} does not have",
        file=name,
        line=line,
        remedy="give the file's real --encoding",
    )


def _refuse_foreign(head: bytes, name: str, *, utf8: bool) -> None:
    """Raise DataError where the first bytes say that this is no UTF-8 text."""
    if not head.removeprefix(_UTF8_BOM):
        raise DataError("is empty, expected at least one row", file=name, remedy="give a file with rows")
    for magic, (what, remedy) in _FOREIGN.items():
        if head.startswith(magic):
            raise DataError(f"is {what}, expected text", file=name, remedy=remedy)
    if not utf8:
        return
    for mark, encoding in _UTF16_BOMS.items():
        if head.startswith(mark):
            shown = " ".join(f"0x{byte:02x}" for byte in mark)
            raise DataError(
                f"starts with {shown}, the byte-order mark of {encoding.upper()}, expected UTF-8",
                file=name,
                line=1,
                remedy=f"give --encoding {encoding}",
            )
    halves = (head[0:200:2], head[1:200:2])
    if len(head) >= 4 and any(not half.strip(b"\0") for half in halves):
        side = "utf-16-be" if head[0] == 0 else "utf-16-le"
        raise DataError(
            "every second byte is NUL: this is UTF-16 without a byte-order mark, expected UTF-8",
            file=name,
            line=1,
            remedy=f"give --encoding {side}",
        )


def _stripped(chunks: Iterator[bytes], name: str, notes: list[str]) -> Iterator[bytes]:
    """Pass chunks on without a leading byte-order mark; a file of nothing else is empty."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(_UTF8_BOM) or not chunk:
            break
    if head.startswith(_UTF8_BOM):
        head = head[len(_UTF8_BOM) :]
        notes.append("a byte-order mark at the start was left out")
    if head:
        yield head
    yield from chunks
    yield b""


def without_lines(chunks: Iterator[bytes], number: int) -> Iterator[bytes]:
    """Leave out the first physical lines."""
    for chunk in chunks:
        while number and chunk:
            _, found, rest = chunk.partition(b"\n")
            number -= bool(found)
            chunk = rest
        if chunk:
            yield chunk
    yield b""


def line_at(block: bytes, offset: int, first_line: int) -> int:
    """Return the 1-based line of a byte."""
    return first_line + block.count(b"\n", 0, offset)


def check_utf8(block: bytes, first_line: int, name: str) -> None:
    """Raise DataError that names byte, line, likely encoding and remedy, unless the block is UTF-8."""
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        encoding = likely_encoding(block)
        message = f"byte 0x{block[error.start]:02x} is not valid UTF-8"
        if encoding is None:
            remedy = "most of the file is UTF-8 and this place is damaged: repair the line"
        else:
            message += f"; the file looks like {encoding}"
            remedy = f"give --encoding {encoding}"
        line = line_at(block, error.start, first_line)
        raise DataError(message, file=name, line=line, remedy=remedy) from None


def likely_encoding(block: bytes) -> str | None:
    """Return the likely encoding of bytes that are not UTF-8; None for UTF-8 with damaged places."""
    if any(ord(character) > 127 for character in block.decode("utf-8", "ignore")):
        return None
    high = sum(byte >= 0x80 for byte in block[:100_000])
    letters = sum(chr(byte).isalpha() for byte in block[:100_000] if byte < 0x80)
    for encoding in ("windows-1252", "shift_jis", "gb18030", "big5"):
        try:
            block.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "windows-1252" and high > _SHARE_OF_ANOTHER_SCRIPT * (high + letters):
            return "windows-1251"
        return encoding
    return "latin-1"


def add_nuls(block: bytes, first_line: int, name: str, problems: Problems) -> bool:
    """Add a problem for every line that holds a NUL byte; return whether there was one."""
    offset = block.find(b"\0")
    found = offset >= 0
    while offset >= 0:
        problems.add(
            "found a NUL byte, expected text",
            file=name,
            line=line_at(block, offset, first_line),
            remedy="remove it (tr -d '\\000' < FILE), or give --encoding utf-16-le for such a file",
        )
        end = block.find(b"\n", offset)
        offset = block.find(b"\0", end) if end >= 0 and problems.room else -1
    return found
