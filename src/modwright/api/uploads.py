"""Multipart bodies taken apart while they stream: fields are kept, the file goes straight on, memory stays flat."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from modwright.api.routes.common import ClientGoneError
from modwright.errors import ModwrightError, RequestError, nearest

ResultT = TypeVar("ResultT")

#: Name of the part that is the file.
FILE = "file"
_MAX_PARTS = 16
_MAX_FIELD_BYTES = 4_096
_MAX_NAME_BYTES = 200
_MAX_PART_HEADERS = 8
#: A name of the longest that is taken (see `_MAX_FILENAME`) in four bytes a character fits.
_MAX_HEADER_BYTES = 8_000
#: Each costs the header's parser a walk over those before it.
_MAX_SEMICOLONS = 1_000
#: So much is gathered before a thread writes it.
_WRITE_BYTES = 256 << 10
#: An answer that comes while the client is still sending may be lost; so long the rest is read and dropped.
_DRAIN_S = 5.0
_PLAIN_ENCODINGS = ("", "7bit", "8bit", "binary")


@dataclass(frozen=True, slots=True)
class Form:
    """A form with one file.

    Attributes:
        fields: name to text of the other parts.
        filename: as the client gave it: data, never a path.
        mimetype: what the client says the file is; empty where it says nothing.
    """

    fields: dict[str, str]
    filename: str
    mimetype: str


@dataclass(slots=True)
class _Part:
    """The part that is being read."""

    headers: dict[str, bytes] = field(default_factory=dict)
    name: str = ""
    is_file: bool = False
    value: bytearray = field(default_factory=bytearray)


class FormReader:
    """Takes a multipart body apart, pushed to it in pieces that may end anywhere.

    Args:
        content_type: the request's header, with the boundary.
        known: names of the fields there may be beside the file.
        begin: told the fields so far and the file's name before its first byte; what it raises goes through.

    Raises:
        HTTPException: 415, the content type is not multipart/form-data.
        RequestError: it has no usable boundary.
    """

    def __init__(
        self, content_type: str, known: tuple[str, ...], begin: Callable[[dict[str, str], str], None]
    ) -> None:
        self._known, self._begin = known, begin
        self._fields: dict[str, str] = {}
        self._filename: str | None = None
        self._mimetype = ""
        self._part, self._parts = _Part(), 0
        self._header = (bytearray(), bytearray())
        self._pieces: list[bytes] = []
        self._ended = False
        self._parser = self._made_parser(_boundary(content_type))

    def _made_parser(self, boundary: bytes) -> MultipartParser:
        callbacks = {
            "on_part_begin": self._on_part,
            "on_header_begin": self._on_header,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }
        limits: dict[str, Any] = {"max_header_count": _MAX_PART_HEADERS, "max_header_size": _MAX_HEADER_BYTES}
        try:
            return MultipartParser(boundary, callbacks, **limits)
        except FormParserError:
            raise RequestError("the boundary in content-type is too long, at most 256 bytes") from None

    def feed(self, data: bytes) -> list[bytes]:
        """Read on; return the pieces of the file that came.

        Raises:
            RequestError: the form is malformed or beyond a limit, or `begin` refused the file.
        """
        try:
            self._parser.write(data)
        except FormParserError:
            raise _malformed("it does not keep to its own boundary and headers") from None
        pieces, self._pieces = self._pieces, []
        return pieces

    def finish(self) -> Form:
        """Return the form; raises RequestError where its end or its file is missing."""
        if not self._ended:
            raise _malformed("its closing boundary is missing: it was broken off")
        if self._filename is None:
            raise RequestError("is missing", where=FILE, remedy="send the file as a part with a filename")
        return Form(self._fields, self._filename, self._mimetype)

    def _on_part(self) -> None:
        self._part, self._parts = _Part(), self._parts + 1
        if self._parts > _MAX_PARTS:
            raise RequestError(f"the form has more than {_MAX_PARTS} parts")

    def _on_header(self) -> None:
        self._header = (bytearray(), bytearray())

    def _on_header_end(self) -> None:
        name = self._header[0].decode("ascii").lower()
        if name in self._part.headers:
            raise _malformed(f"a part has the header '{name[:100]}' twice")
        self._part.headers[name] = bytes(self._header[1])

    def _on_headers(self) -> None:
        part = self._part
        disposition = part.headers.get("content-disposition", b"")
        if disposition.count(b";") > _MAX_SEMICOLONS:
            raise _malformed(f"a header holds more than {_MAX_SEMICOLONS} semicolons")
        kind, options = parse_options_header(disposition)
        if kind != b"form-data" or b"name" not in options:
            raise _malformed("a part has no header 'content-disposition: form-data; name=...'")
        part.name = _text(options[b"name"], "the name of a part", _MAX_NAME_BYTES)
        encoding = part.headers.get("content-transfer-encoding", b"").decode("latin-1").strip().lower()
        if encoding not in _PLAIN_ENCODINGS:
            raise RequestError(
                f"is encoded as '{encoding[:40]}', expected plain bytes", where=part.name or None
            )
        self._refuse_twice(part.name)
        if part.name != FILE:
            if part.name not in self._known:
                hint = nearest(part.name, (FILE, *self._known))
                raise RequestError(f"unknown field ({hint})", where=part.name or None)
            return
        if b"filename" not in options:
            remedy = "send it as a file: curl -F file=@PATH"
            raise RequestError("is a text, expected a part with a filename", where=FILE, remedy=remedy)
        self._filename = _text(options[b"filename"], "the filename", _MAX_HEADER_BYTES)
        self._mimetype = _mimetype(part.headers.get("content-type", b""))
        part.is_file = True
        self._begin(dict(self._fields), self._filename)

    def _refuse_twice(self, name: str) -> None:
        if name in self._fields or (name == FILE and self._filename is not None):
            raise RequestError("is there twice, expected it once", where=name)

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._part.is_file:
            self._pieces.append(data[start:end])
            return
        self._part.value += data[start:end]
        if len(self._part.value) > _MAX_FIELD_BYTES:
            raise RequestError(f"has more than {_MAX_FIELD_BYTES} bytes", where=self._part.name)

    def _on_part_end(self) -> None:
        part = self._part
        if not part.is_file:
            self._fields[part.name] = _text(bytes(part.value), "the value", _MAX_FIELD_BYTES, part.name)

    def _on_end(self) -> None:
        self._ended = True


def _boundary(content_type: str) -> bytes:
    try:
        kind, options = parse_options_header(content_type)
    except UnicodeEncodeError:
        raise RequestError("the content-type header is not ASCII") from None
    if kind != b"multipart/form-data":
        shown = content_type.partition(";")[0].strip()[:100]
        raise HTTPException(415, f"content-type is '{shown}', expected multipart/form-data")
    if not options.get(b"boundary"):
        raise RequestError("the content-type header names no boundary")
    return bytes(options[b"boundary"])


def _text(raw: bytes, what: str, max_bytes: int, where: str | None = None) -> str:
    """Decode what a client wrote; any character may stand in it but NUL, which no database keeps."""
    if len(raw) > max_bytes:
        raise RequestError(f"{what} has {len(raw)} bytes, at most {max_bytes} are taken", where=where)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise RequestError(f"{what} is not UTF-8", where=where) from None
    if "\0" in text:
        raise RequestError(f"{what} holds a NUL character", where=where)
    return text


def _mimetype(raw: bytes) -> str:
    kind = raw.partition(b";")[0].strip().lower()
    plain = kind.isascii() and kind.decode("ascii").isprintable() and len(kind) <= 100
    return kind.decode("ascii") if plain else ""


def _malformed(why: str) -> RequestError:
    return RequestError(f"the multipart form is malformed: {why}")


async def receive_form(
    request: Request, reader: FormReader, write: Callable[[bytes], None], threads: ThreadPoolExecutor
) -> Form:
    """Read a request's form to its end; the file's bytes go to `write`, which is called in a thread.

    Raises:
        RequestError: see `FormReader`.
        ClientGoneError: the client hung up.
        HTTPException: 408 or 413, of the limits around every request.
        StorageError, StorageFullError: see `write`.
    """
    stream = request.stream()
    try:
        await _pass_on(stream, reader, write, threads)
        return reader.finish()
    except ClientDisconnect:
        raise ClientGoneError from None
    except (ModwrightError, OSError):
        await _drain(stream)
        raise


async def _pass_on(
    stream: AsyncIterator[bytes],
    reader: FormReader,
    write: Callable[[bytes], None],
    threads: ThreadPoolExecutor,
) -> None:
    held: list[bytes] = []
    size = 0
    async for chunk in stream:
        pieces = reader.feed(chunk)
        held += pieces
        size += sum(map(len, pieces))
        if size >= _WRITE_BYTES:
            await in_thread(partial(write, b"".join(held)), threads)
            held, size = [], 0
    if held:
        await in_thread(partial(write, b"".join(held)), threads)


async def _drain(stream: AsyncIterator[bytes]) -> None:
    with contextlib.suppress(TimeoutError, ClientDisconnect, HTTPException):
        async with asyncio.timeout(_DRAIN_S):
            async for _ in stream:
                pass


async def in_thread(
    work: Callable[[], ResultT], threads: ThreadPoolExecutor, on_cancel: Callable[[], None] | None = None
) -> ResultT:
    """Run work in a thread; being cancelled waits for it, so that what it uses can be given up afterwards.

    Args:
        work: what to do.
        threads: who does it.
        on_cancel: told when nobody wants the result any more, so that it may come sooner.
    """
    future = threads.submit(work)
    running = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if on_cancel is not None:
            on_cancel()
        if not future.cancel():
            await asyncio.wait([running])
            running.exception()  # nobody else will look at it
        raise
