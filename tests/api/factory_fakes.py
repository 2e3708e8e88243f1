"""A real factory on SQLite and a folder, and clients with keys of it."""

import itertools
import json

from fastapi.testclient import TestClient
from serving_fakes import deployments

from modwright.api.app import create_app
from modwright.api.auth import Gate, Scope
from modwright.cli.opening import open_factory
from modwright.settings import Settings
from modwright.storage.models import NewModel

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


LINES = "".join(
    json.dumps({"text": f"{word} number {n}", "labels": {"moderation": [label]}}) + "\n"
    for n in range(20)
    for word, label in (("a silly goose", "insult"), ("a lovely day", "safe"))
)


def made_objects(asked, factory, headers):
    """Return an id of each kind, of the project whose headers are given."""
    upload = {"file": ("rows.jsonl", LINES.encode(), "application/octet-stream")}
    file = asked.post("/v1/files", files=upload, data={"purpose": "fine-tune"}, headers=headers)
    assert file.status_code == 200, file.text
    order = {
        "model": "fast",
        "training_files": [{"file_id": file.json()["id"], "weight": 1}],
        "hyperparameters": {},
        "auto_start": False,
    }
    job = asked.post("/v1/fine_tuning/jobs", json=order, headers=headers)
    assert job.status_code == 200, job.text
    key = asked.post("/v1/keys", json={"name": "theirs"}, headers=headers).json()
    model_id = "ft:classifier:fast:default:20260101:0190a000"
    with factory.database.write() as connection:
        new = NewModel(model_id, "default", "fast", "0" * 64, {}, [], name="secret plans")
        factory.models.insert(connection, new)
    return {
        "file_id": file.json()["id"],
        "job_id": job.json()["id"],
        "key_id": key["id"],
        "model_id": model_id,
    }
