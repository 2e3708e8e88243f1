"""From any exception to one response: the table from error class to status, and the one shape of its body.

The body is a superset that both client families read: Mistral's flat keys, `detail` as a list, and
OpenAI's `error`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from modwright.errors import (
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    InputError,
    IntegrityError,
    LostLeaseError,
    MissingExtraError,
    ModwrightError,
    NotFoundError,
    OverloadedError,
    RequestError,
    ScoringError,
    SourceError,
    StorageError,
    StorageFullError,
    TooLargeError,
    UnavailableError,
    UnprocessableError,
)

#: Error class to status; an error takes the entry of its nearest ancestor.
STATUS: Mapping[type[ModwrightError], int] = {
    InputError: 400,
    AuthenticationError: 401,
    ForbiddenError: 403,
    ConflictError: 409,
    TooLargeError: 413,
    UnprocessableError: 422,
    NotFoundError: 404,
    OverloadedError: 429,
    UnavailableError: 503,
    ScoringError: 500,
    IntegrityError: 500,
    MissingExtraError: 501,
    SourceError: 502,
    StorageError: 503,
    StorageFullError: 507,
    LostLeaseError: 409,
    ModwrightError: 500,
}
#: What the web framework itself refuses: status to code.
_HTTP_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    415: "unsupported_media_type",
    431: "too_many_headers",
}
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a body: where (keys and indices), what, and pydantic's or our name for it."""

    loc: Location
    message: str
    type: str


class InvalidBodyError(RequestError):
    """A body that does not fit its model, with every problem found (at least one)."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        where = ".".join(str(part) for part in problems[0].loc)
        super().__init__(problems[0].message + more, where=where or None)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as both client families will read it."""

    status: int
    code: str
    message: str
    param: str | None = None
    problems: tuple[Problem, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """Return the class of error in the words both APIs use."""
        return _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")

    def body(self, request_id: str, place: str) -> dict[str, Any]:
        """Return the superset body; ``place`` begins every `loc`: body or path."""
        told = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        problems = self.problems or (Problem(_location(self.param), self.message, self.type),)
        detail = [{"loc": [place, *item.loc], "msg": item.message, "type": item.type} for item in problems]
        return {"object": "error", **told, "detail": detail, "error": dict(told), "request_id": request_id}


class ErrorDetail(BaseModel):
    """One problem, in the form `mistralai` parses."""

    loc: list[str | int]
    msg: str
    type: str


class ErrorInside(BaseModel):
    """The error in the form `openai` reads."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(BaseModel):
    """Every error of this server, whatever its status."""

    model_config = ConfigDict(
        json_schema_extra={"description": "Every error of this server, whatever its status."}
    )

    object: str = "error"
    message: str
    type: str
    param: str | None = Field(description="Path of the field that is wrong, dots between keys and indices.")
    code: str
    detail: list[ErrorDetail]
    error: ErrorInside
    request_id: str


def status_of(error: ModwrightError) -> int:
    """Return the HTTP status of an error of ours."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def refusal(error: Exception) -> Refusal:
    """Translate any exception; one that is not ours says nothing of itself but that it happened."""
    if isinstance(error, ModwrightError):
        problems = tuple(error.problems) if isinstance(error, InvalidBodyError) else ()
        return Refusal(status_of(error), error.code, str(error), error.where, problems, _headers(error))
    if isinstance(error, HTTPException):
        return _framework_refusal(error)
    return Refusal(500, "internal_error", "the server failed on this request; its log has the place")


def _framework_refusal(error: HTTPException) -> Refusal:
    code = _HTTP_CODES.get(error.status_code, "http_error")
    message = str(error.detail)
    if message == "Not Found":
        message = "no such path on this server; the reference lists them, /openapi.json too"
    if message == "Method Not Allowed":
        message = f"this path does not take that method, only {Headers(error.headers).get('allow', 'others')}"
    return Refusal(error.status_code, code, message, headers=dict(error.headers or {}))


def _headers(error: ModwrightError) -> dict[str, str]:
    if isinstance(error, AuthenticationError):
        return {"www-authenticate": 'Bearer realm="modwright"'}
    if isinstance(error, OverloadedError):
        return {"retry-after": str(max(1, math.ceil(error.retry_after_s)))}
    if isinstance(error, (ScoringError, ConflictError, StorageFullError, MissingExtraError)):
        return {"x-should-retry": "false"}  # the same fails again
    return {}


#: Longer runs of digits are a user's key, not a place in a list.
_MOST_DIGITS = 9


def _location(param: str | None) -> Location:
    if not param:
        return ()
    return tuple(
        int(part) if part.isascii() and part.isdecimal() and len(part) <= _MOST_DIGITS else part
        for part in param.split(".")
    )


def respond(request: Request, error: Exception) -> JSONResponse:
    """Return the response to any exception; FastAPI's handler of all of them."""
    told = refusal(error)
    place = "body" if request.method in ("POST", "PUT", "PATCH") else "path"
    body = told.body(getattr(request.state, "request_id", ""), place)
    return JSONResponse(body, status_code=told.status, headers=dict(told.headers))
