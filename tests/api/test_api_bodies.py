"""What a request may hold, and that each error names its field."""

import json

import pytest
from fastapi.testclient import TestClient
from serving_fakes import FakeClassifier, deployments, settings

from modwright.api.app import create_app

CLASSIFY, CHAT = "/v1/classifications", "/v1/chat/classifications"
MODERATE, MODERATE_CHAT = "/v1/moderations", "/v1/chat/moderations"
USER = {"role": "user", "content": "you are kind"}
ROBOT = {"role": "robot", "content": "a"}
EMPTY = {"role": "user", "content": ""}
LONG = {"role": "user", "content": "a" * 150}
CALLS = [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]


@pytest.fixture
def asked():
    changes = {"max_inputs": 3, "max_input_chars": 200, "max_body_bytes": 20_000}
    with TestClient(create_app(deployments(**changes), settings(**changes))) as client:
        yield client


def refused(asked, path, **body):
    response = asked.post(path, json={"model": "goose", **body})
    assert response.status_code == 400, response.text
    found = response.json()
    return ".".join(map(str, found["detail"][0]["loc"])), found["detail"][0]["msg"]


WRONG = [
    (CLASSIFY, {}, "body.input", "is missing"),
    (CLASSIFY, {"input": None}, "body.input", "found null"),
    (CLASSIFY, {"input": 5}, "body.input", "expected a text or a list of texts, found the number 5"),
    (CLASSIFY, {"input": {"text": "a"}}, "body.input", "expected a text or a list of texts"),
    (CLASSIFY, {"input": ["a", 5]}, "body.input.1", "should be a valid string, found the number 5"),
    (CLASSIFY, {"input": [["a"]]}, "body.input", "expected a text or a list of texts"),
    (CLASSIFY, {"input": []}, "body.input", "holds no input"),
    (CLASSIFY, {"input": ""}, "body.input", "is empty"),
    (CLASSIFY, {"input": ["a", ""]}, "body.input.1", "is empty"),
    (CLASSIFY, {"input": ["a"] * 4}, "body.input", "holds more than 3 inputs"),
    (CLASSIFY, {"input": ["a", "b" * 201]}, "body.input.1", "holds 201 characters, at most 200"),
    (CLASSIFY, {"inptu": "a", "input": "a"}, "body.inptu", "did you mean 'input'?"),
    (CLASSIFY, {"input": "a", "inputs": "a"}, "body", "has both 'input' and its other name"),
    (CLASSIFY, {"input": "a", "model": None}, "body.model", "found null"),
    (CLASSIFY, {"input": "a", "metadata": "x"}, "body.metadata", "should be a valid dictionary, found 'x'"),
    (CLASSIFY, {"input": "a", "operating_point": "strikt"}, "body.operating_point", "did you mean 'strict'?"),
    (CHAT, {"input": "a"}, "body.input", "expected an object with messages, or a list of such objects"),
    (CHAT, {"input": {"messages": []}}, "body.input.messages", "expected at least one"),
    (CHAT, {"input": [{"messages": []}]}, "body.input.0.messages", "expected at least one"),
    (CHAT, {"input": []}, "body.input", "holds no input"),
    (CHAT, {"input": {"mesages": [USER]}}, "body.input.mesages", "did you mean 'messages'?"),
    (CHAT, {"input": [USER]}, "body.input.0.role", "unknown key 'role'"),
    (CHAT, {"input": [["a"]]}, "body.input.0", "found a list of 1"),
    (CHAT, {"input": {"messages": [USER, ROBOT]}}, "body.input.messages.1.role", "'robot'"),
    (CHAT, {"input": {"messages": [{"role": "user"}]}}, "body.input.messages.0", "content is missing"),
    (CHAT, {"input": {"messages": [EMPTY]}}, "body.input.messages.0.content", "is empty"),
    (CHAT, {"input": {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": CALLS}]}},
     "body.input.messages.1.content", "is empty: there is nothing to judge"),
    (CHAT, {"input": {"messages": [USER, {"role": "assistant", "content": None}]}},
     "body.input.messages.1", "only an assistant message with tool_calls may go without"),
    (CHAT, {"input": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}},
     "body.input.messages.0.content.0", "a part of type 'image_url' cannot be judged"),
    (CHAT, {"input": {"messages": [LONG, {"role": "user", "content": "a" * 51}]}},
     "body.input", "holds 201 characters"),
    (MODERATE, {"input": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}]},
     "body.input.1", "a part of type 'image_url' cannot be judged"),
    (MODERATE, {"input": [{"type": "text", "text": "a"}, "b"]}, "body.input.1", "found 'b'"),
    (MODERATE, {"input": [{"type": "text"}]}, "body.input.0.text", "is missing"),
    (MODERATE, {"input": [{"type": "text", "text": ""}]}, "body.input", "is empty"),
    (MODERATE, {"input": ["a", {"type": "text", "text": "b"}]}, "body.input.1", "should be a valid string"),
    (MODERATE, {"input": "a", "model": 5}, "body.model", "should be a valid string, found the number 5"),
    (MODERATE_CHAT, {"input": []}, "body.input", "expected at least one"),
    (MODERATE_CHAT, {"input": [[]]}, "body.input.0", "expected at least one"),
    (MODERATE_CHAT, {"input": [[USER], []]}, "body.input.1", "expected at least one"),
    (MODERATE_CHAT, {"input": [USER, [USER]]}, "body.input.1", "found a list of 1"),
    (MODERATE_CHAT, {"input": "a"}, "body.input", "expected a list of messages, or a list of such lists"),
    (MODERATE_CHAT, {"input": ["a"]}, "body.input.0", "found 'a'"),
    (MODERATE_CHAT, {"input": {"messages": [USER]}}, "body.input", "expected a list of messages"),
    (MODERATE_CHAT, {"input": [{**USER, "contents": 1}]}, "body.input.0.contents", "did you mean 'content'?"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "where", "told"), WRONG)
