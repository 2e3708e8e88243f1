"""`/v1/fine_tuning/jobs`: jobs of training, in Mistral's shape or in OpenAI's; one canonical job behind both."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from modwright.api.auth import Scope, needs, principal
from modwright.api.dialect import Dialect, dialect_of
from modwright.api.kept_bodies import KeptBodies
from modwright.api.limits import parse_json, read_body
from modwright.api.routes.common import answers, factory, settings
from modwright.api.schemas.job_bodies import dry_run_body, job_body, job_detail_body, list_body
from modwright.api.schemas.job_queries import CreateQuery, JobQuery, read_query
from modwright.api.schemas.jobs import JobRequest
from modwright.api.schemas.native import parse
from modwright.api.schemas.openai_job_bodies import JobAnswer, JobDetailAnswer, JobListAnswer, openai_job_body
from modwright.api.schemas.openai_jobs import OpenAIJobRequest
from modwright.errors import InputError, RequestError, UnprocessableError
from modwright.jobs.service import JobDetail, JobOrder, JobService

router = APIRouter(tags=["jobs"])
#: The request models, for the OpenAPI document.
REQUESTS = (JobRequest, OpenAIJobRequest)

JOBS = "/v1/fine_tuning/jobs"
READS: dict[str, Any] = {"dependencies": [Depends(needs(Scope.READ))]}
ERRORS = (400, 401, 403, 404, 429, 500, 503)
_CHANGES: dict[str, Any] = {"dependencies": [Depends(needs(Scope.TRAIN))]}
_SCHEMAS = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in REQUESTS]
_TAKES: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"anyOf": _SCHEMAS}}}}
}
#: Fields of a spec by the names they have in OpenAI's shape.
_OPENAI_FIELDS = {
    "training_files.0": "training_file",
    "training_files": "training_file",
    "validation_files.0": "validation_file",
}


@router.post(
    JOBS,
    responses=answers(JobAnswer, *ERRORS, 409, 413, 415, 422),
    openapi_extra=_TAKES,
    **_CHANGES,
)
async def create_job(request: Request) -> JSONResponse:
    """Create a job, or with `?dry_run=true` only say what it would take."""
    dialect = dialect_of(request)
    query = read_query(CreateQuery, request.query_params)
    raw = await read_body(request)
    return await asyncio.to_thread(_create, request, raw, dialect, query.dry_run)


@router.get(JOBS, responses=answers(JobListAnswer, *ERRORS), **READS)
async def list_jobs(request: Request) -> JSONResponse:
    """List jobs, newest first: a page of them, or those behind one."""
    query = read_query(JobQuery, request.query_params)
    return JSONResponse(await asyncio.to_thread(_list, request, query, dialect_of(request)))


@router.get(JOBS + "/{job_id}", responses=answers(JobDetailAnswer, *ERRORS), **READS)
async def get_job(request: Request, job_id: str) -> Response:
    """Show a job; in Mistral's dialect with its events and checkpoints."""
    dialect = dialect_of(request)
    return await asyncio.to_thread(_show, request, job_id, dialect)


@router.post(JOBS + "/{job_id}/start", responses=answers(JobDetailAnswer, *ERRORS, 409), **_CHANGES)
async def start_job(request: Request, job_id: str) -> JSONResponse:
    """Queue a validated job for training; it is QUEUED when this answers."""
    dialect = dialect_of(request)
    project = principal(request).project_id
    return _detail(await asyncio.to_thread(service(request).start, project, job_id), dialect)


@router.post(JOBS + "/{job_id}/cancel", responses=answers(JobDetailAnswer, *ERRORS, 409), **_CHANGES)
async def cancel_job(request: Request, job_id: str) -> JSONResponse:
    """End a job at once, or have the worker that holds it let go."""
    dialect = dialect_of(request)
    project = principal(request).project_id
    return _detail(await asyncio.to_thread(service(request).cancel, project, job_id), dialect)


@router.post(JOBS + "/{job_id}/pause", responses=answers(JobDetailAnswer, *ERRORS, 422), **_CHANGES)
async def pause_job(request: Request, job_id: str) -> JSONResponse:
    """Refuse: jobs are not paused here."""
    return await _refused(request, job_id, "paused")


