"""From a reply that refuses, or none at all, to the error of ours that the server raised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modwright.errors import (
    AuthenticationError,
    ConflictError,
    DataError,
    ForbiddenError,
    IntegrityError,
    MissingExtraError,
    ModwrightError,
    NotFoundError,
    OverloadedError,
    RateLimitedError,
    RequestError,
    StorageFullError,
    TooLargeError,
    UnavailableError,
    UnprocessableError,
)

REQUEST_ID = "x-request-id"
_SHOWN = 200

_BY_STATUS: Mapping[int, type[ModwrightError]] = {
    401: AuthenticationError,
    403: ForbiddenError,
    404: NotFoundError,
    408: UnavailableError,
    409: ConflictError,
    413: TooLargeError,
    422: UnprocessableError,
    429: RateLimitedError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
    507: StorageFullError,
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered; keys of ``headers`` are lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes = b""

    @property
    def succeeded(self) -> bool:
        """Return whether it did what was asked."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer came: what happened to the connection, or that none came in time, or more than was to be read."""

    message: str
    timed_out: bool = False
    too_long: bool = False


def _tree(kind: type[ModwrightError]) -> list[type[ModwrightError]]:
    ours = [child for child in kind.__subclasses__() if child.__module__ == ModwrightError.__module__]
    return [kind, *(found for child in ours for found in _tree(child))]


_BY_CODE = {kind.code: kind for kind in _tree(ModwrightError)}


def body_of(reply: Reply) -> Any:
    """Return a reply's JSON; raises IntegrityError where it is none."""
    try:
        return json.loads(reply.content)
    except (ValueError, RecursionError):
        raise IntegrityError(
            "the server's answer is not JSON", remedy="does the url lead to a modwright server?"
        ) from None


def retry_after_s(reply: Reply) -> float | None:
    """Return the seconds that a reply asks to wait; None where it does not, or not in seconds."""
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 9 else None


def failure(reply: Reply, file: str | None = None) -> ModwrightError:
    """Return the error that a reply tells: its class by code, else by status, with message, place and request id.

    One that gathers several problems has each as an error of its own in `problems`, as errors of data here do.

    Args:
        file: the file that was sent, as the user named it.
    """
    told = _told(reply)
    place = told.get("param")
    where = place if isinstance(place, str) and place else None
    message = str(told.get("message") or _unknown(reply)).removeprefix(f"{where}: ")
    code, default, retry_s = str(told.get("code")), _of_status(reply.status), retry_after_s(reply)
    error = error_of(code, message, where=where, default=default, retry_s=retry_s)
    error.request_id = str(told.get("request_id") or reply.headers.get(REQUEST_ID) or "") or None
    if reply.status == 500 and error.request_id and error.remedy is None:
        error.remedy = f"the server's log has it as request {error.request_id}"
    details = told.get("detail")
    if isinstance(details, list) and isinstance(error, DataError):
        error.where = None  # the form's field; the message has the file and line
        _gather(error, [_line_problem(detail, file) for detail in details])
    elif isinstance(details, list):
        _gather(error, [_problem(detail) for detail in details])
    return error


def _gather(error: ModwrightError, problems: list[ModwrightError]) -> None:
    if len(problems) < 2:
        return
    error.problems = tuple(problems)  # type: ignore[attr-defined]  # read by attribute wherever errors are shown
    listed = "\n".join(f"  {problem}" for problem in problems)
    error.message = f"{error.message}\n{listed}"


def error_of(
    code: str,
    message: str,
    *,
    where: str | None = None,
    remedy: str | None = None,
    default: type[ModwrightError] = ModwrightError,
    retry_s: float | None = None,
) -> ModwrightError:
    """Return an error by its code; one that this version does not know is of the class ``default``."""
    kind = _BY_CODE.get(code, default)
    error: ModwrightError
    if issubclass(kind, OverloadedError):
        error = kind(message, retry_after_s=retry_s or 1.0)
    elif issubclass(kind, MissingExtraError):
        error = kind("", "")
        error.args, error.message, error.remedy = (message,), message, None
    else:
        error = kind(message)
        error.remedy = remedy
    error.where = where
    return error


def loss(lost: Lost, repeatable: bool) -> UnavailableError:
    """Return the error of a request without an answer."""
    error = UnavailableError(lost.message, retry_after_s=1.0)
    error.remedy = "is the server running there? MODWRIGHT_URL names it; `modwright serve` starts one"
    if not repeatable:
        error.remedy += "; look whether it was done before you try again"
    return error


def _told(reply: Reply) -> Mapping[str, Any]:
    try:
        told = json.loads(reply.content)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _unknown(reply: Reply) -> str:
    """Return what can be said of a refusal that is none of a modwright server's."""
    if 300 <= reply.status < 400:
        return f"the server answers from {reply.headers.get('location', 'elsewhere')[:_SHOWN]}: give that address"
    text = " ".join(reply.content[: 4 * _SHOWN].decode(errors="replace").split())[:_SHOWN]
    return f"the server answered with status {reply.status}" + (f": {text}" if text else "")


def _of_status(status: int) -> type[ModwrightError]:
    return _BY_STATUS.get(status, RequestError if status < 500 else ModwrightError)


def _problem(detail: Any) -> ModwrightError:
    """Return one of several fields that are wrong."""
    place, message = _detail(detail)
    where = ".".join(map(str, place))
    return RequestError(message.removeprefix(f"{where}: "), where=where or None)


def _line_problem(detail: Any, file: str | None) -> ModwrightError:
    """Return one of several lines of a file that are wrong; its place is [file, line, field...]."""
    place, message = _detail(detail)
    line = place[1] if len(place) > 1 and isinstance(place[1], int) else None
    field = ".".join(map(str, place[1 if line is None else 2 :]))
    return DataError(message.removeprefix(f"line {line}: "), file=file, line=line, field=field or None)


def _detail(detail: Any) -> tuple[list[Any], str]:
    """Return the path within the body, and what is wrong there."""
    told = detail if isinstance(detail, dict) else {}
    place = told.get("loc")
    return (place[1:] if isinstance(place, list) else []), str(told.get("msg"))