def test_a_wrong_body_names_the_field_and_what_was_expected(asked, path, body, where, told):
    found, message = refused(asked, path, **body)
    assert (found, told in message) == (where, True), (found, message)


def test_every_wrong_field_is_told_and_each_list_once(asked):
    body = {"model": 5, "input": list(range(2000)), "metadata": 5}
    found = asked.post(CLASSIFY, json=body).json()
    assert [item["loc"][1:] for item in found["detail"]] == [["metadata"], ["model"], ["input", 0]]
    assert found["message"].startswith("metadata: ")
    assert found["message"].endswith("(and 2 more)")


RAW = [
    (b"", "the body is empty"),
    (b"  \n", "the body is empty"),
    (b'{"input": "a",}', "is not JSON"),
    (b'{"input":\n "a" "b"}', r"line 2 column 6 \(character 15\)"),
    (b"\xff\xfe", "is not UTF-8: byte 0 is 0xff"),
    (b'{"input": NaN}', "holds NaN, which is not JSON"),
    (b'{"input": -Infinity}', "holds -Infinity, which is not JSON"),
    (b'{"input": ' + b"9" * 5000 + b"}", "a number that cannot be read"),
    (b'{"input": ' + b"[" * 9000 + b"]" * 9000 + b"}", "deeper than 32"),
    (b'{"input": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}", "deeper than 32"),
    (b'{"input": ' + b"[" * 9000, "deeper than 32|is not JSON"),
    (b'"input"', "dictionary or object|valid dictionary"),
    (b"[]", "dictionary"),
    (b"null", "dictionary"),
    (
        b'{"model": "goose", "input": ["a", "b \\ud83d"]}',
        r"input\.1: holds the lone surrogate U\+D83D at character 2",
    ),
    (b'{"model": "\\udc00", "input": "a"}', "model: holds the lone surrogate"),
    (b'{"model": "goose", "input": "a", "\\udc00": 1}', "holds the lone surrogate"),
]


@pytest.mark.parametrize(("raw", "told"), RAW)
@pytest.mark.parametrize("path", [CLASSIFY, MODERATE])
def test_a_body_that_is_not_json_is_refused_with_the_place(asked, path, raw, told):
    import re

    response = asked.post(path, content=raw, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert re.search(told, response.json()["message"]), response.json()["message"]


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"]
)
def test_json_by_any_of_its_names_is_taken(asked, media_type):
    raw = json.dumps({"model": "goose", "input": "a"})
    assert asked.post(CLASSIFY, content=raw, headers={"content-type": media_type}).status_code == 200


def test_a_body_without_media_type_is_taken(asked):
    request = asked.build_request("POST", CLASSIFY, content=b'\xef\xbb\xbf{"model": "goose", "inputs": "a"}')
    request.headers.pop("content-type", None)
    assert asked.send(request).status_code == 200


TEXTS = ["NUL \0 inside", "😀 whole", "  ", "\u202e", "x" * 200, "\ud7ff\ue000"]


@pytest.mark.parametrize("text", TEXTS)
def test_odd_texts_are_judged_as_they_are(asked, text):
    classifier = next(iter(asked.app.state.served.deployments)).engine.classifier._inner
    response = asked.post(CLASSIFY, json={"model": "goose", "input": text})
    assert response.status_code == 200
    assert classifier.batches[-1] == [text]


def test_what_the_clients_add_is_taken(asked):
    for path in (CLASSIFY, MODERATE):
        assert asked.post(path, json={"model": "goose", "input": "a", "metadata": None}).status_code == 200
        assert (
            asked.post(path, json={"model": "goose", "input": "a", "metadata": {"a": 1}}).status_code == 200
        )
    messages = [
        {"role": "system", "content": "be kind"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "you "}, {"type": "text", "text": "goose"}],
            "name": "x",
        },
        {"role": "assistant", "content": None, "tool_calls": CALLS, "prefix": False},
        {"role": "tool", "content": "4", "tool_call_id": "1", "name": "f"},
        {"role": "assistant", "content": [], "tool_calls": CALLS},
        {"role": "assistant", "content": "honk"},
    ]
    assert asked.post(CHAT, json={"model": "goose", "input": {"messages": messages}}).status_code == 200
    assert (
        asked.post(MODERATE_CHAT, json={"model": "goose", "input": [messages, messages]}).status_code == 200
    )


