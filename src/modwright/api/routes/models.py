"""`GET /v1/models` and `GET /v1/models/{id}`."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from modwright.api.routes.common import answers, deployments
from modwright.api.schemas.mistral import ModelCard, ModelList, model_card

router = APIRouter(tags=["models"])


@router.get("/v1/models", responses=answers(ModelList))
async def list_models(request: Request) -> JSONResponse:
    """List every model served."""
    return JSONResponse({"object": "list", "data": [model_card(item) for item in deployments(request)]})


@router.get("/v1/models/{model_id:path}", responses=answers(ModelCard, 404))
async def retrieve_model(request: Request, model_id: str) -> JSONResponse:
    """Show one model, by its name or an alias."""
    return JSONResponse(model_card(deployments(request).get(model_id)))
