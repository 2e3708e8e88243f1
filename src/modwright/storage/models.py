"""Trained models: rows that name the content of an artifact folder, and the aliases that mean them."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exc, insert, select, update

from modwright.errors import ConflictError, ModelNotFoundError, NotFoundError
from modwright.storage.blobs import Blobs
from modwright.storage.clock import now
from modwright.storage.database import Database, keepable
from modwright.storage.references import drop_unused, insert_new, lock, name_all
from modwright.storage.tables import aliases, model_blobs, models

#: What is not there and what is another project's look alike.
_UNKNOWN = "list the models, and name one of them"


@dataclass(frozen=True, slots=True)
class NewModel:
    """A model to be inserted; its files were put before.

    Attributes:
        id: what requests name it by; of one project for good, even when it is deleted.
        job_id: the job that made it, None where none did.
        root: the recipe or base that was trained.
        artifact_id: hash of what decides its answers.
        manifest: relative path to {"bytes", "sha256"} of every file.
        targets: JSON-ready, in order.
    """

    id: str
    project_id: str
    root: str
    artifact_id: str
    manifest: Mapping[str, Mapping[str, Any]]
    targets: builtins.list[Any]
    job_id: str | None = None
    name: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model as it is kept; see `NewModel`; times are Unix seconds by the database's clock."""

    id: str
    project_id: str
    job_id: str | None
    name: str | None
    description: str | None
    root: str
    archived: bool
    artifact_id: str
    manifest: Mapping[str, Mapping[str, Any]]
    targets: builtins.list[Any]
    created_at: float


