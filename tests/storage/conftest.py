"""Stores of content: a folder with each database, and a bucket."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modwright.settings import Settings
from modwright.storage.blobs import Blobs, open_blobs
from modwright.storage.database import open_database
from modwright.storage.files import FileStore

sys.path.insert(0, str(Path(__file__).parents[1] / "catalog"))

from stand_ins import Buckets


@pytest.fixture
def folder(tmp_path) -> Path:
    """Where the content of `blobs` lies."""
    return tmp_path / "content"


@pytest.fixture
def blobs(database, folder) -> Blobs:
    """Content in a folder, with each database."""
    return open_blobs(Settings(home=folder), database)


@pytest.fixture
def file_store(database, blobs) -> FileStore:
    """Files with each database."""
    return FileStore(database, blobs)


@pytest.fixture
def bucket_variables(monkeypatch):
    """A bucket `house` on moto's server; the variables lead there."""
    server = Buckets()
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    server.put("house", "made", b"")
    yield server
    server.close()


@pytest.fixture(params=["folder", "bucket"])
def any_blobs(request, tmp_path) -> Blobs:
    """Content in a folder, then in a bucket; the database is SQLite."""
    storage = None
    if request.param == "bucket":
        request.getfixturevalue("bucket_variables")
        storage = "s3://house/below/here"
    database = open_database(f"sqlite:///{tmp_path / 'modwright.db'}")
    database.migrate()
    yield open_blobs(Settings(home=tmp_path, storage=storage), database)
    database.close()
