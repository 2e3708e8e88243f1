"""Who asks, and what they may: a key of a project with scopes, or anyone on this machine where no key exists."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import ipaddress
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi.params import Depends
from starlette.requests import Request

from modwright.api.rate_limits import RateLimits
from modwright.errors import AuthenticationError, ForbiddenError

if TYPE_CHECKING:
    from modwright.storage.projects import ApiKey, KeyStore

#: The project of everything that is done without a key.
DEFAULT_PROJECT = "default"
#: Seconds for which a key that was found is not looked up again: so long may a revoked one live on.
KEY_TTL_S = 3.0
_MOST_CACHED = 10_000
_LONGEST_KEY = 200


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


class Gate:
    """Knows who asks.

    Args:
        keys: where keys are.
        always: ask for a key even while none exists: the server can be reached from elsewhere.
        ttl_s: see `KEY_TTL_S`.
    """

    def __init__(self, keys: KeyStore, *, always: bool = False, ttl_s: float = KEY_TTL_S) -> None:
        self._keys = keys
        self._keyed = always
        self._ttl_s = ttl_s
        self._asked_at = -float("inf")
        self._known: dict[bytes, tuple[ApiKey, float]] = {}
        self._pending: dict[bytes, asyncio.Task[ApiKey | None]] = {}

    @property
    def keyed(self) -> bool:
        """Whether a request needs a key, as far as is known."""
        return self._keyed

    async def admit(self, request: Request) -> Principal:
        """Return who asks.

        Raises:
            AuthenticationError: no key, or an unknown, expired or revoked one.
            ForbiddenError: the server has no keys and a web page of elsewhere asks.
            StorageError: the keys cannot be looked up.
        """
        if not await self._needs_key():
            _check_local(request)
            return ANYONE
        secret = _bearer(request)
        key = await self._find(secret)
        if key is None or key.revoked_at is not None:
            raise AuthenticationError("this key is unknown or was revoked", remedy="ask who runs this server")
        if key.expires_at is not None and key.expires_at <= time.time():
            raise AuthenticationError("this key has expired", remedy="ask who runs this server for another")
        return Principal(key.project_id, key.id, frozenset(map(Scope, key.scopes)))

    def forget(self) -> None:
        """Look every key up again: one was made or revoked here."""
        self._known.clear()
        self._asked_at = -float("inf")

    async def _needs_key(self) -> bool:
        """Return whether a key was ever made; from the first one on, for good, even if all are revoked."""
        if not self._keyed and time.monotonic() - self._asked_at > self._ttl_s:
            self._keyed = await asyncio.to_thread(self._keys.any)
            self._asked_at = time.monotonic()
        return self._keyed

    async def _find(self, secret: str) -> ApiKey | None:
        digest = hashlib.sha256(secret.encode()).digest()
        key, until = self._known.get(digest, (None, 0.0))
        if key is not None and time.monotonic() < until:
            return key
        if digest not in self._pending:  # requests of one key at the same moment share one look
            self._pending[digest] = asyncio.create_task(self._look(digest, secret))
        return await asyncio.shield(self._pending[digest])

    async def _look(self, digest: bytes, secret: str) -> ApiKey | None:
        try:
            until = time.monotonic() + self._ttl_s
            key = await asyncio.to_thread(self._keys.find, secret)
        finally:
            del self._pending[digest]
        self._known.pop(digest, None)
        if key is not None:
            if len(self._known) >= _MOST_CACHED:
                self._known.clear()
            self._known[digest] = (key, until)
        return key


def _bearer(request: Request) -> str:
    """Return the key of the request's one Authorization header; raises AuthenticationError."""
    given = request.headers.getlist("authorization")
    if not given:
        raise AuthenticationError(
            "the request has no key", remedy="send the header 'Authorization: Bearer <key>'"
        )
    scheme, _, secret = given[0].partition(" ")
    secret = secret.strip()
    plain = secret.isascii() and secret.isprintable() and " " not in secret
    if len(given) > 1 or scheme.lower() != "bearer" or not secret or len(secret) > _LONGEST_KEY or not plain:
        raise AuthenticationError(
            "the header Authorization holds no key", remedy="expected 'Authorization: Bearer <key>', once"
        )
    return secret


def _check_local(request: Request) -> None:
    """Refuse what a browser sends for a page of elsewhere: without keys, only its address tells it apart.

    Raises:
        ForbiddenError: the Host or Origin is a public name; a page could have made it point at this machine.
    """
    for header in ("host", "origin"):
        for value in request.headers.getlist(header):
            if not _is_local(value):
                raise ForbiddenError(
                    f"the header {header} is '{value[:100]}'; a server without keys answers this machine only",
                    remedy="ask for localhost, or make a key: modwright keys create",
                )


def _is_local(address: str) -> bool:
    """Return whether a Host or Origin is an IP address or a name without a dot, which no stranger owns."""
    try:
        name = urlsplit(address if "://" in address else f"//{address}").hostname
    except ValueError:
        return False
    if not name or address == "null":
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name
    return True


def principal(request: Request) -> Principal:
    """Return who asks, on a route that declares `needs`; raises AuthenticationError on any other."""
    found: Principal | None = getattr(request.state, "principal", None)
    if found is None:
        raise AuthenticationError("this path does not ask who you are, so nobody may use it")
    return found


@functools.cache
def needs(scope: Scope) -> Callable[[Request], Awaitable[None]]:
    """Return the FastAPI dependency that lets only keys of that scope through.

    Raises, when called:
        AuthenticationError, ForbiddenError, StorageError: see `Gate.admit`.
        ForbiddenError: the key lacks the scope.
        RateLimitedError: the key has asked too often.
    """

    async def check(request: Request) -> None:
        gate: Gate | None = request.app.state.gate
        limits: RateLimits = request.app.state.rate_limits
        asking: Principal | None = getattr(request.state, "principal", None)  # by an address that was given
        if asking is None:
            asking = ANYONE if gate is None else await gate.admit(request)
        request.state.principal = asking
        allowance = limits.take(asking.key_id or "", scope)
        if allowance is not None:
            request.state.response_headers = allowance.headers()
            allowance.check()
        if scope not in asking.scopes:
            raise ForbiddenError(f"this key lacks the scope '{scope}'", remedy="ask for a key that has it")

    return check


def declared_scope(dependencies: Iterable[Depends]) -> Scope | None:
    """Return the scope that a route's dependencies need, None where they declare none."""
    calls = {dependency.dependency for dependency in dependencies}
    return next((scope for scope in Scope if needs(scope) in calls), None)
