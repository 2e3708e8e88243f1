"""Bodies of `/v1/keys`: keys of the asking project; the secret is shown once, when it is made."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from modwright.api.auth import Scope
from modwright.api.schemas.native import Strict

if TYPE_CHECKING:
    from modwright.storage.projects import ApiKey

_DAY_S = 86_400.0
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class KeyRequest(Strict):
    """Body of `POST /v1/keys`."""

    name: _Name = Field(description="What it is for; shown in lists.")
    scopes: list[Scope] = Field(
        default=[Scope.READ, Scope.CLASSIFY, Scope.TRAIN],
        min_length=1,
        max_length=4,
        description="What it may do.",
    )
    expires_in_days: float | None = Field(
        default=None, gt=0, le=36_500, description="Days until it expires; never where absent."
    )

    def expires_at(self) -> float | None:
        """Return the Unix second it expires at."""
        return None if self.expires_in_days is None else time.time() + self.expires_in_days * _DAY_S


class Key(BaseModel):
    """A key as it is listed: without its secret."""

    id: str
    object: str
    name: str
    prefix: str = Field(description="How the secret begins, to recognise it by.")
    scopes: list[str]
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None = Field(description="About when it was last used.")


class NewKey(Key):
    """A key that was made just now, with its secret, which is never shown again."""

    key: str


class KeyList(BaseModel):
    """Every key of the project, the newest first."""

    object: str
    data: list[Key]


def key_body(key: ApiKey) -> dict[str, Any]:
    """Return a key without its secret."""
    return {
        "id": key.id,
        "object": "api_key",
        "name": key.name,
        "prefix": key.prefix,
        "scopes": sorted(key.scopes),
        "created_at": int(key.created_at),
        "expires_at": _seconds(key.expires_at),
        "revoked_at": _seconds(key.revoked_at),
        "last_used_at": _seconds(key.last_used_at),
    }


def _seconds(value: float | None) -> int | None:
    return None if value is None else int(value)
