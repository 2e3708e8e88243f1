"""One shape of error on every route and every status."""

import inspect
import threading
import time

import pytest
from fastapi.testclient import TestClient
from serving_fakes import FailingClassifier, deployments, settings

import modwright.errors as tree
from modwright.api.app import create_app
from modwright.api.errors import STATUS, refusal, status_of

POSTS = ("/v1/classifications", "/v1/chat/classifications", "/v1/moderations", "/v1/chat/moderations")
GETS = ("/v1/models", "/v1/models/goose")
LIMITS = {"max_inputs": 1_024, "max_upload_bytes": 2_000_000_000}
PREFIXES = ("", "/mistral", "/openai")
ALL_POSTS = [prefix + path for prefix in PREFIXES for path in POSTS]
ALL_GETS = [prefix + path for prefix in PREFIXES for path in GETS] + ["/health"]


def client(*classifiers, **changes):
    app = create_app(deployments(*classifiers, **changes), settings(**changes))
    return TestClient(app, raise_server_exceptions=False)


def good_body(path, text="you are kind"):
    messages = [{"role": "user", "content": text}]
    if "chat" not in path:
        return {"model": "goose", "input": text}
    return {"model": "goose", "input": messages if "moderations" in path else {"messages": messages}}


def check_shape(response, status, code):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body["object"] == "error"
    assert body["error"] == {key: body[key] for key in ("message", "type", "param", "code")}
    assert body["code"] == code
    assert body["message"]
    assert body["type"].endswith("_error")
    assert isinstance(body["detail"], list)
    assert body["detail"]
    for item in body["detail"]:
        assert set(item) == {"loc", "msg", "type"}
        assert item["loc"][0] in ("body", "path")
    assert body["request_id"] == response.headers["x-request-id"]
    return body


def test_the_lists_above_name_every_route():
    app = client().app
    assert set(app.openapi()["paths"]) == {*POSTS, "/v1/models", "/v1/models/{model_id}", "/health"}


@pytest.mark.parametrize("path", ALL_POSTS)
def test_every_status_of_a_post_has_the_one_shape(path):
    classifier = FailingClassifier({"poison": ValueError("a secret text")})
    with client(classifier, max_body_bytes=2000, request_timeout_s=0.3) as asked:
        assert asked.post(path, json=good_body(path)).status_code == 200
        check_shape(asked.post(path, content=b"{"), 400, "invalid_request")
        check_shape(asked.post(path, json={"model": "goose"}), 400, "invalid_request")
        check_shape(asked.post(path, json=good_body(path) | {"model": "gose"}), 404, "model_not_found")
        body = check_shape(asked.get(path), 405, "method_not_allowed")
        assert "POST" in body["message"]
        check_shape(asked.post(path, json=good_body(path, "a" * 3000)), 413, "body_too_large")
        form = asked.post(
            path, content=b"input=a", headers={"content-type": "application/x-www-form-urlencoded"}
        )
        check_shape(form, 415, "unsupported_media_type")
        failed = asked.post(path, json=good_body(path, "poison"))
        assert "secret" not in check_shape(failed, 500, "scoring_failed")["message"]
        assert failed.headers["x-should-retry"] == "false"
        hung = asked.post(path, json=good_body(path, "hang"))
        check_shape(hung, 503, "unavailable")
        assert int(hung.headers["retry-after"]) >= 1
        classifier.release.set()
        assert asked.post(path, json=good_body(path)).status_code == 200


@pytest.mark.parametrize("path", ALL_GETS)
def test_every_status_of_a_get_has_the_one_shape(path):
    with client() as asked:
        assert asked.get(path).status_code == 200
        body = check_shape(asked.post(path, json={}), 405, "method_not_allowed")
        assert "GET" in body["message"]
        check_shape(asked.get(path + "/"), 404, "model_not_found" if "models" in path else "not_found")


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/moderations", "/docs", "/v1/fine_tuning/jobs", "/%00", "/v1/mode%FF"]
)
def test_an_unknown_path_has_the_one_shape(path):
    with client() as asked:
        check_shape(asked.get(path), 404, "not_found")
        check_shape(asked.post(path, json={}), 404, "not_found")


def test_an_unknown_model_names_the_nearest_and_where_it_was_named():
    with client() as asked:
        body = check_shape(asked.get("/v1/models/gose"), 404, "model_not_found")
        assert body["detail"][0]["loc"] == ["path", "model"]
        assert "did you mean 'goose'?" in body["message"]
        body = check_shape(
            asked.post("/v1/classifications", json={"model": "gose", "input": "a"}), 404, "model_not_found"
        )
        assert body["detail"][0]["loc"] == ["body", "model"]
        assert body["param"] == "model"
        assert body["type"] == "not_found_error"


def test_a_full_queue_is_429_with_retry_after():
    classifier = FailingClassifier()
    with client(classifier, max_queue_chars=1000, request_timeout_s=2) as asked:

        def ask(text):
            return asked.post("/v1/moderations", json={"input": text})

        held = [threading.Thread(target=ask, args=(text,)) for text in ("hang", "a" * 900)]
        held[0].start()
        wait_for(lambda: classifier.batches)
        held[1].start()
        queue = next(iter(asked.app.state.served.deployments))._batcher._queue
        wait_for(lambda: queue.waiting_cost)
        refused = ask("b" * 500)
        classifier.release.set()
        for thread in held:
            thread.join()
    body = check_shape(refused, 429, "overloaded")
    assert body["type"] == "rate_limit_error"
    assert int(refused.headers["retry-after"]) >= 1


def wait_for(condition, timeout_s=5):
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


@pytest.mark.parametrize("path", ["/v1/models", "/openai/v1/models"])
def test_an_error_nobody_foresaw_has_the_one_shape_and_tells_nothing(path, caplog):
    with client() as asked:
        asked.app.state.served = None
        body = check_shape(asked.get(path), 500, "internal_error")
        assert "NoneType" not in body["message"]
    assert "AttributeError" in caplog.text
    assert body["request_id"] in caplog.text


def test_a_health_check_fails_in_the_one_shape():
    classifier = FailingClassifier({"How are you today?": RuntimeError()})
    with client(classifier) as asked:
        body = check_shape(asked.get("/health"), 503, "unavailable")
        assert "model 'goose' failed" in body["message"]
        classifier.errors.clear()
        assert asked.get("/health").json() == {**LIMITS, "status": "ok", "models": 1}


def test_every_class_of_the_tree_has_a_status():
    classes = [
        item for _, item in inspect.getmembers(tree, inspect.isclass) if issubclass(item, tree.ModwrightError)
    ]
    for kind in classes:
        error = kind.__new__(kind)
        assert status_of(error) == kind.status, kind
    assert set(STATUS) <= {*classes}


def test_an_exception_that_is_not_ours_keeps_its_message_to_itself():
    assert "secret" not in refusal(ValueError("a secret text")).message


def test_digits_that_are_no_place_are_left_as_they_are():
    asked = TestClient(create_app(deployments(), settings()), raise_server_exceptions=False)
    for key in ("1" * 5000, "٣"):
        body = b'{"' + key.encode() + b'": "\\ud800"}'
        response = asked.post("/v1/moderations", content=body, headers={"content-type": "application/json"})
        assert response.status_code in (400, 422), response.text
