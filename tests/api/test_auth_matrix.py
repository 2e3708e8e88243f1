"""Every route of the application, against every set of scopes, no key, wrong keys and other projects' objects.

The matrix follows from the routes: one that declares no scope fails it.
"""

import itertools
import json
import time

import pytest
from factory_fakes import client, made_app, made_factory, made_objects, new_key
from fastapi.routing import iter_route_contexts

from modwright.api.auth import Scope, needs

#: What answers without a key.
PUBLIC = {("GET", "/health"), ("GET", "/openapi.json"), ("HEAD", "/openapi.json")}
#: What a path's parameters stand for where nothing else is meant.
NOBODYS = "0190a000-0000-7000-8000-000000000000"
SCOPE_SETS = [set(some) for n in range(5) for some in itertools.combinations(Scope, n)]


def routes(app):
    """Return (method, path) of everything that answers, and the scope it declares."""
    found = []
    for context in iter_route_contexts(app.routes):
        calls = {d.call for d in context.dependant.dependencies} if hasattr(context, "dependant") else set()
        scopes = [scope for scope in Scope if needs(scope) in calls]
        assert len(scopes) <= 1, context.path
        found += [(method, context.path, (scopes or [None])[0]) for method in context.methods]
    return found


def filled(path, value=NOBODYS):
    return "/".join(value if part.startswith("{") else part for part in path.split("/"))


