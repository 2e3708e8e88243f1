"""Projects, which see nothing of each other, and the keys that open them."""

from __future__ import annotations

import builtins
import hashlib
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Row, exc, insert, or_, select, update

from modwright.errors import ConflictError, NotFoundError, StorageError, nearest
from modwright.storage.clock import now, now_expression
from modwright.storage.database import Database, keepable
from modwright.storage.tables import api_keys, projects

_PREFIX = "mw-"
#: How much of a key is kept and shown, to tell it apart; the rest has more than 200 random bits.
_SHOWN = len(_PREFIX) + 6
#: `last_used_at` is exact to this; it is not written at every request.
_USED_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Project:
    """Whose files, jobs and models; times are Unix seconds."""

    id: str
    name: str
    created_at: float


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept: not the key itself.

    Attributes:
        prefix: how the key begins, to tell it apart.
        scopes: what it may be used for, sorted.
        last_used_at: exact to a minute.
    """

    id: str
    project_id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None


class ProjectStore:
    """Every project; `default` is there from the beginning."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str) -> Project:
        """Make a project; raises ConflictError where there is one of that name."""
        keepable(name, "name")
        with self._database.write() as connection:
            project = Project(str(uuid.uuid4()), name, now(connection))
            values = {field.name: getattr(project, field.name) for field in fields(Project)}
            try:
                connection.execute(insert(projects).values(values))
            except exc.IntegrityError:
                raise ConflictError(f"there is a project '{name}' already") from None
            return project

    def get(self, name: str) -> Project:
        """Return a project by its id or name; raises NotFoundError, with the nearest name."""
        with self._database.read() as connection:
            wanted = or_(projects.c.id == name, projects.c.name == name)
            row = connection.execute(select(projects).where(wanted).order_by(projects.c.id != name)).first()
            if row is None:
                known = connection.execute(select(projects.c.name)).scalars().all()
                raise NotFoundError(f"there is no project '{name[:200]}'", remedy=nearest(name, known))
            return Project(**row._mapping)

    def list(self) -> builtins.list[Project]:
        """Return every project, oldest first."""
        with self._database.read() as connection:
            found = connection.execute(select(projects).order_by(projects.c.created_at, projects.c.id))
            return [Project(**row._mapping) for row in found]


class KeyStore:
    """Every key; only the hash of each is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, project_id: str, name: str, scopes: Iterable[str], expires_at: float | None = None
    ) -> tuple[ApiKey, str]:
        """Make a key and return it with its secret, which is shown this once.

        Args:
            project_id: what it opens.
            name: what people call it.
            scopes: what it may be used for.
            expires_at: Unix seconds; None keeps it until it is revoked.

        Raises:
            NotFoundError: there is no such project.
        """
        keepable(name, "name")
        secret = _PREFIX + secrets.token_urlsafe(32)
        with self._database.write() as connection:
            if connection.execute(select(projects.c.id).where(projects.c.id == project_id)).first() is None:
                raise NotFoundError(f"there is no project '{project_id[:200]}'")
            values = {
                "id": str(uuid.uuid4()),
                "project_id": project_id,
                "name": name,
                "prefix": secret[:_SHOWN],
                "sha256": _hash(secret),
                "scopes": sorted({str(scope) for scope in scopes}),
                "created_at": now(connection),
                "expires_at": expires_at,
            }
            connection.execute(insert(api_keys).values(values))
            row = connection.execute(select(api_keys).where(api_keys.c.id == values["id"])).one()
            return _key(row), secret

    def find(self, secret: str) -> ApiKey | None:
        """Return the key with this secret, None for an unknown or revoked one; whether it has expired, it says."""
        with self._database.read() as connection:
            mine = (api_keys.c.sha256 == _hash(secret)) & api_keys.c.revoked_at.is_(None)
            row = connection.execute(select(api_keys).where(mine)).first()
            at = now(connection)
        if row is None:
            return None
        if row.last_used_at is None or row.last_used_at < at - _USED_EVERY_S:
            self._note_use(row.id)
        return _key(row)

    def list(self, project_id: str | None = None) -> builtins.list[ApiKey]:
        """Return the keys of one project, or of all, oldest first; revoked ones too."""
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        if project_id is not None:
            query = query.where(api_keys.c.project_id == project_id)
        with self._database.read() as connection:
            return [_key(row) for row in connection.execute(query)]

    def revoke(self, key_id: str, project_id: str | None = None) -> ApiKey:
        """Let a key open nothing any more, for good.

        Args:
            key_id: id, or prefix as it is shown.
            project_id: look among the keys of this project only.

        Raises:
            NotFoundError: there is no such key.
            ConflictError: several keys begin like this.
        """
        wanted = or_(api_keys.c.id == key_id, api_keys.c.prefix == key_id)
        if project_id is not None:
            wanted &= api_keys.c.project_id == project_id
        with self._database.write() as connection:
            found = connection.execute(select(api_keys).where(wanted)).all()
            if not found:
                raise NotFoundError(f"there is no key '{key_id[:100]}'", remedy="list the keys, and name one")
            if len(found) > 1:
                raise ConflictError(f"{len(found)} keys begin with '{key_id[:100]}'", remedy="give its id")
            mine = api_keys.c.id == found[0].id
            if found[0].revoked_at is None:
                connection.execute(update(api_keys).where(mine).values(revoked_at=now(connection)))
            return _key(connection.execute(select(api_keys).where(mine)).one())

    def any(self) -> bool:
        """Return whether a key was ever made: revoking the last one does not open the server to everybody."""
        with self._database.read() as connection:
            return connection.execute(select(api_keys.c.id).limit(1)).first() is not None

    def _note_use(self, key_id: str) -> None:
        try:
            with self._database.write() as connection:
                used = update(api_keys).where(api_keys.c.id == key_id)
                connection.execute(used.values(last_used_at=now_expression(connection)))
        except StorageError:
            return  # a full disk refuses nobody


def _key(row: Row[Any]) -> ApiKey:
    values = {field.name: row._mapping[field.name] for field in fields(ApiKey)}
    return ApiKey(**{**values, "scopes": tuple(values["scopes"])})


def _hash(secret: str) -> str:
    # Random secrets of 256 bits can't be guessed from their hash: a slow one would only slow every request.
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
