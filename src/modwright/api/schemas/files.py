"""Bodies of files: one object that Mistral's clients and OpenAI's both read; the upload's fields, the list's query."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError
from starlette.datastructures import QueryParams

from modwright.api.schemas.native import Strict, parse
from modwright.errors import RequestError, UnprocessableError, nearest
from modwright.storage.files import FileRow
from modwright.storage.paging import Paged

FINE_TUNE = "fine-tune"
#: Purposes whose files are stored as they are.
_UNCHECKED = ("user_data", "evals")
#: Purposes of the hosted APIs that nothing here serves.
_UNSERVED = ("agentic_safety", "assistants", "batch", "ocr", "vision")
_SUFFIXES = ("", ".jsonl", ".ndjson")
_PACKED = (".gz", ".zip", ".zst", ".bz2", ".xz", ".tgz", ".tar", ".7z", ".rar")
MAX_FILENAME = 500
MAX_PAGE = 10_000
MAX_EXPIRY_HOURS = 24 * 366 * 10
_HOUR_S = 3_600
_SECONDS_KEYS = re.compile(r"expires_after\[(anchor|seconds)\]")

_Text = Annotated[str, Field(max_length=500)]
_Texts = Annotated[list[_Text], Field(max_length=20)]


class ExpiresAfter(Strict):
    """OpenAI's form of an expiry."""

    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=1, le=MAX_EXPIRY_HOURS * _HOUR_S)]


class UploadFields(Strict):
    """The fields of the form beside the file."""

    purpose: str = FINE_TUNE
    expiry: Annotated[int, Field(ge=1, le=MAX_EXPIRY_HOURS)] | None = Field(
        default=None, description="Hours until the file is gone."
    )
    expires_after: ExpiresAfter | None = None
    visibility: Literal["workspace", "user"] = "workspace"
    invalid_sample_skip_percentage: Annotated[float, Field(ge=0, le=0.5)] | None = Field(
        default=None,
        description="Share of the records that may be wrong; training leaves them out. The server's own where absent.",
    )

    @model_validator(mode="after")
    def _one_expiry(self) -> UploadFields:
        if self.expiry is not None and self.expires_after is not None:
            raise PydanticCustomError("twice", "has both 'expiry' and 'expires_after'; give one")
        return self

    @property
    def expires_after_s(self) -> int | None:
        """Return the seconds until the file is gone; None keeps it."""
        if self.expires_after is not None:
            return self.expires_after.seconds
        return None if self.expiry is None else self.expiry * _HOUR_S

    @property
    def checked(self) -> bool:
        """Return whether the file has to be training data."""
        return self.purpose == FINE_TUNE


#: Names of the parts beside the file.
UPLOAD_FIELDS = (
    "purpose",
    "expiry",
    "expires_after[anchor]",
    "expires_after[seconds]",
    "visibility",
    "invalid_sample_skip_percentage",
)


def upload_fields(given: Mapping[str, str]) -> UploadFields:
    """Read the form's fields.

    Raises:
        InvalidBodyError: a value does not fit.
        UnprocessableError: nothing here serves files of that purpose.
        RequestError: there is no such purpose.
    """
    values: dict[str, Any] = {}
    for key, value in given.items():
        below = _SECONDS_KEYS.fullmatch(key)
        place, name = (values.setdefault("expires_after", {}), below[1]) if below else (values, key)
        place[name] = value
    fields = parse(UploadFields, values)
    _check_purpose(fields.purpose)
    return fields


def _check_purpose(purpose: str) -> None:
    known = (FINE_TUNE, *_UNCHECKED)
    if purpose in known:
        return
    if purpose in _UNSERVED:
        raise UnprocessableError(
            f"files of the purpose '{purpose}' are of no use here: nothing on this server reads them",
            where="purpose",
            remedy=f"known: {', '.join(known)}",
        )
    raise RequestError(
        f"unknown purpose '{purpose[:100]}'", where="purpose", remedy=nearest(purpose[:100], known)
    )


