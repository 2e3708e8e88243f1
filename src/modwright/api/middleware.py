"""Around every request: an id, the limit on its body, and an answer to errors nobody foresaw."""

from __future__ import annotations

import logging
import traceback
import uuid

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modwright.api.errors import respond

_log = logging.getLogger("modwright.api")


class Envelope:
    """ASGI middleware, outermost.

    Args:
        max_body_bytes: a larger body is refused with 413, by its content-length before it is read, else
            while it streams in.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {
                    **message,
                    "headers": [*message["headers"], (b"x-request-id", request_id.encode())],
                }
            await send(message)

        try:
            if self._announced_bytes(scope) > self._max_body_bytes:
                raise self._too_large()
            await self._app(scope, self._limited(receive), send_with_id)
        except Exception as error:
            if not isinstance(error, HTTPException):
                _log_place(error, request_id)
            if started:
                raise ConnectionAbortedError(f"request {request_id} failed while it was answered") from None
            await respond(Request(scope), error)(scope, receive, send_with_id)

    def _announced_bytes(self, scope: Scope) -> int:
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit():
                return int(value[:18])
        return 0

    def _limited(self, receive: Receive) -> Receive:
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_body_bytes:
                raise self._too_large()
            return message

        return limited

    def _too_large(self) -> HTTPException:
        return HTTPException(
            413,
            f"the body is larger than {self._max_body_bytes} bytes (send several requests, or raise "
            "MODWRIGHT_MAX_BODY_BYTES)",
            headers={"connection": "close"},  # the rest of it is not read
        )


def _log_place(error: Exception, request_id: str) -> None:
    """Log what failed and where in the code; never the message, which may hold a text."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
    _log.error("request %s failed: %s at %s", request_id, type(error).__name__, where)