def test_a_body_that_streams_past_the_limit_is_not_read_to_its_end(asked):
    read = []

    def endless():
        yield b'{"model": "goose", "input": "'
        for n in range(1000):
            read.append(n)
            yield b"a" * 1000

    response = asked.post(CLASSIFY, content=endless(), headers={"content-type": "application/json"})
    assert response.status_code == 413
    assert response.headers["connection"] == "close"


def test_two_models_and_no_default_name_the_choice():
    served = deployments(FakeClassifier(), FakeClassifier())
    with TestClient(create_app(served, settings())) as asked:
        for path, body in ((MODERATE, {"input": "a"}), (MODERATE_CHAT, {"input": [USER]})):
            response = asked.post(path, json=body)
            assert response.status_code == 400
            assert "name one of: goose, duck" in response.json()["message"]
            assert response.json()["param"] == "model"


def test_a_large_body_is_read_the_same_way():
    text = "you are kind " * 20_000
    with TestClient(create_app(deployments(), settings())) as asked:
        assert asked.post(MODERATE, json={"input": text}).status_code == 200
        response = asked.post(MODERATE, json={"input": [text, 5]})
        assert (response.status_code, response.json()["param"]) == (400, "input.1")
        response = asked.post(
            MODERATE, content=json.dumps({"input": text})[:-1], headers={"content-type": "a/b+json"}
        )
        assert (response.status_code, response.json()["code"]) == (400, "invalid_request")
