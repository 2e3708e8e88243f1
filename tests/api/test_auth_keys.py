"""Keys: how long a revoked one lives, what is made of hostile headers, and that none is ever written anywhere."""

import logging
import threading
import time

import pytest
from factory_fakes import client, made_app, made_factory, new_key
from fastapi.testclient import TestClient
from serving_fakes import deployments

from modwright.api.app import create_app
from modwright.api.auth import KEY_TTL_S, Gate, Scope
from modwright.errors import StorageError


@pytest.fixture
def made(tmp_path):
    return made_factory(tmp_path / "home")


def test_without_a_key_anyone_may_do_anything_until_the_first_is_made(made):
    settings, factory = made
    with client(made_app(settings, factory)) as asked:
        assert asked.get("/v1/keys").json()["data"] == []
        assert asked.get("/v1/models", headers={"authorization": "Bearer unused"}).status_code == 200
        made_key = asked.post("/v1/keys", json={"name": "first", "scopes": ["admin"]})
        assert made_key.status_code == 200
        assert asked.get("/v1/keys").status_code == 401
        headers = {"authorization": f"Bearer {made_key.json()['key']}"}
        assert asked.get("/v1/keys", headers=headers).status_code == 200


def test_a_server_whose_keys_are_all_revoked_lets_nobody_in(made):
    settings, factory = made
    key, headers = new_key(factory)
    factory.keys.revoke(key.id)
    with client(made_app(settings, factory)) as asked:
        assert asked.get("/v1/models").status_code == 401
        assert asked.get("/v1/models", headers=headers).status_code == 401


def test_a_server_that_others_can_reach_never_does_without_a_key(made):
    settings, factory = made
    with client(made_app(settings, factory, always=True)) as asked:
        assert asked.get("/v1/models").status_code == 401
        assert asked.get("/health").status_code == 200


def test_a_revoked_key_ends_within_seconds_and_at_once_where_it_was_revoked(made):
    assert KEY_TTL_S <= 5
    settings, factory = made
    admin, use, other = (new_key(factory) for _ in range(3))
    with client(made_app(settings, factory, ttl_s=0.5)) as asked:
        for _, headers in (use, other):
            assert asked.get("/v1/models", headers=headers).status_code == 200
        asked.delete(f"/v1/keys/{use[0].id}", headers=admin[1])
        assert asked.get("/v1/models", headers=use[1]).status_code == 401
        assert asked.get("/v1/models", headers=other[1]).status_code == 200
        factory.keys.revoke(other[0].id)  # as another process would
        time.sleep(0.6)
        assert asked.get("/v1/models", headers=other[1]).status_code == 401


def test_a_key_is_looked_up_once_in_a_while_not_at_each_request(made):
    settings, factory = made
    _, headers = new_key(factory)
    looks = []

    class Counted:
        def any(self):
            return True

        def find(self, secret):
            looks.append(secret)
            time.sleep(0.1)
            return factory.keys.find(secret)

    app = create_app(deployments(), settings, factory, gate=Gate(Counted(), ttl_s=5))
    with client(app) as asked:
        threads = [
            threading.Thread(target=lambda: asked.get("/v1/models", headers=headers)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert asked.get("/v1/models", headers=headers).status_code == 200
        assert len(looks) == 1
        for _ in range(2):  # a key that is not known may be made at any moment
            assert asked.get("/v1/models", headers={"authorization": "Bearer mw-no"}).status_code == 401
        assert len(looks) == 3


def test_a_database_that_is_away_is_503_not_open(made):
    settings, factory = made

    class Away:
        def any(self, *_):
            raise StorageError("the database cannot be reached")

        find = any

    for always in (True, False):
        gate = Gate(Away(), always=always, ttl_s=0)
        with client(create_app(deployments(), settings, factory, gate=gate)) as asked:
            answer = asked.get("/v1/models", headers={"authorization": "Bearer mw-1"})
            assert (answer.status_code, answer.json()["code"]) == (503, "storage_failed")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"bearer  ",
        b"Bearer a b",
        b"Bearer \xff\xfe",
        b"Bearer " + "ключ".encode(),
        b"Bearer " + b"a" * 10_000,
        b"Bearer mw-\x00",
        b"Bearer ' OR 1=1 --",
        b"Digest mw-1",
        b"mw-1",
    ],
)
def test_a_hostile_header_is_401(made, value):
    settings, factory = made
    new_key(factory)
    with client(made_app(settings, factory)) as asked:
        answer = asked.get("/v1/models", headers=[(b"authorization", value)])
    assert answer.status_code == 401
    assert "mw-1" not in answer.text


