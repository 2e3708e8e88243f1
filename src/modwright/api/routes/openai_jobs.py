"""`/v1/fine_tuning/jobs/{id}/events` and `/checkpoints`: OpenAI's cursor pages, newest first; Mistral has none of them."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from modwright.api.auth import principal
from modwright.api.routes.common import answers
from modwright.api.routes.jobs import ERRORS, JOBS, READS, service
from modwright.api.schemas.job_queries import CursorQuery, read_query
from modwright.api.schemas.openai_job_bodies import (
    CHECKPOINT,
    EVENT,
    OpenAICheckpointList,
    OpenAIEventList,
    checkpoint_body,
    cursor_page,
    event_body,
    number_after,
)

router = APIRouter(tags=["jobs"])
_EVENTS, _CHECKPOINTS = 20, 10


@router.get(JOBS + "/{job_id}/events", responses=answers(OpenAIEventList, *ERRORS), **READS)
async def list_events(request: Request, job_id: str) -> JSONResponse:
    """List what happened in a job, newest first."""
    query = read_query(CursorQuery, request.query_params)
    limit, after = query.limit or _EVENTS, number_after(query.after, EVENT)
    project = principal(request).project_id

    def found() -> list[dict[str, Any]]:
        events = service(request).events(project, job_id, after=after, limit=limit + 1)
        return [event_body(event) for event in events]

    return JSONResponse(cursor_page(await asyncio.to_thread(found), limit))


@router.get(JOBS + "/{job_id}/checkpoints", responses=answers(OpenAICheckpointList, *ERRORS), **READS)
async def list_checkpoints(request: Request, job_id: str) -> JSONResponse:
    """List the steps of a job with their losses, newest first."""
    query = read_query(CursorQuery, request.query_params)
    limit, project = query.limit or _CHECKPOINTS, principal(request).project_id

    def found() -> list[dict[str, Any]]:
        job = service(request).get(project, job_id)
        after = number_after(query.after, f"{CHECKPOINT}{job.id}-")
        steps = service(request).checkpoints(project, job_id, after=after, limit=limit + 1)
        last = service(request).last_step(project, job_id)
        return [checkpoint_body(job, step, last) for step in steps]

    return JSONResponse(cursor_page(await asyncio.to_thread(found), limit))
