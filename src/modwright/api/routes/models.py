"""Models: `/v1/models` lists, shows, deletes and names them; `/v1/fine_tuning/models` changes and archives them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from modwright.api.auth import Scope, needs, principal
from modwright.api.bases import Trainable, trainable
from modwright.api.routes.common import answers, body, factory, served, settings, takes
from modwright.api.schemas.models import (
    Archived,
    Deleted,
    ModelCard,
    ModelList,
    ModelUpdate,
    base_card,
    deployment_card,
    trained_card,
)
from modwright.errors import ConflictError, ForbiddenError, ModelNotFoundError, NotFoundError, RequestError

if TYPE_CHECKING:
    from modwright.storage.models import ModelRow

router = APIRouter(tags=["models"])
#: Mounted only where the server keeps models.
keeping = APIRouter(tags=["models"])
#: The request models, for the OpenAPI document.
REQUESTS = (ModelUpdate,)

_READS: dict[str, Any] = {"dependencies": [Depends(needs(Scope.READ))]}
_CHANGES: dict[str, Any] = {"dependencies": [Depends(needs(Scope.TRAIN))]}
_ERRORS = (400, 403, 404, 409, 503)
_LONGEST_ALIAS = 200
_OTHER = "choose another alias"


@router.get("/v1/models", responses=answers(ModelList), **_READS)
async def list_models(request: Request) -> JSONResponse:
    """List every model that answers the asking project, newest first, then what its jobs may train."""
    cards = [_deployment_card(request, item.name) for item in served(request).deployments]
    if served(request).trained is not None:
        rows = await asyncio.to_thread(factory(request).models.list, principal(request).project_id)
        names = await asyncio.to_thread(factory(request).models.aliases, principal(request).project_id)
        cards += [_trained_card(request, row, names) for row in rows]
        cards += [_base_card(request, item) for item in _trainable(request)]
    return JSONResponse({"object": "list", "data": cards})


@keeping.put("/v1/models/{model_id:path}/aliases/{alias}", responses=answers(ModelCard, *_ERRORS), **_CHANGES)
async def set_alias(request: Request, model_id: str, alias: str) -> JSONResponse:
    """Let a trained model answer to another name too, at once; the name leaves the model that had it."""
    row = await _own(request, model_id)
    await _refuse_taken(request, row.project_id, alias)
    await asyncio.to_thread(factory(request).models.set_alias, row.project_id, alias, row.id)
    return await _shown(request, row)


@keeping.delete(
    "/v1/models/{model_id:path}/aliases/{alias}", responses=answers(ModelCard, *_ERRORS), **_CHANGES
)
async def drop_alias(request: Request, model_id: str, alias: str) -> JSONResponse:
    """Take a name from a trained model."""
    row = await _own(request, model_id)
    names = await asyncio.to_thread(factory(request).models.aliases, row.project_id)
    if names.get(alias) != row.id:
        raise NotFoundError(f"model '{row.id}' has no alias '{alias[:200]}'", where="alias")
    await asyncio.to_thread(factory(request).models.drop_alias, row.project_id, alias)
    return await _shown(request, row)


@router.get("/v1/models/{model_id:path}", responses=answers(ModelCard, 404), **_READS)
async def retrieve_model(request: Request, model_id: str) -> JSONResponse:
    """Show one model, by its name or an alias."""
    known = served(request)
    if known.trained is None or known.deployments.find(model_id) is not None:
        return JSONResponse(_deployment_card(request, known.deployments.get(model_id).name))
    try:
        row = await known.trained.find(principal(request).project_id, model_id)
    except ModelNotFoundError:
        for item in _trainable(request):
            if model_id in (item.name, *item.aliases):
                return JSONResponse(_base_card(request, item))
        raise await known.unknown(principal(request).project_id, model_id) from None
    return await _shown(request, row)


@keeping.delete("/v1/models/{model_id:path}", responses=answers(Deleted, *_ERRORS), **_CHANGES)
async def delete_model(request: Request, model_id: str) -> JSONResponse:
    """Delete a trained model with its files and aliases; requests under way are still answered."""
    row = await _own(request, model_id)
    await asyncio.to_thread(factory(request).models.delete, row.project_id, row.id)
    await _forget(request, row)
    return JSONResponse({"id": row.id, "object": "model", "deleted": True})


@keeping.post(
    "/v1/fine_tuning/models/{model_id:path}/archive", responses=answers(Archived, *_ERRORS), **_CHANGES
)
async def archive_model(request: Request, model_id: str) -> JSONResponse:
    """Let a trained model rest: it is kept and listed, and answers no request."""
    return await _archive(request, model_id, archived=True)


@keeping.delete(
    "/v1/fine_tuning/models/{model_id:path}/archive", responses=answers(Archived, *_ERRORS), **_CHANGES
)
async def unarchive_model(request: Request, model_id: str) -> JSONResponse:
    """Let an archived model answer again."""
    return await _archive(request, model_id, archived=False)


@keeping.patch(
    "/v1/fine_tuning/models/{model_id:path}",
    responses=answers(ModelCard, *_ERRORS, 413, 415),
    openapi_extra=takes(ModelUpdate),
    **_CHANGES,
)
async def update_model(request: Request, model_id: str) -> JSONResponse:
    """Give a trained model a name and a description for people; it is still asked by its id and its aliases."""
    changes = (await body(request, ModelUpdate)).changes()
    row = await _own(request, model_id)
    if changes:
        row = await asyncio.to_thread(factory(request).models.update, row.project_id, row.id, **changes)
    return await _shown(request, row)


async def _archive(request: Request, model_id: str, *, archived: bool) -> JSONResponse:
    row = await _own(request, model_id)
    await asyncio.to_thread(factory(request).models.set_archived, row.project_id, row.id, archived)
    if archived:
        await _forget(request, row)
    return JSONResponse({"id": row.id, "object": "model", "archived": archived})


async def _forget(request: Request, row: ModelRow) -> None:
    trained = served(request).trained
    if trained is not None:
        await trained.forget(row.id)


async def _own(request: Request, model_id: str) -> ModelRow:
    """Return a trained model that is to be changed, by its id alone: an alias may mean another model tomorrow.

    Raises:
        ForbiddenError: it is a base, or served from a folder.
        ConflictError: it is an alias.
        ModelNotFoundError: the project has no such model.
    """
    if served(request).deployments.find(model_id) is not None:
        raise ForbiddenError(
            f"model '{model_id}' is served from a folder and is not changed over HTTP",
            remedy="start the server without it",
        )
    project_id = principal(request).project_id
    trained = served(request).trained
    assert trained is not None  # routes that change models are mounted with a factory
    try:
        row = await trained.find(project_id, model_id)
    except ModelNotFoundError:
        if any(model_id in (item.name, *item.aliases) for item in _trainable(request)):
            raise ForbiddenError(f"'{model_id}' is a base, which is not changed") from None
        raise await served(request).unknown(project_id, model_id) from None
    if row.id != model_id:
        raise ConflictError(
            f"'{model_id}' is an alias of the model '{row.id}'",
            remedy="name the model by its id to change it",
        )
    return row


async def _refuse_taken(request: Request, project_id: str, alias: str) -> None:
    """Raise where a name can be nobody's alias: RequestError for one that is not plain, ConflictError for a model's own."""
    if not alias.isprintable() or alias != alias.strip() or len(alias) > _LONGEST_ALIAS:
        raise RequestError(
            f"alias {alias[:200]!r} is not plain",
            where="alias",
            remedy="use letters, digits, '-', '_', '.' and ':'",
        )
    if served(request).deployments.find(alias) is not None:
        raise ConflictError(
            f"'{alias}' is served from a folder, in every project", where="alias", remedy=_OTHER
        )
    with contextlib.suppress(NotFoundError):
        row = await asyncio.to_thread(factory(request).models.get, project_id, alias)
        raise ConflictError(f"'{row.id}' is a model itself", where="alias", remedy=_OTHER)


async def _shown(request: Request, row: ModelRow) -> JSONResponse:
    """Return the card of a trained model with its operating points."""
    trained = served(request).trained
    assert trained is not None
    names = await asyncio.to_thread(factory(request).models.aliases, row.project_id)
    points = await trained.operating_points(row)
    return JSONResponse(_trained_card(request, row, names, points))


def _deployment_card(request: Request, name: str) -> dict[str, Any]:
    deployment = served(request).deployments.get(name)
    return deployment_card(deployment, principal(request).project_id, settings(request).max_input_chars)


def _trained_card(
    request: Request, row: ModelRow, names: dict[str, str], points: Sequence[str] | None = None
) -> dict[str, Any]:
    aliases = sorted(alias for alias, model_id in names.items() if model_id == row.id)
    return trained_card(row, aliases, settings(request).max_input_chars, points)


def _trainable(request: Request) -> list[Trainable]:
    return trainable(settings(request).job_aliases)


def _base_card(request: Request, item: Trainable) -> dict[str, Any]:
    project_id, max_chars = principal(request).project_id, settings(request).max_input_chars
    return base_card(item.name, item.aliases, item.why, item.recipe, project_id, max_chars)