def test_the_scheme_may_be_written_small_and_a_second_header_is_refused(made):
    settings, factory = made
    _, headers = new_key(factory)
    value = headers["authorization"]
    with client(made_app(settings, factory)) as asked:
        small = {"authorization": value.replace("Bearer", "bearer")}
        assert asked.get("/v1/models", headers=small).status_code == 200
        twice = [("authorization", value), ("authorization", value)]
        assert asked.get("/v1/models", headers=twice).status_code == 401


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"host": "127.0.0.1:8000"}, True),
        ({"host": "[::1]:8000"}, True),
        ({"host": "localhost"}, True),
        ({"host": "modwright:8000"}, True),
        ({"host": "evil.example"}, False),
        ({"host": "127.0.0.1.evil.example:8000"}, False),
        ({"host": "[::1"}, False),
        ({"origin": "http://localhost:3000"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
    ],
)
def test_without_keys_a_web_page_of_elsewhere_cannot_ask(made, headers, allowed):
    settings, factory = made
    with client(made_app(settings, factory)) as asked:
        answer = asked.get("/v1/models", headers=headers)
        assert answer.status_code == (200 if allowed else 403)
        _, key = new_key(factory)
        assert asked.get("/v1/models", headers=headers | key).status_code == 200


def test_keys_over_http_are_made_listed_and_revoked(made):
    settings, factory = made
    _, admin = new_key(factory, [Scope.ADMIN])
    with client(made_app(settings, factory)) as asked:
        body = {"name": "ci", "scopes": ["classify", "read", "classify"], "expires_in_days": 0.5}
        new = asked.post("/v1/keys", json=body, headers=admin)
        assert new.headers["cache-control"] == "no-store"
        told = new.json()
        assert told["scopes"] == ["classify", "read"]
        assert told["key"].startswith(told["prefix"])
        assert len(told["key"]) > 40
        assert told["expires_at"] == pytest.approx(time.time() + 43_200, abs=30)
        headers = {"authorization": f"Bearer {told['key']}"}
        assert asked.get("/v1/models", headers=headers).status_code == 200
        assert asked.get("/v1/keys", headers=headers).status_code == 403
        listed = asked.get("/v1/keys", headers=admin)
        assert told["id"] in [key["id"] for key in listed.json()["data"]]
        assert told["key"] not in listed.text
        revoked = asked.delete(f"/v1/keys/{told['id']}", headers=admin).json()
        assert revoked["revoked_at"] is not None
        assert "key" not in revoked
        assert asked.delete("/v1/keys/none", headers=admin).status_code == 404
        assert asked.get("/v1/models", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a", "scopes": []}, "scopes"),
        ({"name": "a", "scopes": ["root"]}, "scopes.0"),
        ({"name": "a", "expires_in_days": 0}, "expires_in_days"),
        ({"name": "a", "project": "b"}, "project"),
    ],
)
def test_a_wrong_order_of_a_key_names_the_field(made, body, field):
    settings, factory = made
    with client(made_app(settings, factory)) as asked:
        refused = asked.post("/v1/keys", json=body)
        assert refused.status_code == 400
        assert refused.json()["param"] == field
        assert asked.get("/v1/keys").json()["data"] == []


def test_a_key_is_never_written_anywhere(made, caplog, capfd, tmp_path):
    settings, factory = made
    key, headers = new_key(factory, [Scope.READ])
    secret = headers["authorization"].removeprefix("Bearer ")
    told = []
    with caplog.at_level(logging.DEBUG), client(made_app(settings, factory)) as asked:
        for path in ("/v1/models", "/v1/keys", "/v1/files", "/v1/fine_tuning/jobs", "/none", "/openapi.json"):
            for method in ("GET", "POST", "DELETE"):
                answer = asked.request(method, path, headers=headers, json={"model": secret[:10]})
                told.append(answer.text.replace(secret[:10], "") + str(answer.headers))
        told.append(asked.get("/v1/models", headers={"authorization": f"Token {secret}"}).text)
    printed = capfd.readouterr()
    assert secret not in "".join([*told, caplog.text, printed.out, printed.err, repr(key), str(key)])
    kept = b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert secret.encode() not in kept
    assert key.id.encode() in kept


def test_a_server_without_a_factory_asks_for_nothing_unless_it_is_given_a_gate(made):
    settings, factory = made
    _, headers = new_key(factory, [Scope.CLASSIFY])
    with TestClient(create_app(deployments(), settings)) as asked:
        assert asked.post("/v1/moderations", json={"input": "a"}).status_code == 200
        assert asked.get("/v1/keys").status_code == 404
        assert "securitySchemes" not in asked.get("/openapi.json").json()["components"]
    with TestClient(create_app(deployments(), settings, gate=Gate(factory.keys))) as asked:
        assert asked.post("/v1/moderations", json={"input": "a"}).status_code == 401
        assert asked.post("/v1/moderations", json={"input": "a"}, headers=headers).status_code == 200
        assert asked.get("/v1/models", headers=headers).status_code == 403