@router.post(JOBS + "/{job_id}/resume", responses=answers(JobDetailAnswer, *ERRORS, 422), **_CHANGES)
async def resume_job(request: Request, job_id: str) -> JSONResponse:
    """Refuse: jobs are not paused here, so none is resumed."""
    return await _refused(request, job_id, "resumed")


def service(request: Request) -> JobService:
    """Return what creates and shows this server's jobs."""
    return factory(request).service


def _create(request: Request, raw: bytes, dialect: Dialect, dry_run: bool) -> JSONResponse:
    document = parse_json(raw, settings(request).max_json_depth)
    _refuse_nul(document, "")
    shape = _shape(document, dialect)
    try:
        order, asking = _order(document, shape), principal(request)
        if dry_run:
            return JSONResponse(dry_run_body(service(request).dry_run(asking.project_id, order)))
        job = service(request).create(asking.project_id, order, shape, asking.key_id)
    except InputError as error:
        if shape is Dialect.OPENAI:
            _use_openais_words(error)
        raise
    return JSONResponse(openai_job_body(job) if dialect is Dialect.OPENAI else job_body(job))


def _order(document: Any, shape: Dialect) -> JobOrder:
    if shape is Dialect.OPENAI:
        return parse(OpenAIJobRequest, document).order()
    return parse(JobRequest, document).order()


def _use_openais_words(error: InputError) -> None:
    """Call the fields of a spec in an error as OpenAI's shape calls them."""
    for field, name in _OPENAI_FIELDS.items():
        error.message = error.message.replace(field, name)
        error.where = name if error.where == field else error.where


def _shape(document: Any, dialect: Dialect) -> Dialect:
    """Return whose shape a body has: it shows by how it names its files, whoever sends it."""
    given = [
        shape
        for key, shape in (("training_file", Dialect.OPENAI), ("training_files", Dialect.MISTRAL))
        if isinstance(document, dict) and key in document
    ]
    return given[0] if len(given) == 1 else dialect


def _refuse_nul(value: Any, path: str) -> None:
    """Raise RequestError for a NUL in any text or key: no database keeps one."""
    if isinstance(value, str) and "\0" in value:
        raise RequestError("holds a NUL", where=path or None)
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _refuse_nul(key, path)
            _refuse_nul(item, f"{path}.{key}" if path else str(key))


def _show(request: Request, job_id: str, dialect: Dialect) -> Response:
    asked = service(request)
    job = asked.get(principal(request).project_id, job_id)
    if dialect is Dialect.OPENAI:
        return JSONResponse(openai_job_body(job))
    kept: KeptBodies = request.app.state.job_bodies
    body = kept.body(job, lambda one: bytes(_detail(asked.detail_of(one), dialect).body))
    return Response(body, media_type="application/json")


def _list(request: Request, query: JobQuery, dialect: Dialect) -> dict[str, Any]:
    asking, size = principal(request), query.size(dialect)
    filters = query.filters(asking.key_id)
    page = service(request).page
    if query.after is not None:
        # One more than is shown tells whether there are more behind.
        rows, total = page(asking.project_id, filters, page_size=size + 1, after=query.after)
        has_more = len(rows) > size
    else:
        rows, total = page(asking.project_id, filters, page=query.page, page_size=size)
        has_more = query.page * size + len(rows) < total
    render = openai_job_body if dialect is Dialect.OPENAI else job_body
    return list_body([render(job) for job in rows[:size]], total, has_more=has_more)


def _detail(detail: JobDetail, dialect: Dialect) -> JSONResponse:
    if dialect is Dialect.OPENAI:
        return JSONResponse(openai_job_body(detail.job))
    return JSONResponse(job_detail_body(detail))


async def _refused(request: Request, job_id: str, what: str) -> JSONResponse:
    await asyncio.to_thread(service(request).get, principal(request).project_id, job_id)
    raise UnprocessableError(f"jobs are not {what} here", remedy="cancel it, and create it again")
