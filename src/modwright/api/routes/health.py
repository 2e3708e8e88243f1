"""`GET /health`: green only if every model has just judged an input."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from modwright.api.routes.common import answers, deployments
from modwright.api.schemas.mistral import Health
from modwright.errors import ModwrightError, UnavailableError

router = APIRouter(tags=["health"])


@router.get("/health", responses=answers(Health, 503))
async def health(request: Request) -> JSONResponse:
    """Run every model once, on the road of every request; 503 if one fails or gives no answer in time."""
    served = deployments(request)
    try:
        await served.check()
    except ModwrightError as error:
        raise UnavailableError(error.message, retry_after_s=5.0) from None
    return JSONResponse({"status": "ok", "models": len(served)})
