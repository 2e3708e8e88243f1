"""Uploaded files: rows that name content, each of one project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, or_, select, update

from modwright.errors import NotFoundError
from modwright.storage.blobs import Blobs
from modwright.storage.clock import new_id, now, now_expression
from modwright.storage.database import Database, keepable
from modwright.storage.paging import Cursor, Page, Paged, paged
from modwright.storage.references import drop_unused, insert_new, lock, name_all
from modwright.storage.tables import files

#: What is not there and what is another project's look alike.
_UNKNOWN = "list the files, and name one of them"


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to be added; its content was committed before.

    Attributes:
        filename: as its owner calls it; never a path on this machine.
        sha256: of the content.
        bytes: size of the content.
        num_lines: records that were found, where they were counted.
        expires_in_s: seconds after which it goes; None keeps it.
        summary: what the check found, JSON-ready; no texts.
    """

    filename: str
    sha256: str
    bytes: int
    purpose: str = "fine-tune"
    num_lines: int | None = None
    mimetype: str | None = None
    sample_type: str = "instruct"
    source: str = "upload"
    visibility: str | None = None
    expires_in_s: float | None = None
    summary: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file as it is kept; times are Unix seconds by the database's clock."""

    id: str
    project_id: str
    filename: str
    purpose: str
    bytes: int
    sha256: str
    num_lines: int | None
    mimetype: str | None
    sample_type: str
    source: str
    visibility: str | None
    created_at: float
    expires_at: float | None
    summary: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class FileFilters:
    """Which files to list; an empty filter lets all through.

    Attributes:
        search: part of the file's name, in any case.
    """

    purpose: str | None = None
    sample_types: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    mimetypes: tuple[str, ...] = ()
    search: str | None = None


class FileStore:
    """Every file of every project; one that has expired is not there any more, even before `expire` removed it."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def add(self, project_id: str, new: NewFile) -> FileRow:
        """Add a file, or return the one that is there: of the same content, name and purpose.

        That one then lives as long as the longer-lived of the two. One reservation of the content is used up.

        Raises:
            UsageError: a name with a NUL or half a character.
            IntegrityError: the content was not committed, or more than a day ago.
            StorageError: the database failed; the content stays reserved.
        """
        keepable(new.filename, "filename")
        with self._database.write() as connection:
            name_all(connection, [new.sha256])
            at = now(connection)
            same = _same(project_id, new)
            connection.execute(delete(files).where(same, files.c.expires_at <= at))
            insert_new(connection, files, _values(project_id, new, at))
            row = _file(connection.execute(select(files).where(same)).one())
            until = None if new.expires_in_s is None else at + new.expires_in_s
            if row.expires_at is not None and (until is None or until > row.expires_at):
                connection.execute(update(files).where(files.c.id == row.id).values(expires_at=until))
                row = _file(connection.execute(select(files).where(files.c.id == row.id)).one())
            return row

    def get(self, project_id: str, file_id: str) -> FileRow:
        """Return a file; raises NotFoundError where the project has none of that id, or it has expired."""
        with self._database.read() as connection:
            return _find(connection, project_id, file_id)

    def list(
        self, project_id: str, filters: FileFilters | None = None, page: Page | Cursor | None = None
    ) -> Paged[FileRow]:
        """Return a page of files, newest first unless a cursor says otherwise."""
        with self._database.read() as connection:
            query = select(files).where(
                files.c.project_id == project_id,
                _is_alive(connection),
                *_conditions(filters or FileFilters()),
            )
            return paged(connection, query, files.c.id, page or Page(), _file)

    def delete(self, project_id: str, file_id: str) -> None:
        """Delete a file, and its content where nothing else names it.

        Raises:
            NotFoundError: the project has no such file.
            StorageError: the database or the store failed.
        """
        with self._database.write() as connection:
            sha256 = _find(connection, project_id, file_id).sha256
            lock(connection, [sha256])
            mine = and_(files.c.project_id == project_id, files.c.id == file_id)
            if not connection.execute(delete(files).where(mine)).rowcount:
                raise _not_found(file_id)  # another was faster
            names = drop_unused(connection, [sha256])
        self._blobs.delete_objects(names)

    def expire(self) -> int:
        """Remove the files that are past their time, and content that nobody names; return how many files."""
        over = files.c.expires_at.is_not(None) & (files.c.expires_at <= now_expression(self._database.engine))
        with self._database.read() as connection:
            found = connection.execute(select(files.c.id, files.c.sha256).where(over)).all()
        removed = 0
        for file_id, sha256 in found:
            with self._database.write() as connection:
                lock(connection, [sha256])
                removed += connection.execute(delete(files).where(files.c.id == file_id, over)).rowcount
                names = drop_unused(connection, [sha256])
            self._blobs.delete_objects(names)
        self._blobs.drop_expired()
        return removed


def _find(connection: Connection, project_id: str, file_id: str) -> FileRow:
    mine = and_(files.c.project_id == project_id, files.c.id == file_id, _is_alive(connection))
    row = connection.execute(select(files).where(mine)).first()
    if row is None:
        raise _not_found(file_id)
    return _file(row)


def _not_found(file_id: str) -> NotFoundError:
    return NotFoundError(f"there is no file '{file_id[:100]}'", remedy=_UNKNOWN)


def _file(row: Row[Any]) -> FileRow:
    return FileRow(**{field.name: row._mapping[field.name] for field in fields(FileRow)})


def _values(project_id: str, new: NewFile, at: float) -> dict[str, Any]:
    values = {field.name: getattr(new, field.name) for field in fields(NewFile)}
    lifetime_s = values.pop("expires_in_s")
    expires_at = None if lifetime_s is None else at + lifetime_s
    return {**values, "id": new_id(at), "project_id": project_id, "created_at": at, "expires_at": expires_at}


def _same(project_id: str, new: NewFile) -> ColumnElement[bool]:
    return and_(
        files.c.project_id == project_id,
        files.c.sha256 == new.sha256,
        files.c.filename == new.filename,
        files.c.purpose == new.purpose,
    )


def _is_alive(connection: Connection) -> ColumnElement[bool]:
    return or_(files.c.expires_at.is_(None), files.c.expires_at > now_expression(connection))


def _conditions(filters: FileFilters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.purpose is not None:
        conditions.append(files.c.purpose == filters.purpose)
    for column, values in (
        (files.c.sample_type, filters.sample_types),
        (files.c.source, filters.sources),
        (files.c.mimetype, filters.mimetypes),
    ):
        if values:
            conditions.append(column.in_(values))
    if filters.search:
        conditions.append(files.c.filename.icontains(filters.search, autoescape=True))
    return conditions
