"""`/v1/models/{id}/artifact`: a trained model's folder, to keep and to run elsewhere."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from modwright.api.auth import Scope, needs, principal
from modwright.api.errors import ErrorBody
from modwright.api.routes.common import answers, factory, served
from modwright.errors import ForbiddenError, ModelNotFoundError
from modwright.storage.archives import archive_bytes, archived

if TYPE_CHECKING:
    from modwright.storage.models import ModelRow

#: Mounted only where the server keeps models, and before `models.router`, whose ids may hold a slash.
router = APIRouter(tags=["models"])

_TAR = "application/x-tar"


@router.get(
    "/v1/models/{model_id:path}/artifact",
    response_class=StreamingResponse,
    responses={
        **answers(ErrorBody, 400, 403, 404, 500, 503),
        200: {
            "description": "The artifact folder as a tar file, `artifact.json` last.",
            "content": {_TAR: {"schema": {"type": "string", "format": "binary"}}},
        },
    },
    dependencies=[Depends(needs(Scope.READ))],
)
async def download_artifact(request: Request, model_id: str) -> StreamingResponse:
    """Give a trained model's artifact folder, by its id or an alias; an archived one's, too."""
    row = await _row(request, model_id)
    pieces = await asyncio.to_thread(archived, row.manifest, factory(request).blobs, row.created_at)
    headers = {
        "content-length": str(archive_bytes(row.manifest)),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(row.id, safe='')}.tar",
        "x-content-type-options": "nosniff",
    }
    return StreamingResponse(pieces, media_type=_TAR, headers=headers)


async def _row(request: Request, model_id: str) -> ModelRow:
    """Return a trained model; raises ForbiddenError for one that is served from a folder, ModelNotFoundError."""
    known, project_id = served(request), principal(request).project_id
    if known.deployments.find(model_id) is not None:
        raise ForbiddenError(
            f"model '{model_id}' is served from a folder and is not given out",
            remedy="copy the folder that the server was started with",
        )
    assert known.trained is not None  # mounted with a factory
    try:
        return await known.trained.find(project_id, model_id)
    except ModelNotFoundError:
        raise await known.unknown(project_id, model_id) from None
