"""Projects and keys: a secret is shown once and kept as a hash; a revoked key opens nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text, update

from modwright.errors import ConflictError, NotFoundError
from modwright.storage.projects import KeyStore, ProjectStore
from modwright.storage.tables import DEFAULT_PROJECT, api_keys


@pytest.fixture
def keys(database):
    return KeyStore(database)


def test_projects_are_made_once_and_found_by_id_or_name(database):
    projects = ProjectStore(database)
    made = projects.create("forum")
    assert projects.get("forum") == projects.get(made.id) == made
    assert [project.name for project in projects.list()] == [DEFAULT_PROJECT, "forum"]
    with pytest.raises(ConflictError, match="forum"):
        projects.create("forum")
    with pytest.raises(NotFoundError) as caught:
        projects.get("forun")
    assert "'forum'" in str(caught.value)


def test_a_key_is_found_by_its_secret_alone(keys):
    assert not keys.any()
    key, secret = keys.create(DEFAULT_PROJECT, "ci", ["train", "read", "read"], expires_at=4e9)
    assert keys.any()
    assert secret.startswith(key.prefix)
    assert len(secret) > len(key.prefix) + 30
    found = keys.find(secret)
    assert (found.id, found.project_id, found.scopes) == (key.id, DEFAULT_PROJECT, ("read", "train"))
    assert found.expires_at == 4e9
    for wrong in ("", secret[:-1], secret + "x", key.prefix, key.id, "half \ud83d", "nul \0"):
        assert keys.find(wrong) is None


def test_the_secret_is_nowhere_in_the_database(database, keys):
    _, secret = keys.create(DEFAULT_PROJECT, "ci", ["read"])
    with database.read() as connection:
        row = connection.execute(select(api_keys)).one()
    assert secret not in str(row)
    assert secret[12:] not in str(row)


def test_a_revoked_key_opens_nothing_and_the_server_stays_keyed(keys):
    key, secret = keys.create(DEFAULT_PROJECT, "ci", ["read"])
    revoked = keys.revoke(key.prefix)
    assert revoked.revoked_at is not None
    assert keys.revoke(key.id).revoked_at == revoked.revoked_at
    assert keys.find(secret) is None
    assert keys.any()
    assert [listed.id for listed in keys.list()] == [key.id]


def test_keys_belong_to_a_project(database, keys):
    other = ProjectStore(database).create("other")
    key, _ = keys.create(DEFAULT_PROJECT, "ci", ["read"])
    assert keys.list(other.id) == []
    assert [listed.id for listed in keys.list(DEFAULT_PROJECT)] == [key.id]
    with pytest.raises(NotFoundError):
        keys.revoke(key.id, project_id=other.id)
    with pytest.raises(NotFoundError, match="nobody"):
        keys.create("nobody", "ci", ["read"])


def test_the_last_use_is_noted_but_not_at_every_request(database, keys):
    key, secret = keys.create(DEFAULT_PROJECT, "ci", ["read"])
    assert keys.list()[0].last_used_at is None
    keys.find(secret)
    first = keys.list()[0].last_used_at
    assert first == pytest.approx(key.created_at, abs=20)
    keys.find(secret)
    assert keys.list()[0].last_used_at == first
    with database.write() as connection:
        connection.execute(update(api_keys).values(last_used_at=1.0))
    keys.find(secret)
    assert keys.list()[0].last_used_at > first - 1


def test_two_keys_that_begin_alike_are_not_confused(database, keys):
    for name in ("a", "b"):
        keys.create(DEFAULT_PROJECT, name, ["read"])
    with database.write() as connection:
        connection.execute(text("UPDATE api_keys SET prefix = 'mw-same'"))
    with pytest.raises(ConflictError, match="2 keys"):
        keys.revoke("mw-same")