class ModelStore:
    """Every model of every project; a deleted one is not there any more.

    Each method raises ModelNotFoundError where the project has no such model, and StorageError where the database
    fails.
    """

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def insert(self, connection: Connection, new: NewModel) -> ModelRow:
        """Insert a model in the caller's transaction: with it, or not at all, it is there.

        One reservation of each file's content is used up.

        Raises:
            ConflictError: the id is taken, or the job has a model.
            IntegrityError: content of its manifest was not put, or more than a day ago.
        """
        hashes = [entry["sha256"] for entry in new.manifest.values()]
        name_all(connection, hashes)
        values = {field.name: getattr(new, field.name) for field in fields(NewModel)}
        values |= {"archived": False, "created_at": now(connection), "manifest": dict(new.manifest)}
        try:
            connection.execute(insert(models).values(values))
        except exc.IntegrityError:
            raise ConflictError(f"there is a model '{new.id}', or one of its job, already") from None
        names = [{"model_id": new.id, "sha256": sha256} for sha256 in sorted(set(hashes))]
        if names:
            connection.execute(insert(model_blobs), names)
        return _find(connection, new.project_id, new.id)

    def get(self, project_id: str, model_id: str) -> ModelRow:
        """Return a model by its id."""
        with self._database.read() as connection:
            return _find(connection, project_id, model_id)

    def resolve(self, project_id: str, name: str) -> ModelRow:
        """Return a model by its id or an alias."""
        named = select(aliases.c.model_id).where(_is_alias(project_id, name)).scalar_subquery()
        mine = and_(models.c.project_id == project_id, models.c.deleted_at.is_(None))
        both = select(models).where(mine, (models.c.id == name) | (models.c.id == named))
        with self._database.read() as connection:
            found = [_model(row) for row in connection.execute(both)]
        if not found:
            raise _not_found(name)
        return min(found, key=lambda row: row.id != name)  # an id comes before an alias

    def list(self, project_id: str) -> builtins.list[ModelRow]:
        """Return a project's models, newest first."""
        mine = select(models).where(models.c.project_id == project_id, models.c.deleted_at.is_(None))
        with self._database.read() as connection:
            found = connection.execute(mine.order_by(models.c.created_at.desc(), models.c.id.desc()))
            return [_model(row) for row in found]

    def answering(self) -> set[str]:
        """Return the ids of every project's models that are neither archived nor deleted."""
        with self._database.read() as connection:
            there = and_(models.c.deleted_at.is_(None), models.c.archived.is_(False))
            return set(connection.execute(select(models.c.id).where(there)).scalars())

    def update(self, project_id: str, model_id: str, **changes: str | None) -> ModelRow:
        """Change `name` and `description`, those that are given; None takes one away."""
        unknown = changes.keys() - {"name", "description"}
        if unknown:
            raise TypeError(f"update() got an unexpected keyword argument '{min(unknown)}'")
        for key, value in changes.items():
            keepable(value or "", key)
        return self._changed(project_id, model_id, changes)

    def set_archived(self, project_id: str, model_id: str, archived: bool) -> ModelRow:
        """Let a model rest, or answer again."""
        return self._changed(project_id, model_id, {"archived": archived})

    def delete(self, project_id: str, model_id: str) -> None:
        """Delete a model, its aliases, and the content that nothing else names; its id is not used again."""
        with self._database.write() as connection:
            hashes = [entry["sha256"] for entry in _find(connection, project_id, model_id).manifest.values()]
            lock(connection, hashes)
            gone = update(models).where(_is_alive(project_id, model_id))
            if not connection.execute(gone.values(deleted_at=now(connection))).rowcount:
                raise _not_found(model_id)  # another was faster
            connection.execute(delete(aliases).where(aliases.c.model_id == model_id))
            connection.execute(delete(model_blobs).where(model_blobs.c.model_id == model_id))
            names = drop_unused(connection, hashes)
        self._blobs.delete_objects(names)

    def aliases(self, project_id: str) -> dict[str, str]:
        """Return every alias of a project, with the id of the model that it means."""
        mine = select(aliases).where(aliases.c.project_id == project_id).order_by(aliases.c.alias)
        with self._database.read() as connection:
            return {row.alias: row.model_id for row in connection.execute(mine)}

    def set_alias(self, project_id: str, alias: str, model_id: str) -> None:
        """Let an alias mean a model from now on, whatever it meant before.

        Raises:
            ConflictError: it is the id of a model of the project.
        """
        keepable(alias, "alias")
        with self._database.write() as connection:
            if connection.execute(select(models.c.id).where(_is_alive(project_id, alias))).first():
                raise ConflictError(f"'{alias}' is a model", remedy="choose another alias")
            # Held, so that it is not deleted before the alias is there.
            held = select(models.c.id).where(_is_alive(project_id, model_id)).with_for_update()
            if connection.execute(held).first() is None:
                raise _not_found(model_id)
            values = {"project_id": project_id, "alias": alias, "model_id": model_id}
            insert_new(connection, aliases, values)
            connection.execute(update(aliases).where(_is_alias(project_id, alias)).values(model_id=model_id))

    def drop_alias(self, project_id: str, alias: str) -> None:
        """Take an alias away; raises NotFoundError where the project has no such alias."""
        with self._database.write() as connection:
            if not connection.execute(delete(aliases).where(_is_alias(project_id, alias))).rowcount:
                raise NotFoundError(f"there is no alias '{alias[:200]}'")

    def _changed(self, project_id: str, model_id: str, values: Mapping[str, Any]) -> ModelRow:
        with self._database.write() as connection:
            if values:
                connection.execute(update(models).where(_is_alive(project_id, model_id)).values(**values))
            return _find(connection, project_id, model_id)


def _find(connection: Connection, project_id: str, model_id: str) -> ModelRow:
    row = connection.execute(select(models).where(_is_alive(project_id, model_id))).first()
    if row is None:
        raise _not_found(model_id)
    return _model(row)


def _not_found(name: str) -> ModelNotFoundError:
    return ModelNotFoundError(f"there is no model '{name[:200]}'", remedy=_UNKNOWN)


def _model(row: Row[Any]) -> ModelRow:
    return ModelRow(**{field.name: row._mapping[field.name] for field in fields(ModelRow)})


def _is_alive(project_id: str, model_id: str) -> ColumnElement[bool]:
    return and_(models.c.project_id == project_id, models.c.id == model_id, models.c.deleted_at.is_(None))


def _is_alias(project_id: str, alias: str) -> ColumnElement[bool]:
    return and_(aliases.c.project_id == project_id, aliases.c.alias == alias)
