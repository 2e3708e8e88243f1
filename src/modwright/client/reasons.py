"""What both transports say to httpx and make of what it says: headers, timeouts, and why no answer came."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from modwright.client.address import Address
from modwright.client.failures import Lost, Reply
from modwright.client.flow import Request

_CONNECT_S = 10.0


def headers_of(request: Request) -> dict[str, str]:
    """Return what a request says of its body and the answer it takes."""
    told = {} if request.sink is None else {"accept": "application/octet-stream"}
    if request.body is not None:
        length = str(request.body.length)
        told |= {"content-type": request.body.content_type, "content-length": length}
    elif request.document is not None:
        told["content-type"] = "application/json"
    return told


def timeout_of(httpx: ModuleType, where: Address, *, slow: bool) -> Any:
    """Return the timeouts of a request."""
    read_s = where.transfer_timeout_s if slow else where.timeout_s
    return httpx.Timeout(where.timeout_s, connect=min(_CONNECT_S, where.timeout_s), read=read_s)


def total_of(reply: Reply) -> int | None:
    """Return the bytes that an answer announces; None where it does not say."""
    text = reply.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() else None


class Gathered:
    """The bytes of an answer as they arrive, up to a bound."""

    def __init__(self, most_bytes: int | None) -> None:
        self._most = most_bytes
        self._pieces: list[bytes] = []
        self._size = 0

    def takes(self, piece: bytes) -> bool:
        """Keep the next bytes; return whether there is room for them."""
        self._size += len(piece)
        self._pieces.append(piece)
        return self._most is None or self._size <= self._most

    def reply(self, found: Reply) -> Reply:
        """Return a reply with these bytes."""
        return Reply(found.status, found.headers, b"".join(self._pieces))

    def lost(self, where: Address) -> Lost:
        """Say that there are more bytes than are read."""
        return Lost(f"the answer from {where.url} is longer than {self._most or 0:,} bytes", too_long=True)


def lost(httpx: ModuleType, error: Exception, where: Address, *, slow: bool) -> Lost:
    """Say why no answer came."""
    return Lost(_reason(httpx, error, where, slow=slow), isinstance(error, httpx.TimeoutException))


def _reason(httpx: ModuleType, error: Exception, where: Address, *, slow: bool) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return f"cannot reach {where.url}: {_text(error)}"
    if isinstance(error, httpx.TimeoutException):
        waited_s = where.transfer_timeout_s if slow else where.timeout_s
        return f"no answer from {where.url} within {waited_s:g} s"
    return f"the connection to {where.url} broke: {_text(error)}"


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
