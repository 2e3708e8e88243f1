"""`/v1/files`: uploads that stream, are checked and kept once; lists, content and addresses of what is kept."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, StreamingResponse

from modwright.api.auth import Principal, Scope, needs, principal
from modwright.api.errors import ErrorBody, InvalidBodyError, Problem
from modwright.api.factory import Factory
from modwright.api.routes.common import ClientGoneError, answers, factory, settings, unless_gone
from modwright.api.schemas.files import (
    UPLOAD_FIELDS,
    DeletedFile,
    FileBody,
    FileLink,
    FileList,
    FileQuery,
    LinkQuery,
    UploadFields,
    check_filename,
    file_body,
    file_list,
    file_query,
    mimetype_of,
    upload_fields,
)
from modwright.api.schemas.native import parse
from modwright.api.uploads import FILE, Form, FormReader, in_thread, receive_form
from modwright.errors import AuthenticationError, ModwrightError, RequestError
from modwright.jobs.file_summary import FileProblem, FileProblemsError, FileSummary
from modwright.storage.blobs import BlobWriter
from modwright.storage.files import FileFilters, FileRow, NewFile
from modwright.storage.paging import Cursor, Page

router = APIRouter(tags=["files"])

_OCTETS = "application/octet-stream"
_READ_BYTES = 1 << 20
_SHOWN_NAME = 200
#: What is written to disk at once; more would only stand in each other's way.
_WRITERS = 8
_LINK = "file-link"


class InvalidFileError(InvalidBodyError):
    """An uploaded file is no training data, with every problem that is listed (at least one)."""

    code = "invalid_data"

    def __init__(self, error: FileProblemsError) -> None:
        super().__init__([_problem(problem) for problem in error.problems])
        self.where, self.remedy = FILE, None
        self.message = str(error)
        if error.total > len(error.problems):
            self.message += f"; {len(error.problems)} of {error.total:,} problems are listed"


def _problem(problem: FileProblem) -> Problem:
    loc: list[str | int] = [FILE]
    loc += [problem.line] if problem.line is not None else []
    loc += [problem.field] if problem.field is not None else []
    line = "" if problem.line is None else f"line {problem.line}: "
    remedy = "" if problem.remedy is None else f" ({problem.remedy})"
    return Problem(tuple(loc), f"{line}{problem.message}{remedy}", InvalidFileError.code)


class _Threads:
    """Threads for uploads, apart from those of everything else: a long check holds nobody up."""

    def __init__(self, checks: int) -> None:
        self.writing = ThreadPoolExecutor(_WRITERS, "upload")
        self.checking = ThreadPoolExecutor(checks, "check")


def _threads(request: Request) -> _Threads:
    state = request.app.state
    if not hasattr(state, "upload_threads"):
        state.upload_threads = _Threads(factory(request).checker.parallel)
    found: _Threads = state.upload_threads
    return found


def _form_body() -> dict[str, Any]:
    """Return what tells OpenAPI of the form."""
    texts = {
        "purpose": {"type": "string", "default": "fine-tune", "enum": ["fine-tune", "user_data", "evals"]},
        "expiry": {"type": "integer", "minimum": 1, "description": "Hours until the file is gone."},
        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
        "expires_after[seconds]": {"type": "integer", "minimum": 1},
        "visibility": {"type": "string", "enum": ["workspace", "user"], "default": "workspace"},
        "invalid_sample_skip_percentage": {
            "type": "number",
            "minimum": 0,
            "maximum": 0.5,
            "description": "The server's own where absent, 0 unless its operator says otherwise.",
        },
    }
    file = {
        "type": "string",
        "contentMediaType": _OCTETS,
        "description": "With a filename; JSONL to train on.",
    }
    schema = {"type": "object", "required": [FILE], "properties": {FILE: file, **texts}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def _parameters(model: type[FileQuery] | type[LinkQuery]) -> dict[str, Any]:
    """Return what tells OpenAPI of a query that the route parses itself."""
    found = []
    for name, schema in model.model_json_schema()["properties"].items():
        told = {key: value for key, value in schema.items() if key not in ("title", "description", "default")}
        if "anyOf" in told:  # None is being left out
            told = next(choice for choice in told["anyOf"] if choice != {"type": "null"})
        parameter = {"name": name, "in": "query", "required": False, "schema": told}
        if "description" in schema:
            parameter["description"] = schema["description"]
        found.append(parameter)
    return {"parameters": found}


async def by_link(request: Request) -> None:
    """Let who has an address of `GET /v1/files/{id}/url` read that file, without a key.

    Raises:
        AuthenticationError: the address is of another file or server, was changed, or its time is over.
    """
    token = request.query_params.get("token")
    if token is None:
        return
    refused = AuthenticationError(
        "this address is not valid, or no longer", remedy="ask for another: GET .../url"
    )
    try:
        opened = await asyncio.to_thread(factory(request).sealer.open, token)
        kind, project_id, file_id, expires_at = json.loads(opened)
    except (ModwrightError, ValueError):
        raise refused from None
    if kind != _LINK or file_id != request.path_params["file_id"] or expires_at <= time.time():
        raise refused
    request.state.principal = Principal(project_id, None, frozenset({Scope.READ}))


@router.post(
    "/v1/files",
    responses=answers(FileBody, 400, 408, 413, 415, 422, 500, 501, 503, 507),
    dependencies=[Depends(needs(Scope.TRAIN))],
    openapi_extra=_form_body(),
)
async def upload_file(request: Request) -> JSONResponse:
    """Upload a file; one to train on is checked line by line, and nothing is kept of one that is wrong."""
    made, threads = factory(request), _threads(request)

    def begin(so_far: dict[str, str], filename: str) -> None:
        fields = upload_fields(so_far)
        if "purpose" in so_far:  # else it may still come, behind the file
            check_filename(filename, fields)

    reader = FormReader(request.headers.get("content-type", ""), UPLOAD_FIELDS, begin)
    writer = await in_thread(made.blobs.writer, threads.writing)
    try:
        form = await receive_form(request, reader, writer.write, threads.writing)
        row = await unless_gone(request, _keep(request, writer, form))
    finally:
        await in_thread(writer.abort, threads.writing)
    return JSONResponse(file_body(row))


async def _keep(request: Request, writer: BlobWriter, form: Form) -> FileRow:
    made, threads = factory(request), _threads(request)
    fields = upload_fields(form.fields)
    check_filename(form.filename, fields)
    await in_thread(writer.finish, threads.writing)
    summary = None
    if fields.checked:
        gone = threading.Event()
        share = fields.invalid_sample_skip_percentage
        if share is None:
            share = settings(request).upload_invalid_sample_skip_percentage
        content = _content(writer.path, gone)
        check = partial(made.checker.check, content, form.filename[:_SHOWN_NAME], share)
        try:
            summary = await in_thread(check, threads.checking, gone.set)
        except FileProblemsError as error:
            raise InvalidFileError(error) from None
    project_id = principal(request).project_id
    return await in_thread(partial(_add, made, project_id, writer, form, fields, summary), threads.writing)


def _content(path: Path, gone: threading.Event) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(_READ_BYTES):
            if gone.is_set():
                raise ClientGoneError
            yield piece


def _add(
    made: Factory,
    project_id: str,
    writer: BlobWriter,
    form: Form,
    fields: UploadFields,
    summary: FileSummary | None,
) -> FileRow:
    """Put the content where it stays, then name it."""
    info = writer.commit()
    new = NewFile(
        filename=form.filename,
        sha256=info.sha256,
        bytes=info.bytes,
        purpose=fields.purpose,
        num_lines=None if summary is None else summary.lines,
        mimetype=mimetype_of(form.mimetype, fields),
        sample_type="instruct" if fields.checked else "raw",
        visibility=fields.visibility,
        expires_in_s=fields.expires_after_s,
        summary=None if summary is None else summary.to_json(),
    )
    try:
        return made.files.add(project_id, new)
    except BaseException:
        made.blobs.release(info.sha256)
        raise


@router.get(
    "/v1/files",
    responses=answers(FileList, 400, 503),
    dependencies=[Depends(needs(Scope.READ))],
    openapi_extra=_parameters(FileQuery),
)
async def list_files(request: Request) -> JSONResponse:
    """List the files, newest first: a page by its number, or what follows a file."""
    query = file_query(request.query_params)
    filters = FileFilters(
        purpose=query.purpose,
        sample_types=tuple(query.sample_type),
        sources=tuple(query.source),
        mimetypes=tuple(query.mimetypes),
        search=query.search,
    )
    files = factory(request).files
    found = await asyncio.to_thread(files.list, principal(request).project_id, filters, _page(query))
    return JSONResponse(file_list(found))


def _page(query: FileQuery) -> Page | Cursor:
    size = query.limit or query.page_size
    newest_first = query.order == "desc"
    if query.after is None:
        return Page(query.page, size, newest_first)
    return Cursor(query.after, size, newest_first)


@router.get(
    "/v1/files/{file_id}/content",
    response_class=StreamingResponse,
    responses={
        **answers(ErrorBody, 400, 404, 500, 503),
        200: {"description": "The file.", "content": {_OCTETS: {"schema": {"type": "string"}}}},
    },
    dependencies=[Depends(by_link), Depends(needs(Scope.READ))],
    openapi_extra={
        "parameters": [
            {
                "name": "token",
                "in": "query",
                "required": False,
                "schema": {"type": "string"},
                "description": "Of an address that `GET /v1/files/{file_id}/url` gave; stands for a key.",
            }
        ]
    },
)
async def download_file(request: Request, file_id: str) -> StreamingResponse:
    """Give the file's bytes as they were uploaded."""
    made = factory(request)
    row = await _row(request, file_id)
    pieces = await asyncio.to_thread(made.blobs.read, row.sha256)
    headers = {
        "content-length": str(row.bytes),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(row.filename[:_SHOWN_NAME], safe='')}",
        "x-content-type-options": "nosniff",
    }
    return StreamingResponse(pieces, media_type=_OCTETS, headers=headers)


