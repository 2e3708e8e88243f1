"""`GET /health`: green only if the server's models have just judged an input."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from modwright.api.routes.common import answers, served, settings
from modwright.api.schemas.mistral import Health
from modwright.errors import ModwrightError, UnavailableError

router = APIRouter(tags=["health"])


@router.get("/health", responses=answers(Health, 503))
async def health(request: Request) -> JSONResponse:
    """Run the models once, on the road of every request; 503 if one fails or gives no answer in time.

    Run are those the server was started with; where there are none, the trained one that was asked last.
    """
    known = served(request)
    try:
        await known.check()
    except ModwrightError as error:
        raise UnavailableError(error.message, retry_after_s=5.0) from None
    limits = {name: getattr(settings(request), name) for name in ("max_inputs", "max_upload_bytes")}
    return JSONResponse({"status": "ok", "models": len(known), **limits})
