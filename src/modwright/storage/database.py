"""The database: SQLite in a file by default, PostgreSQL by URL; one way to read, one to write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, inspect, make_url, text

from modwright.errors import (
    MissingExtraError,
    ModwrightError,
    SettingsError,
    StorageError,
    StorageFullError,
    UsageError,
)
from modwright.settings import Settings
from modwright.storage.tables import REVISION

_BUSY_TIMEOUT_MS = 30_000
_CONNECT_TIMEOUT_S = 5
_POOL_TIMEOUT_S = 30
_WRITES = "modwright_writes"
_DISK_FULL = "53100"  # PostgreSQL's code
_EXAMPLE = "write postgresql://USER:PASSWORD@HOST/NAME or sqlite:////FOLDER/FILE"


def database_url(settings: Settings) -> str:
    """Return the database's URL: the setting `database`, else a SQLite file in the home folder."""
    return settings.database or f"sqlite:///{settings.home / 'modwright.db'}"


class Database:
    """A database that several threads, processes and, with PostgreSQL, machines use at once.

    Attributes:
        engine: SQLAlchemy's; for expressions that depend on the dialect.
        label: the URL without its password, for messages.
    """

    def __init__(self, url: URL) -> None:
        shown = url.set(drivername=url.get_backend_name())
        self.label = shown.render_as_string(hide_password=True)
        self.engine = _engine(url, self.label)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection inside a transaction that sees one state and changes nothing.

        Raises:
            StorageError: the database cannot be reached, or failed.
            UsageError: a value no database keeps: a NUL or half a character in a text, a number past 64 bits.
        """
        with self._in_words(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection inside a transaction that is kept at the end and undone on an exception.

        On SQLite there is one writer at a time: nothing slow belongs in here.

        Raises:
            StorageError: the database cannot be reached, or failed; nothing was changed.
            StorageFullError: its disk is full; nothing was changed.
            UsageError: see `read`.
        """
        with self._in_words(), self.engine.connect() as connection:
            writing = connection.execution_options(**{_WRITES: True})
            with writing.begin():
                yield writing

    def migrate(self) -> None:
        """Bring the tables to the state that this modwright knows; safe when several processes start at once.

        Raises:
            StorageError: the database cannot be reached, or is one of a later modwright.
        """
        if self.revision() == REVISION:
            return
        from modwright.storage.migrating import migrate  # half a second, for what mostly is done

        with self._in_words():
            migrate(self)

    def revision(self) -> str | None:
        """Return which step the tables are at, None where there are none; raises StorageError."""
        with self.read() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
            return None if found is None else str(found)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except exc.DataError as error:
            raise _unkeepable(error.orig) from None
        except (UnicodeEncodeError, OverflowError) as error:
            raise _unkeepable(error) from None
        except (exc.OperationalError, exc.InterfaceError, exc.InternalError) as error:
            raise self._failed(error) from error
        except exc.TimeoutError as error:
            raise StorageError(
                f"no connection was free within {_POOL_TIMEOUT_S} s", where=self.label, remedy="try again"
            ) from error

    def _failed(self, error: exc.DBAPIError) -> ModwrightError:
        said = (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]
        if getattr(error.orig, "sqlstate", None) == _DISK_FULL or "disk is full" in said:
            return StorageFullError("the database's disk is full", where=self.label, remedy="make room")
        return StorageError(
            f"the database failed: {said}",
            where=self.label,
            remedy="is it running, and may this user use it?",
        )


def open_database(url: str) -> Database:
    """Open a database; no connection is made yet, except that a SQLite file's folder is made.

    Args:
        url: ``sqlite:////folder/file`` or ``postgresql://user:password@host:port/name``.

    Raises:
        SettingsError: no URL of a database that modwright knows.
        MissingExtraError: PostgreSQL without its driver.
        StorageError: the folder of a SQLite file cannot be made.
    """
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):  # their messages hold the URL, and with it the password
        raise SettingsError("the database is given by no URL", remedy=_EXAMPLE) from None
    kind = parsed.drivername.partition("+")[0]
    if kind == "sqlite":
        return Database(_sqlite_url(parsed))
    if kind in ("postgresql", "postgres"):
        try:
            return Database(parsed.set(drivername="postgresql+psycopg"))
        except ImportError:
            raise MissingExtraError("postgresql", "a PostgreSQL database") from None
    raise SettingsError(f"'{kind}' is no database modwright knows", remedy=_EXAMPLE)


def keepable(value: str, where: str) -> str:
    """Return a text that every database keeps; raises UsageError for a NUL or half a character in it."""
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise UsageError("holds a NUL or half a character", where=where, remedy="leave it out")
    return value


def _unkeepable(error: BaseException | None) -> UsageError:
    kind = type(error).__name__
    return UsageError(
        f"a value is none a database keeps ({kind})", remedy="leave out NUL and half characters"
    )


def _sqlite_url(url: URL) -> URL:
    if not url.database or url.database == ":memory:":
        raise SettingsError("the SQLite database names no file", remedy=_EXAMPLE)
    folder = Path(url.database).absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"the folder cannot be made: {error.strerror}", where=str(folder)) from None
    return url.set(drivername="sqlite+pysqlite")


def _engine(url: URL, label: str) -> Engine:
    common: dict[str, Any] = {
        "hide_parameters": True,
        "pool_timeout": _POOL_TIMEOUT_S,
        "pool_size": 5,
        "max_overflow": 20,
    }
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"check_same_thread": False}, **common)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    connect = {"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": "modwright"}
    return create_engine(url, connect_args=connect, pool_pre_ping=True, **common)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says so
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A reader that wants to write later fails at once when another has written: writers say so from the beginning.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
