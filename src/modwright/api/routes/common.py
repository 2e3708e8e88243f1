"""What routes share: the server's parts, parsed bodies, work that ends with its client, documentation."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel

from modwright.api.errors import ErrorBody
from modwright.api.factory import Factory
from modwright.api.limits import parse_json, read_body
from modwright.api.schemas.native import parse
from modwright.serving.served import Served
from modwright.settings import Settings

ModelT = TypeVar("ModelT", bound=BaseModel)
ResultT = TypeVar("ResultT")

#: A body above this is parsed in a thread.
_LARGE_BYTES = 100_000
_MEANINGS = {
    400: "The body is wrong; `param` names the field.",
    401: "No key, or one that is unknown, expired or revoked.",
    403: "The key lacks the scope this needs, or what is asked for is not allowed.",
    404: "No such thing, or it is another project's.",
    408: "The body did not arrive in time.",
    409: "It contradicts the state of what is there.",
    413: "The body is too large.",
    415: "The body is not announced as what this path takes.",
    422: "It is well formed, and nothing this server does.",
    429: "Too much waits, or this key asks too often; `Retry-After` says when to try again.",
    500: "The server or a model failed on this input.",
    501: "An optional part of modwright is not installed on this machine.",
    503: "No answer came in time; `Retry-After` says when to try again.",
    507: "There is no room left; nothing was kept.",
}


class ClientGoneError(Exception):
    """The client hung up before its answer was ready."""


def served(request: Request) -> Served:
    """Return the models of this server."""
    found: Served = request.app.state.served
    return found


def settings(request: Request) -> Settings:
    """Return the settings of this server."""
    found: Settings = request.app.state.settings
    return found


def factory(request: Request) -> Factory:
    """Return what this server keeps; only routes that are mounted with one may ask."""
    found: Factory = request.app.state.factory
    return found


async def body(request: Request, model: type[ModelT]) -> ModelT:
    """Read the request's body as a model; raises RequestError or HTTPException, see `limits.read_body`."""
    raw = await read_body(request)
    max_depth = settings(request).max_json_depth
    if len(raw) > _LARGE_BYTES:
        return await asyncio.to_thread(_parse, model, raw, max_depth)  # other requests go on meanwhile
    return _parse(model, raw, max_depth)


def _parse(model: type[ModelT], raw: bytes, max_depth: int) -> ModelT:
    return parse(model, parse_json(raw, max_depth))


async def unless_gone(request: Request, work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Return the work's result; where the client hangs up first the work is cancelled.

    Call it only after the body was read.

    Raises:
        ClientGoneError: the client hung up.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGoneError
        return working.result()
    finally:
        for task in (working, gone):
            task.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def takes(model: type[BaseModel]) -> dict[str, Any]:
    """Return what tells OpenAPI of a body that the route parses itself; `app.openapi` adds the model."""
    reference = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": reference}}}}


def answers(model: type[BaseModel], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what tells OpenAPI of every response of a route."""
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorBody, "description": _MEANINGS[status]} for status in statuses
    }
    return {200: {"model": model, "description": "Done."}, **errors}
