"""`POST /v1/classifications`, `/v1/moderations` and their chat forms."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from modwright.api.auth import Scope, needs, principal
from modwright.api.dialect import Dialect, dialect_of
from modwright.api.limits import check_inputs
from modwright.api.routes.common import answers, body, served, settings, takes, unless_gone
from modwright.api.schemas.mistral import (
    ChatClassificationRequest,
    ChatModerationRequest,
    ClassificationRequest,
    ClassificationResponse,
    classification_response,
)
from modwright.api.schemas.openai import ModerationRequest, ModerationResponse, moderation_response
from modwright.schema import Input

router = APIRouter(dependencies=[Depends(needs(Scope.CLASSIFY))])
#: The request models, for the OpenAPI document.
REQUESTS = (ClassificationRequest, ChatClassificationRequest, ModerationRequest, ChatModerationRequest)
_ERRORS = (400, 404, 409, 413, 415, 429, 500, 503)
_CLASSIFIED: dict[str, Any] = {"responses": answers(ClassificationResponse, *_ERRORS), "tags": ["inference"]}
_MODERATED: dict[str, Any] = {"responses": answers(ModerationResponse, *_ERRORS), "tags": ["inference"]}


@router.post("/v1/classifications", openapi_extra=takes(ClassificationRequest), **_CLASSIFIED)
async def classify(request: Request) -> JSONResponse:
    """Score one text or several against every target of a model."""
    return await _classify(request, await body(request, ClassificationRequest))


@router.post("/v1/chat/classifications", openapi_extra=takes(ChatClassificationRequest), **_CLASSIFIED)
async def classify_chat(request: Request) -> JSONResponse:
    """Score the last turn of one conversation or several, in the context of the turns before it."""
    return await _classify(request, await body(request, ChatClassificationRequest))


@router.post("/v1/moderations", openapi_extra=takes(ModerationRequest), **_MODERATED)
async def moderate(request: Request) -> JSONResponse:
    """Say which categories one text or several fall into, at the model's operating point."""
    return await _moderate(request, await body(request, ModerationRequest))


@router.post("/v1/chat/moderations", openapi_extra=takes(ChatModerationRequest), **_MODERATED)
async def moderate_chat(request: Request) -> JSONResponse:
    """Say which categories the last turn of one conversation or several falls into."""
    return await _moderate(request, await body(request, ChatModerationRequest))


async def _classify(
    request: Request, parsed: ClassificationRequest | ChatClassificationRequest
) -> JSONResponse:
    inputs = check_inputs(parsed.located(), settings(request))
    return JSONResponse(await unless_gone(request, _classified(request, parsed, inputs)))


async def _classified(
    request: Request, parsed: ClassificationRequest | ChatClassificationRequest, inputs: list[Input]
) -> dict[str, Any]:
    async with served(request).lease(principal(request).project_id, parsed.model) as deployment:
        return classification_response(deployment, await deployment.judge(inputs, parsed.operating_point))


async def _moderate(request: Request, parsed: ModerationRequest | ChatModerationRequest) -> JSONResponse:
    dialect = dialect_of(request)
    inputs = check_inputs(parsed.located(), settings(request))
    return JSONResponse(await unless_gone(request, _moderated(request, parsed, inputs, dialect)))


async def _moderated(
    request: Request,
    parsed: ModerationRequest | ChatModerationRequest,
    inputs: list[Input],
    dialect: Dialect,
) -> dict[str, Any]:
    async with served(request).lease(principal(request).project_id, parsed.model) as deployment:
        judgements = await deployment.judge(inputs, parsed.operating_point)
        return moderation_response(deployment, judgements, dialect)