@router.get(
    "/v1/files/{file_id}/url",
    responses=answers(FileLink, 400, 404, 503),
    dependencies=[Depends(needs(Scope.READ))],
    openapi_extra=_parameters(LinkQuery),
)
async def link_file(request: Request, file_id: str) -> JSONResponse:
    """Give an address at which anybody can have the file, for some hours."""
    query = parse(LinkQuery, dict(request.query_params))
    row = await _row(request, file_id)
    expires_at = int(time.time()) + query.expiry * 3_600
    sealed = json.dumps([_LINK, row.project_id, row.id, expires_at])
    token = await asyncio.to_thread(factory(request).sealer.seal, sealed)
    path = request.url.path.removesuffix("url") + "content"
    url = request.url.replace(path=path, query=f"token={quote(token)}")
    return JSONResponse({"url": str(url), "expires_at": expires_at})


@router.get(
    "/v1/files/{file_id}",
    responses=answers(FileBody, 400, 404, 503),
    dependencies=[Depends(needs(Scope.READ))],
)
async def retrieve_file(request: Request, file_id: str) -> JSONResponse:
    """Show one file."""
    return JSONResponse(file_body(await _row(request, file_id)))


@router.delete(
    "/v1/files/{file_id}",
    responses=answers(DeletedFile, 400, 404, 503),
    dependencies=[Depends(needs(Scope.TRAIN))],
)
async def delete_file(request: Request, file_id: str) -> JSONResponse:
    """Delete a file; jobs that have begun have their own copy."""
    await asyncio.to_thread(factory(request).files.delete, principal(request).project_id, _id(file_id))
    return JSONResponse({"id": file_id, "object": "file", "deleted": True})


async def _row(request: Request, file_id: str) -> FileRow:
    files = factory(request).files
    return await asyncio.to_thread(files.get, principal(request).project_id, _id(file_id))


def _id(file_id: str) -> str:
    if "\0" in file_id:
        raise RequestError("holds a NUL character", where="file_id")
    return file_id
