"""Calls about files: uploads that are read while they are sent, downloads that appear whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from modwright.client.answers import File, read
from modwright.client.calls import health
from modwright.client.failures import Reply, failure
from modwright.client.flow import Flow, Request, Send, Stream, call, done, exchange, pages, path
from modwright.errors import IntegrityError, NotFoundError, TooLargeError, UnavailableError, UsageError
from modwright.files import sha256_file, staged_file

#: Bytes that went or came so far, and of how many.
Progress = Callable[[int, int], None]

_PIECE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Form:
    """A file as a multipart form, read anew from its path for each attempt.

    Attributes:
        source: the file.
        filename: as the server will know it.
        fields: the form's fields, before the file.
        size: bytes of the file, when it was looked at.
    """

    source: Path
    filename: str
    fields: tuple[tuple[str, str], ...]
    size: int
    boundary: str
    progress: Progress | None = None

    @property
    def name(self) -> str:
        """Return the file as the user named it."""
        return str(self.source)

    @property
    def content_type(self) -> str:
        """Return the media type, with what separates the parts."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def length(self) -> int:
        """Return the bytes of the whole form."""
        return len(self._head) + self.size + len(self._tail)

    def pieces(self) -> Iterator[bytes]:
        """Give the form's bytes; raises UsageError where the file is not as long as it was."""
        yield self._head
        sent = 0
        with self.source.open("rb") as stream:
            while piece := stream.read(_PIECE_BYTES):
                sent += len(piece)
                if sent > self.size:
                    raise self._changed()
                yield piece
                if self.progress is not None:
                    self.progress(sent, self.size)
        if sent != self.size:
            raise self._changed()
        yield self._tail

    def _changed(self) -> UsageError:
        return UsageError("changed while it was sent", where=self.name, remedy="send it when it is complete")

    @property
    def _head(self) -> bytes:
        parts = [f'name="{key}"\r\n\r\n{value}\r\n' for key, value in self.fields]
        kind = "content-type: application/octet-stream"
        parts.append(f'name="file"; filename="{_quoted(self.filename)}"\r\n{kind}\r\n\r\n')
        return "".join(
            f"--{self.boundary}\r\ncontent-disposition: form-data; {part}" for part in parts
        ).encode(errors="replace")

    @property
    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()


def _quoted(name: str) -> str:
    """Return a file's name as forms of browsers write it."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def upload(
    source: str | os.PathLike[str],
    *,
    purpose: str = "fine-tune",
    filename: str | None = None,
    expires_in_hours: int | None = None,
    invalid_sample_skip_percentage: float | None = None,
    progress: Progress | None = None,
) -> Flow[File]:
    """Send a file; the server checks one to train on, line by line."""
    place = Path(source)
    if not place.is_file():
        raise NotFoundError(f"no file '{place}'", remedy="name a file of rows, one JSON object a line")
    fields = {"purpose": purpose}
    if expires_in_hours is not None:
        fields["expiry"] = str(expires_in_hours)
    if invalid_sample_skip_percentage is not None:
        fields["invalid_sample_skip_percentage"] = str(invalid_sample_skip_percentage)
    form = Form(
        source=place,
        filename=filename if filename is not None else place.name,
        fields=tuple(fields.items()),
        size=place.stat().st_size,
        boundary=uuid.uuid4().hex,
        progress=progress,
    )
    return _sent(form)


def _sent(form: Form) -> Flow[File]:
    try:
        # The same content under the same name is the same file there, so that sending it twice is no harm.
        file = yield from call(Request("POST", "/v1/files", body=form, slow=True), _file)
    except UnavailableError:
        yield from _explain(form)
        raise
    return file


def _explain(form: Form) -> Flow[None]:
    """Find out why sending a file broke off: who hangs up on a large body is often not heard saying why.

    Raises:
        ModwrightError: the server would refuse any upload of this key, or one as large as this.
    """
    nothing = replace(form, size=0, fields=(), source=Path(os.devnull), progress=None)
    outcome = yield Send(Request("POST", "/v1/files", body=nothing))
    if isinstance(outcome, Reply) and outcome.status in (401, 403, 404, 429):
        raise failure(outcome)
    most = (yield from health()).max_upload_bytes
    if form.length > most:
        raise TooLargeError(
            f"is {form.size:,} bytes, the server takes uploads of {most:,}",
            where=form.name,
            remedy="split it; a job may have several files",
        )


def list_files(purpose: str | None, search: str | None) -> Stream[File]:
    """List files, newest first."""
    chosen = [(key, value) for key, value in (("purpose", purpose), ("search", search)) if value is not None]

    def page(after: str | None, limit: int) -> Request:
        behind = [] if after is None else [("after", after)]
        return Request("GET", "/v1/files", query=(*chosen, ("limit", str(limit)), *behind))

    return pages(page, _file, lambda file: file.id)


def get_file(file_id: str) -> Flow[File]:
    """Show one file."""
    return call(Request("GET", path("v1", "files", file_id)), _file)


def delete_file(file_id: str) -> Flow[None]:
    """Delete a file."""
    return call(Request("DELETE", path("v1", "files", file_id)), done)


@dataclass
class Landing:
    """Writes an answer's body to a file that stands aside until all of it is there."""

    stream: BinaryIO
    progress: Progress | None
    _total: int | None = None

    def begin(self, total: int | None) -> None:
        """Forget what an earlier attempt wrote."""
        self.stream.seek(0)
        self.stream.truncate()
        self._total = total

    def write(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.stream.write(piece)
        if self.progress is not None:
            written = self.stream.tell()
            self.progress(written, written if self._total is None else self._total)


def download(
    file_id: str, destination: str | os.PathLike[str], *, replace: bool, progress: Progress | None
) -> Flow[Path]:
    """Fetch a file's bytes to a path, or into a folder under its own name; checked against its sha256."""
    file = yield from get_file(file_id)
    place = Path(destination)
    if place.is_dir():
        place /= Path(file.filename.replace("\\", "/")).name or file.id  # a name from elsewhere is no path
    if place.exists() and not replace:
        raise UsageError(
            "exists already", where=str(place), remedy="choose another path, or say that it may be replaced"
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    with staged_file(place) as staging:
        with staging.open("wb") as stream:
            landing = Landing(stream, progress)
            yield from exchange(
                Request("GET", path("v1", "files", file_id, "content"), sink=landing, slow=True)
            )
        _verify(staging, file)
    return place


def _verify(staging: Path, file: File) -> None:
    if file.sha256 is not None and sha256_file(staging) != file.sha256:
        raise IntegrityError(
            "what came is not what was uploaded: its sha256 differs",
            where=f"file {file.id}",
            remedy="fetch it again",
        )


def _file(document: object) -> File:
    return read(File, document)