def check_filename(name: str, fields: UploadFields) -> None:
    """Refuse a name that is empty or too long, or whose ending says that it is no training data.

    Raises:
        RequestError: the name, or what it says the file is, cannot be taken.
    """
    if not name.strip():
        raise RequestError("has an empty filename", where="file", remedy="name it, such as train.jsonl")
    if len(name) > MAX_FILENAME:
        found = f"has a filename of {len(name)} characters, at most {MAX_FILENAME} are taken"
        raise RequestError(found, where="file", remedy="shorten it")
    suffix = PurePosixPath(name.replace("\\", "/")).suffix.lower()
    if not fields.checked or suffix in _SUFFIXES:
        return
    remedy = "convert it: modwright data import FILE --out D, then modwright data export D --out OUT"
    if suffix in _PACKED:
        remedy = "unpack it first: compressed files are not taken"
    raise RequestError(f"ends in '{suffix[:20]}', expected plain .jsonl", where="file", remedy=remedy)


def mimetype_of(announced: str, fields: UploadFields) -> str:
    """Return what kind of file it is shown as."""
    if fields.checked:
        return "application/jsonl"
    return announced or "application/octet-stream"


class FileQuery(Strict):
    """Of `GET /v1/files`: Mistral's pages and filters, or OpenAI's cursor."""

    page: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 100
    include_total: bool = True
    sample_type: _Texts = Field(default_factory=list)
    source: _Texts = Field(default_factory=list)
    search: _Text | None = Field(default=None, description="Part of the filename, in any case.")
    purpose: _Text | None = None
    mimetypes: _Texts = Field(default_factory=list)
    after: _Text | None = Field(
        default=None, description="A file's id: the page begins behind it, whatever `page` says."
    )
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] | None = Field(
        default=None, description="The same as page_size."
    )
    order: Literal["asc", "desc"] = Field(default="desc", description="By age; desc is newest first.")


class LinkQuery(Strict):
    """Of `GET /v1/files/{id}/url`."""

    expiry: Annotated[int, Field(ge=1, le=24 * 7)] = Field(
        default=24, description="Hours for which the address works."
    )


_LISTS = ("sample_type", "source", "mimetypes")


def file_query(given: QueryParams) -> FileQuery:
    """Read the list's query; raises RequestError for unknown keys, values that do not fit, or a key given twice."""
    values: dict[str, Any] = {}
    for key, value in given.multi_items():
        name = key.removesuffix("[]")
        if "\0" in key or "\0" in value:
            raise RequestError("holds a NUL character", where=key.replace("\0", "")[:100])
        if name in _LISTS:
            values.setdefault(name, []).append(value)
        elif key in values:
            raise RequestError("is given twice", where=key[:100])
        else:
            values[key] = value
    return parse(FileQuery, values)


class FileBody(BaseModel):
    """A file, with every key either client family needs."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    filename: str
    purpose: str
    sample_type: str
    source: str
    num_lines: int | None
    mimetype: str | None
    signature: str = Field(description="The first 16 hexadecimal digits of `sha256`.")
    sha256: str
    visibility: str | None
    expires_at: int | None
    deleted: bool
    status: Literal["processed"]
    status_details: None
    summary: dict[str, Any] | None = Field(
        description="What the check found: targets with kind and labels, lines, skipped, characters, and the first "
        "problems of what is skipped."
    )


class FileList(BaseModel):
    """A page of files."""

    object: Literal["list"]
    data: list[FileBody]
    total: int
    has_more: bool
    first_id: str | None
    last_id: str | None


class DeletedFile(BaseModel):
    """A file that is gone."""

    id: str
    object: Literal["file"]
    deleted: Literal[True]


class FileLink(BaseModel):
    """An address at which a file can be had without a key, for some time."""

    url: str
    expires_at: int


def file_body(row: FileRow) -> dict[str, Any]:
    """Return a file's body in both dialects."""
    return {
        "id": row.id,
        "object": "file",
        "bytes": row.bytes,
        "created_at": int(row.created_at),
        "filename": row.filename,
        "purpose": row.purpose,
        "sample_type": row.sample_type,
        "source": row.source,
        "num_lines": row.num_lines,
        "mimetype": row.mimetype,
        "signature": row.sha256[:16],
        "sha256": row.sha256,
        "visibility": row.visibility,
        "expires_at": None if row.expires_at is None else int(row.expires_at),
        "deleted": False,
        "status": "processed",
        "status_details": None,
        "summary": None if row.summary is None else dict(row.summary),
    }


def file_list(found: Paged[FileRow]) -> dict[str, Any]:
    """Return a page's body; `first_id` and `last_id` are None on an empty one."""
    return {
        "object": "list",
        "data": [file_body(row) for row in found.rows],
        "total": found.total,
        "has_more": found.has_more,
        "first_id": found.rows[0].id if found.rows else None,
        "last_id": found.rows[-1].id if found.rows else None,
    }