def ask(asked, method, path, headers):
    return asked.request(method, path, headers=headers, content=b"{}" if method != "GET" else None)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An application with two projects and a key for every set of scopes."""
    settings, factory = made_factory(tmp_path_factory.mktemp("home"))
    app = made_app(settings, factory)
    keys = {frozenset(some): new_key(factory, some)[1] for some in SCOPE_SETS if some}
    with client(app) as asked:
        yield app, factory, asked, keys


def test_every_route_declares_a_scope_or_is_known_to_need_none(server):
    app, *_ = server
    found = routes(app)
    assert len(found) > 40
    assert {(method, path) for method, path, scope in found if scope is None} == PUBLIC


def test_a_scope_fits_what_a_route_does(server):
    app, *_ = server
    for method, path, scope in routes(app):
        inner = path.removeprefix("/mistral").removeprefix("/openai")
        if (method, path) in PUBLIC:
            continue
        if "classifications" in inner or "moderations" in inner:
            expected = Scope.CLASSIFY
        elif inner.startswith("/v1/keys"):
            expected = Scope.ADMIN
        else:
            expected = Scope.READ if method == "GET" else Scope.TRAIN
        assert scope is expected, (method, path)


def test_the_prefixes_have_the_same_routes(server):
    app, *_ = server
    found = {(method, path, scope) for method, path, scope in routes(app) if path.startswith("/v1")}
    for prefix in ("/mistral", "/openai"):
        there = {
            (method, path.removeprefix(prefix), scope)
            for method, path, scope in routes(app)
            if path.startswith(prefix)
        }
        assert there == found


def test_the_document_tells_each_scope(server):
    app, *_ = server
    document = app.openapi()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for method, path, scope in routes(app):
        if path.startswith("/v1"):
            operation = document["paths"][path.replace(":path", "")][method.lower()]
            assert operation["security"] == [{"key": [scope]}]
            assert {"401", "403", "429"} <= set(operation["responses"])


def test_every_route_asks_for_a_key(server):
    app, _, asked, _ = server
    wrong = {
        "none": {},
        "unknown": {"authorization": "Bearer mw-0000000000000000000000000000000000000000000"},
        "basic": {"authorization": "Basic dXNlcjpwYXNz"},
        "empty": {"authorization": "Bearer "},
        "other header": {"x-api-key": "mw-1"},
    }
    for method, path, scope in routes(app):
        some = wrong if path.startswith("/v1") else ("none",)
        for name, headers in ((name, wrong[name]) for name in some if scope is not None):
            answer = ask(asked, method, filled(path), headers)
            assert answer.status_code == 401, (method, path, name)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["type"] == "authentication_error"
            assert answer.json()["error"]["code"] == "unauthorized"


@pytest.mark.parametrize("scopes", SCOPE_SETS[1:], ids=lambda some: "+".join(sorted(some)))
def test_exactly_the_scope_of_a_route_lets_a_key_through(server, scopes):
    app, _, asked, keys = server
    for method, path, scope in routes(app):
        if scope is None or not path.startswith("/v1"):
            continue
        answer = ask(asked, method, filled(path), keys[frozenset(scopes)])
        assert answer.status_code != 401
        refused = (
            answer.status_code == 403 and answer.json()["code"] == "forbidden" and "scope" in answer.text
        )
        assert refused is (scope not in scopes), (method, path, answer.text)


def test_expired_and_revoked_keys_are_refused_on_every_route(server):
    app, factory, asked, _ = server
    _, expiring = new_key(factory, expires_at=time.time() + 0.2)
    revoked, headers = new_key(factory)
    assert asked.get("/v1/models", headers=headers).status_code == 200
    factory.keys.revoke(revoked.id)
    time.sleep(0.25)
    for method, path, scope in routes(app):
        for given in (expiring, headers) if scope is not None else ():
            assert ask(asked, method, filled(path), given).status_code == 401, (method, path)


def test_nothing_tells_another_projects_objects_from_none(server):
    """Whatever project A has, project B gets for it what it gets for an id that never was."""
    app, factory, asked, _ = server
    _, ours = new_key(factory)
    other = factory.projects.create("other")
    _, theirs = new_key(factory, project=other.id)
    objects = made_objects(asked, factory, ours)
    assert set(objects) == {"file_id", "key_id", "job_id", "model_id"}
    for method, path, scope in routes(app):
        parameter = next((part[1:-1].split(":")[0] for part in path.split("/") if part.startswith("{")), None)
        if scope is None or parameter is None or path.startswith(("/mistral", "/openai")):
            continue
        real, nobodys = (
            ask(asked, method, filled(path, value), theirs) for value in (objects[parameter], NOBODYS)
        )
        assert real.status_code == nobodys.status_code, (method, path, real.text, nobodys.text)
        assert scrubbed(real, objects[parameter]) == scrubbed(nobodys, NOBODYS), (method, path)
    for path, body in named_in_bodies(objects):
        real, nobodys = (asked.post(path, json=it, headers=theirs) for it in body)
        assert real.status_code == nobodys.status_code >= 400, (path, real.text, nobodys.text)
        told = [scrubbed(answer, some[key]) for answer, some in ((real, objects),) for key in objects]
        assert scrubbed(nobodys, NOBODYS) in told, (path, real.text, nobodys.text)
    for path, key in (("/v1/files", "file_id"), ("/v1/fine_tuning/jobs", "job_id"), ("/v1/keys", "key_id")):
        assert objects[key] in asked.get(path, headers=ours).text
        assert objects[key] not in asked.get(path, headers=theirs).text
    for key, path in (("file_id", "files"), ("job_id", "fine_tuning/jobs"), ("model_id", "models")):
        assert asked.get(f"/v1/{path}/{objects[key]}", headers=ours).status_code == 200, "it was harmed"


def named_in_bodies(objects):
    """Yield paths and two bodies: one that names an object of another project, one that names nothing."""
    for path in ("classifications", "chat/classifications", "moderations", "chat/moderations"):
        messages = [{"role": "user", "content": "a"}]
        value = "a" if "chat" not in path else messages if "moderations" in path else {"messages": messages}
        yield f"/v1/{path}", [{"model": name, "input": value} for name in (objects["model_id"], NOBODYS)]
    for kind in ("training_files", "validation_files"):
        names = (objects["file_id"], NOBODYS)
        yield "/v1/fine_tuning/jobs", [{"model": "fast", "hyperparameters": {}, kind: [n]} for n in names]
    yield "/openai/v1/fine_tuning/jobs", [{"model": "fast", "training_file": n} for n in names]


def scrubbed(answer, object_id):
    body = answer.json()
    for key in ("request_id", "id"):
        body.pop(key, None)
    return json.dumps(body).replace(object_id, "ID")
