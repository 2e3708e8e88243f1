"""Opens what a server or a command keeps: database, blobs, and the parts around them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from modwright.errors import MissingExtraError
from modwright.settings import Settings

if TYPE_CHECKING:
    from modwright.api.auth import Gate
    from modwright.api.factory import Factory
    from modwright.storage.database import Database


@contextlib.contextmanager
def _of_serve() -> Iterator[None]:
    """Turn a missing package of the extra 'serve' into a word about it."""
    try:
        yield
    except ImportError as error:
        raise MissingExtraError("serve", f"this ({error.name} is missing)") from None


def open_migrated(settings: Settings) -> Database:
    """Return the database of the settings, its tables made where they are not.

    Raises:
        SettingsError, StorageError, MissingExtraError: see `storage.database`.
    """
    with _of_serve():
        from modwright.storage.database import database_url, open_database
    database = open_database(database_url(settings))
    database.migrate()
    return database


def open_factory(settings: Settings) -> Factory:
    """Return everything that a server keeps.

    Raises:
        SettingsError, StorageError, MissingExtraError: see `storage.database` and `storage.blobs`.
    """
    with _of_serve():
        from modwright.api.factory import Factory
        from modwright.jobs.checking import ProcessChecker
        from modwright.jobs.dry_run import DryRun
        from modwright.jobs.service import JobService
        from modwright.storage.blobs import open_blobs
        from modwright.storage.files import FileStore
        from modwright.storage.jobs import JobStore
        from modwright.storage.models import ModelStore
        from modwright.storage.projects import KeyStore, ProjectStore
        from modwright.storage.secrets import Sealer
    database = open_migrated(settings)
    blobs, sealer = open_blobs(settings, database), Sealer(settings)
    files, jobs = FileStore(database, blobs), JobStore(database)
    return Factory(
        database=database,
        blobs=blobs,
        projects=ProjectStore(database),
        keys=KeyStore(database),
        files=files,
        jobs=jobs,
        models=ModelStore(database, blobs),
        service=JobService(settings, files, jobs, sealer, DryRun(settings, files, blobs)),
        checker=ProcessChecker(),
        sealer=sealer,
    )


def open_gate(settings: Settings, factory: Factory | None, *, always: bool) -> Gate | None:
    """Return who may ask: those with a key, once there is one; None where nothing was ever kept here.

    Args:
        settings: name the database.
        factory: what the server keeps; None for one that only answers, which asks for keys all the same
            where a database with keys is.
        always: ask for a key even while none exists.
    """
    with _of_serve():
        from modwright.api.auth import Gate
        from modwright.storage.projects import KeyStore
    if factory is not None:
        keys = factory.keys
    elif _is_there(settings):
        keys = KeyStore(open_migrated(settings))
    else:
        return None
    return Gate(keys, always=always or keys.any())


def key_exists(settings: Settings) -> bool:
    """Return whether a key was ever made; makes no database to find out."""
    with _of_serve():
        from modwright.storage.projects import KeyStore
    if not _is_there(settings):
        return False
    database = open_migrated(settings)
    try:
        return KeyStore(database).any()
    finally:
        database.close()


def _is_there(settings: Settings) -> bool:
    """Return whether a database was configured, or the one that is made without a word exists."""
    from modwright.storage.database import database_url

    file = database_url(settings).removeprefix("sqlite:///")
    return settings.database is not None or Path(file).exists()
