"""Around every request: an id, limits on its headers, body and time, and an answer to errors nobody foresaw."""

from __future__ import annotations

import asyncio
import logging
import re
import traceback
import uuid

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modwright.api.errors import respond
from modwright.errors import UnavailableError
from modwright.settings import Settings

_log = logging.getLogger("modwright.api")

#: Paths whose bodies are files: they may be larger and take longer.
_UPLOAD = re.compile(r"(/mistral|/openai)?/v1/files")
_DOWNLOAD = re.compile(r"(/mistral|/openai)?/v1/(files/[^/]+/content|models/.+/artifact)")
#: The rest of a body that came too slowly or is too large is not read.
_CLOSE = {"connection": "close"}


class Envelope:
    """ASGI middleware, outermost.

    Args:
        settings: max_headers, max_body_bytes or max_upload_bytes (a larger body is refused with 413, by its
            content-length before it is read, else while it streams in), stall_timeout_s (408), and
            max_request_s or max_transfer_s (408 while the body arrives, 503 after).
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                more = {"x-request-id": request_id, **state.get("response_headers", {})}
                headers = [(name.encode(), value.encode()) for name, value in more.items()]
                message = {**message, "headers": [*message["headers"], *headers]}
            await send(message)

        try:
            await self._serve(scope, receive, send_with_id)
        except Exception as error:
            if not isinstance(error, HTTPException | UnavailableError):
                _log_place(error, request_id)
            if started:
                raise ConnectionAbortedError(f"request {request_id} failed while it was answered") from None
            await respond(Request(scope), error)(scope, receive, send_with_id)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(scope["headers"]) > self._settings.max_headers:
            raise HTTPException(
                431, f"the request has more than {self._settings.max_headers} headers", headers=_CLOSE
            )
        body = _Body(receive, self._max_bytes(scope), self._settings.stall_timeout_s)
        if _announced_bytes(scope) > body.max_bytes:
            raise body.too_large()
        allowed_s = self._allowed_s(scope)
        try:
            async with asyncio.timeout(allowed_s) as whole:
                await self._app(scope, body.receive, send)
        except TimeoutError:
            if not whole.expired():
                raise
            if body.arriving:
                raise HTTPException(408, f"took longer than {allowed_s:g} s to arrive", _CLOSE) from None
            raise UnavailableError(f"took longer than {allowed_s:g} s", retry_after_s=1.0) from None

    def _max_bytes(self, scope: Scope) -> int:
        upload = scope["method"] == "POST" and _UPLOAD.fullmatch(scope["path"])
        return self._settings.max_upload_bytes if upload else self._settings.max_body_bytes

    def _allowed_s(self, scope: Scope) -> float:
        transfer = _UPLOAD.fullmatch(scope["path"]) or _DOWNLOAD.fullmatch(scope["path"])
        return self._settings.max_transfer_s if transfer else self._settings.max_request_s


class _Body:
    """What arrives after a request's head, within limits.

    Args:
        receive: where it comes from.
        max_bytes: most bytes of it.
        stall_s: longest wait for the next of them.
    """

    def __init__(self, receive: Receive, max_bytes: int, stall_s: float) -> None:
        self._receive = receive
        self.max_bytes = max_bytes
        self._stall_s = stall_s
        self._taken = 0
        self.arriving = True

    async def receive(self) -> Message:
        """Return the next message; after the body's end it waits, as long as need be, for the client to go."""
        if not self.arriving:
            return await self._receive()
        try:
            async with asyncio.timeout(self._stall_s) as stall:
                message = await self._receive()
        except TimeoutError:
            if not stall.expired():
                raise
            raise HTTPException(
                408, f"no byte of the body came for {self._stall_s:g} s", headers=_CLOSE
            ) from None
        self._taken += len(message.get("body", b""))
        self.arriving = bool(message.get("more_body", False))
        if self._taken > self.max_bytes:
            raise self.too_large()
        return message

    def too_large(self) -> HTTPException:
        """Return the refusal of a body beyond the limit."""
        variable = "MODWRIGHT_MAX_BODY_BYTES or, for files, MODWRIGHT_MAX_UPLOAD_BYTES"
        return HTTPException(
            413,
            f"the body is larger than {self.max_bytes} bytes (send several requests, or raise {variable})",
            headers=_CLOSE,
        )


def _announced_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:18])
    return 0


def _log_place(error: Exception, request_id: str) -> None:
    """Log what failed and where in the code; never the message, which may hold a text."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
    _log.error("request %s failed: %s at %s", request_id, type(error).__name__, where)
