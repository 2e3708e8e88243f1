"""Which client is asking: a request's dialect by path, explicit header, or the client's own headers."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum

from starlette.requests import Request

from modwright.errors import RequestError, nearest

#: Header by which any client may choose.
HEADER = "x-api-dialect"
_OPENAI_AGENT = re.compile(r"^\w*OpenAI/")


class Dialect(StrEnum):
    """Whose shape an answer takes where the two differ."""

    MISTRAL = "mistral"
    OPENAI = "openai"


def fixed(dialect: Dialect) -> Callable[[Request], None]:
    """Return a dependency that fixes the dialect of every route below a path prefix."""

    def fix(request: Request) -> None:
        request.state.dialect = dialect

    return fix


def dialect_of(request: Request) -> Dialect:
    """Return the dialect: by path, else by header, else OpenAI for its own clients, else Mistral.

    Raises:
        RequestError: the header names no dialect.
    """
    by_path: Dialect | None = getattr(request.state, "dialect", None)
    if by_path is not None:
        return by_path
    chosen = request.headers.get(HEADER)
    if chosen is not None:
        if chosen not in tuple(Dialect):
            raise RequestError(f"header {HEADER} is '{chosen[:100]}'", remedy=nearest(chosen, tuple(Dialect)))
        return Dialect(chosen)
    agent = request.headers.get("user-agent", "")
    if "x-stainless-lang" in request.headers or _OPENAI_AGENT.match(agent):
        return Dialect.OPENAI
    return Dialect.MISTRAL
