"""A server that keeps files, on SQLite and a folder, with the real process that checks them."""

import contextlib
import json

import httpx
from fastapi.testclient import TestClient
from serving_fakes import deployments, settings

from modwright.api.app import create_app
from modwright.api.factory import Factory
from modwright.jobs.service import JobService
from modwright.settings import Settings
from modwright.storage.blobs import open_blobs
from modwright.storage.database import database_url, open_database
from modwright.storage.files import FileStore
from modwright.storage.jobs import JobStore
from modwright.storage.models import ModelStore
from modwright.storage.projects import KeyStore, ProjectStore
from modwright.storage.secrets import Sealer

ROWS = [
    {"text": "you are a silly goose", "labels": {"moderation": ["insult"]}},
    {"text": "hello there", "labels": {"moderation": ["safe"]}},
]


def jsonl(*rows):
    """Return rows as the bytes of a file; a string stands as it is."""
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode()


GOOD = jsonl(*ROWS)


class Shared:
    """A checker that outlives the servers that use it."""

    def __init__(self, checker):
        self.parallel, self.check = checker.parallel, checker.check

    def close(self):
        """Leave it open."""


@contextlib.contextmanager
def kept(folder, checker):
    """Give a factory that keeps files below a folder, with a checker that is shared."""
    made = Settings(home=folder)
    database = open_database(database_url(made))
    database.migrate()
    blobs, sealer = open_blobs(made, database), Sealer(made)
    files, jobs = FileStore(database, blobs), JobStore(database)
    try:
        yield Factory(
            database=database,
            blobs=blobs,
            projects=ProjectStore(database),
            keys=KeyStore(database),
            files=files,
            jobs=jobs,
            models=ModelStore(database, blobs),
            service=JobService(made, files, jobs, sealer),
            checker=Shared(checker),
            sealer=sealer,
        )
    finally:
        database.close()


def asking(factory, **changes):
    """Return a client of an application around a factory."""
    app = create_app(deployments(), settings(**changes), factory)
    return TestClient(app, base_url="http://localhost:8000")


def upload(client, content=GOOD, name="train.jsonl", path="/v1/files", headers=None, **fields):
    """Upload a file; fields' names may hold brackets."""
    return client.post(path, files={"file": (name, content)}, data=fields, headers=headers)


def left(factory):
    """Return how many files are listed, and how many lie in the folders of content, aside or kept."""
    stored = [
        path for path in factory.blobs._aside.parent.rglob("*") if path.is_file() and len(path.name) >= 32
    ]
    return factory.files.list("default").total, len(stored)


def over_socket(url, timeout_s=60):
    """Return a client of a real server."""
    return httpx.Client(base_url=url, timeout=timeout_s)
