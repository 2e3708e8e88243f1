"""How the tables come to be as the code knows them: Alembic's steps, in one transaction, by one process at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from modwright.errors import StorageError
from modwright.files import locked

if TYPE_CHECKING:
    from modwright.storage.database import Database

_STEPS = Path(__file__).parent / "migrations"
_LOCK = 0x6D6F6477  # any number that no one else takes: "modw"
# Alembic keeps what it is about in module variables.
_one_at_a_time = threading.Lock()


def steps() -> ScriptDirectory:
    """Return the steps from nothing to the tables of today."""
    return ScriptDirectory(str(_STEPS))


def migrate(database: Database) -> None:
    """Take the steps that a database has not taken yet; raises StorageError, see `Database.migrate`."""
    with _one_at_a_time, _alone(database):
        there = database.revision()
        if there not in {None, *(step.revision for step in steps().walk_revisions())}:
            raise StorageError(
                f"the database is in the state '{there}', which this modwright does not know",
                where=database.label,
                remedy="a later modwright has used it: run that one",
            )
        with database.write() as connection:
            _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = Config()
    config.set_main_option("script_location", str(_STEPS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")  # looks again, now that it is alone, which steps were taken


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Keep other processes away from a SQLite file that is set up; PostgreSQL has a lock of its own."""
    if database.engine.dialect.name != "sqlite":
        yield
        return
    with locked(Path(str(database.engine.url.database))):
        with database.engine.connect() as connection:
            connection.connection.cursor().execute("PRAGMA journal_mode = WAL")
        yield
