"""What several rooms need: the tiny base, made and exported once for the whole run, and databases."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from modwright.models.features import FrozenBase
from modwright.settings import Settings
from modwright.storage.database import Database, open_database
from modwright.testing import make_tiny_base, open_tiny_base, tiny_dataset, tiny_recipe
from postgresql_server import PostgreSQL, server_programs

# What is slow on a busy machine is not wrong: properties are judged by what they find, not by the clock.
settings.register_profile("modwright", deadline=None)
settings.load_profile("modwright")


@pytest.fixture(scope="session")
def tiny_base_folder(tmp_path_factory) -> Path:
    """A folder with a tiny BERT; tests only read it."""
    return make_tiny_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory) -> Path:
    """A cache that holds the tiny base's graph."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny_base(tiny_base_folder, tiny_cache) -> FrozenBase:
    """The tiny base, opened."""
    return open_tiny_base(tiny_base_folder, tiny_cache)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A real PostgreSQL server, started once for the whole run."""
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed (initdb is not found): apt install postgresql")
    pytest.importorskip(
        "psycopg", reason="PostgreSQL's driver is not installed: pip install 'psycopg[binary]'"
    )
    server = PostgreSQL(programs)
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path) -> Iterator[str]:
    """The URL of a fresh, migrated database of each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'kept' / 'modwright.db'}"
        database = open_database(url)
        database.migrate()
        database.close()
        yield url
    else:
        server = request.getfixturevalue("postgresql")
        url = server.make()
        yield url
        server.drop(url)


@pytest.fixture
def database(database_url) -> Iterator[Database]:
    """A fresh, migrated database: SQLite, then PostgreSQL."""
    database = open_database(database_url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def tiny_artifacts(tmp_path_factory, tiny_base_folder, tiny_base, tiny_cache) -> tuple[Path, Path]:
    """Two artifacts that answer differently, trained on the tiny base; tests only read them."""
    from modwright.pipeline.train import train  # most tests need none of it

    root = tmp_path_factory.mktemp("artifacts")
    shutil.copytree(tiny_cache / "graphs", root / "home" / "cache" / "graphs")
    home = Settings(home=root / "home", threads=1)
    folders = []
    for seed in (0, 1):
        recipe, dataset = tiny_recipe(tiny_base_folder), tiny_dataset(seed=seed)
        result = train(recipe, dataset, root / f"model{seed}", home, on_event=lambda _: None)
        folders.append(result.folder)
    return folders[0], folders[1]
