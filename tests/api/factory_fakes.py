"""A real factory on SQLite and a folder, and clients with keys of it."""

import itertools

from fastapi.testclient import TestClient
from serving_fakes import deployments

from modwright.api.app import create_app
from modwright.api.auth import Gate, Scope
from modwright.cli.opening import open_factory
from modwright.settings import Settings

_numbers = itertools.count()


def made_factory(folder, **changes):
    """Return settings and a factory whose database and blobs are in a folder."""
    settings = Settings(home=folder, **changes)
    return settings, open_factory(settings)


def made_app(settings, factory, *, ttl_s=0.0, always=False, **served):
    """Return an application that looks every key up at each request."""
    gate = Gate(factory.keys, always=always, ttl_s=ttl_s)
    return create_app(deployments(**served), settings, factory, gate=gate)


def new_key(factory, scopes=tuple(Scope), *, project="default", expires_at=None):
    """Return a key's row and headers that carry its secret."""
    name = f"key {next(_numbers)}"
    key, secret = factory.keys.create(project, name, [str(scope) for scope in scopes], expires_at)
    return key, {"authorization": f"Bearer {secret}"}


def client(app):
    """Return a client that sees errors as answers."""
    return TestClient(app, raise_server_exceptions=False)
