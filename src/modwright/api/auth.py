"""Who asks, and what they may: a key of a project with scopes, or anyone on this machine where no key exists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import Request

from modwright.errors import ForbiddenError

#: The project of everything that is done without a key.
DEFAULT_PROJECT = "default"


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    CLASSIFY = "classify"
    TRAIN = "train"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        project_id: everything that is found or made belongs to it.
        key_id: None where the server runs without keys.
        scopes: what may be done.
    """

    project_id: str
    key_id: str | None
    scopes: frozenset[Scope]


#: Who asks a server that has no keys: only this machine can.
ANYONE = Principal(DEFAULT_PROJECT, None, frozenset(Scope))


def principal(request: Request) -> Principal:
    """Return who asks; a route that declares `needs` has one."""
    found: Principal = getattr(request.state, "principal", ANYONE)
    return found


def needs(scope: Scope) -> Callable[[Request], None]:
    """Return a FastAPI dependency that lets only keys of that scope through.

    Raises, when called:
        AuthenticationError: no key, or an unknown, expired or revoked one.
        ForbiddenError: the key lacks the scope.
    """

    def check(request: Request) -> None:
        if scope not in principal(request).scopes:
            raise ForbiddenError(f"this key lacks the scope '{scope}'")

    return check
