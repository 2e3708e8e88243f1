"""`/v1/keys`: the asking project's keys, made, listed and revoked by who may administer it."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from modwright.api.auth import Gate, Scope, needs, principal
from modwright.api.routes.common import answers, body, factory, takes
from modwright.api.schemas.keys import Key, KeyList, KeyRequest, NewKey, key_body

router = APIRouter(tags=["keys"], dependencies=[Depends(needs(Scope.ADMIN))])
#: The request models, for the OpenAPI document.
REQUESTS = (KeyRequest,)


@router.post("/v1/keys", openapi_extra=takes(KeyRequest), responses=answers(NewKey, 400, 408, 413, 415))
async def create_key(request: Request) -> JSONResponse:
    """Make a key of the asking project; its secret is in this answer and never again.

    From a server's first key on, every request needs one.
    """
    asked = await body(request, KeyRequest)
    key, secret = await asyncio.to_thread(
        factory(request).keys.create,
        principal(request).project_id,
        asked.name,
        [str(scope) for scope in dict.fromkeys(asked.scopes)],
        asked.expires_at(),
    )
    _forget(request)
    return JSONResponse({**key_body(key), "key": secret}, headers={"cache-control": "no-store"})


@router.get("/v1/keys", responses=answers(KeyList))
async def list_keys(request: Request) -> JSONResponse:
    """List the project's keys, revoked and expired ones too, without their secrets."""
    keys = await asyncio.to_thread(factory(request).keys.list, principal(request).project_id)
    return JSONResponse({"object": "list", "data": [key_body(key) for key in keys]})


@router.delete("/v1/keys/{key_id}", responses=answers(Key, 404))
async def revoke_key(request: Request, key_id: str) -> JSONResponse:
    """Revoke a key of the project: here at once, on other servers within seconds."""
    key = await asyncio.to_thread(factory(request).keys.revoke, key_id, principal(request).project_id)
    _forget(request)
    return JSONResponse(key_body(key))


def _forget(request: Request) -> None:
    gate: Gate | None = request.app.state.gate
    if gate is not None:
        gate.forget()
