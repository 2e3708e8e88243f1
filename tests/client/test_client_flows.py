"""What the client does, without a network: repeats, pages, errors by code, inputs told apart and split, a job watched."""

import asyncio
import json
import socket
import subprocess
import sys

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import modwright
import modwright.errors as tree
from modwright.client import AsyncClient, Client, JobStatus, scoring
from modwright.client.address import address
from modwright.client.failures import Lost, Reply, failure
from modwright.client.flow import Item, Pause, Request, Send, exchange, path
from modwright.client.job_answers import read_job
from modwright.client.watching import Watcher, watch_job
from modwright.errors import (
    DataError,
    IntegrityError,
    MissingExtraError,
    ModwrightError,
    RateLimitedError,
    RequestError,
    SettingsError,
    StorageFullError,
    TooLargeError,
    UnavailableError,
    UsageError,
)
from modwright.schema import Message, Role
from modwright.storage import job_states

GET = Request("GET", "/v1/models")
POST = Request("POST", "/v1/fine_tuning/jobs", document={}, repeatable=False)
BUSY = Reply(503, {"retry-after": "3"})
OK = Reply(200, {}, b"{}")


def drive(flow, *replies):
    """Run a flow with replies in order; return its result, and the pauses and requests it asked for."""
    replies, pauses, sent, answer = list(replies), [], [], None
    while True:
        try:
            action = flow.send(answer)
        except StopIteration as stop:
            assert not replies, "there are replies that nobody asked for"
            return stop.value, pauses, sent
        if isinstance(action, Pause):
            pauses.append(action.seconds)
            answer = None
        elif isinstance(action, Send):
            sent.append(action.request)
            answer = replies.pop(0)
        else:
            assert isinstance(action, Item)
            sent.append(action.value)
            answer = None


def answered(document):
    return Reply(200, {}, json.dumps(document).encode())


def test_what_may_be_repeated_is_so_often_and_no_more():
    assert drive(exchange(GET), Lost("broke"), BUSY, OK)[1] == [0.5, 3.0]
    with pytest.raises(UnavailableError, match="broke"):
        drive(exchange(GET), *[Lost("broke")] * 3)
    with pytest.raises(UnavailableError):
        drive(exchange(GET), *[BUSY] * 3)


def test_what_may_have_been_done_is_not_repeated_but_what_was_refused_at_the_door_is():
    with pytest.raises(UnavailableError, match="look whether it was done"):
        drive(exchange(POST), Lost("broke"))
    with pytest.raises(UnavailableError):
        drive(exchange(POST), BUSY)
    assert drive(exchange(POST), Reply(429, {"retry-after": "1"}), OK)[1] == [1.0]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(429, {}),
        Reply(429, {"retry-after": "31"}),
        Reply(429, {"retry-after": "soon"}),
        Reply(503, {"retry-after": "-1"}),
        Reply(500, {"retry-after": "1"}),
        Reply(409, {"retry-after": "1"}),
    ],
)
def test_without_a_bearable_time_to_wait_it_is_told_at_once(reply):
    with pytest.raises(ModwrightError):
        drive(exchange(GET), reply)


def every_error(kind=ModwrightError):
    children = [child for child in kind.__subclasses__() if child.__module__ == tree.__name__]
    return [kind, *(found for child in children for found in every_error(child))]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.code)
def test_every_error_of_a_server_becomes_its_class(kind):
    body = {"message": "model: it is so (do that)", "param": "model", "code": kind.code, "request_id": "ab"}
    error = failure(Reply(kind.status, {"retry-after": "7"}, json.dumps(body).encode()))
    assert type(error) is kind
    assert (error.message, error.where, error.request_id) == ("it is so (do that)", "model", "ab")
    assert str(error).startswith("model: it is so (do that)")
    assert getattr(error, "retry_after_s", 7.0) == 7.0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (413, TooLargeError),
        (429, RateLimitedError),
        (415, RequestError),
        (302, RequestError),
        (502, UnavailableError),
        (507, StorageFullError),
        (500, ModwrightError),
    ],
)
@pytest.mark.parametrize("content", [b"", b"<html>\x1b no \xff", b"[]", b'{"code": "body_too_strange"}'])
def test_what_no_server_of_ours_says_is_read_by_its_status(status, kind, content):
    error = failure(Reply(status, {"x-request-id": "cd"}, content))
    assert type(error) is kind
    assert str(status) in str(error) or status == 302
    assert error.request_id == "cd"


def test_wrong_lines_become_errors_of_data_with_the_name_that_the_user_gave():
    details = [
        {"loc": ["body", "file", 2, "labels", "x"], "msg": "line 2: is a number", "type": "invalid_data"},
        {"loc": ["body", "file"], "msg": "is empty", "type": "invalid_data"},
    ]
    body = {
        "message": "file: a.jsonl:2: is a number",
        "param": "file",
        "code": "invalid_data",
        "detail": details,
    }
    error = failure(Reply(400, {}, json.dumps(body).encode()), "there/a.jsonl")
    assert isinstance(error, DataError)
    assert [str(problem) for problem in error.problems] == [
        "there/a.jsonl:2, field 'labels.x': is a number",
        "there/a.jsonl: is empty",
    ]


@pytest.mark.parametrize("content", [b"<html>", b"[1]", b'{"data": 3}', b'{"data": [{"id": 3}]}'])
def test_an_answer_of_something_else_is_told(content):
    from modwright.client.calls import list_models

    with pytest.raises(IntegrityError, match="the server's answer"):
        drive(list_models(), Reply(200, {}, content))


@given(st.text(min_size=1))
def test_no_name_leads_to_another_path(name):
    try:
        made = path("v1", "models", name)
    except UsageError:
        assert name in (".", "..")
    else:
        assert httpx.URL("http://h" + made).raw_path.decode() == made
        assert made.count("/") == 3


TURNS = [{"role": "user", "content": "hi"}, Message(Role.ASSISTANT, "you silly goose")]


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        ("text", ["text"]),
        (["a", "b"], ["a", "b"]),
        (("a" for _ in range(2)), ["a", "a"]),
        (TURNS, [TURNS]),
        ({"messages": TURNS}, [TURNS]),
        ([TURNS, "a", {"messages": TURNS}], [TURNS, "a", TURNS]),
    ],
)
def test_texts_and_conversations_are_told_apart(inputs, found):
    plain = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "you silly goose"}]
    assert scoring.judged_inputs(inputs) == [plain if item is TURNS else item for item in found]


@pytest.mark.parametrize("inputs", [[], None, 3, b"x", ["a", 3], [[]], {"role": "user"}, [["a"]], [None]])
def test_what_is_neither_is_told_without_its_content(inputs):
    with pytest.raises(UsageError) as caught:
        scoring.judged_inputs(inputs)
    assert "expected" in str(caught.value) or "no input" in str(caught.value)


TEXTS = st.lists(st.one_of(st.text("ab", min_size=1), st.just("x" * 30_000)), min_size=1, max_size=40)


def scored(flow, requests):
    """Run a flow of scores against a server that echoes; return its result, and keep the requests."""
    answer = None
    while True:
        try:
            request = flow.send(answer).request
        except StopIteration as stop:
            return stop.value
        said = [
            item["messages"][-1]["content"] if isinstance(item, dict) else item
            for item in request.document["input"]
        ]
        requests.append((request.path, said))
        answer = answered({"model": "m", "results": [{"t": {"scores": {text: 1}}} for text in said]})


@given(TEXTS, st.integers(1, scoring._ALWAYS_TAKEN), st.booleans())
def test_however_many_inputs_there_are_each_gets_its_own_answer(texts, most, chat):
    """No request holds more than the server takes, and the answers are in the order of the inputs."""
    texts = [*texts, *(str(n) for n in range(70))]
    items = [[{"role": "user", "content": text}] if chat and n % 2 else text for n, text in enumerate(texts)]
    requests = []
    found = scored(scoring.classify(items, "m", None, scoring.Limits(most)), requests)
    assert [next(iter(result["t"].scores)) for result in found.results] == texts
    assert isinstance(found.results[0]["t"].scores[texts[0]], float)
    for where, said in requests:
        assert where == ("/v1/chat/classifications" if chat else "/v1/classifications")
        assert len(said) <= most
        assert len(said) == 1 or sum(map(len, said)) <= scoring._MOST_CHARS


def test_how_many_inputs_a_server_takes_is_asked_once_and_only_when_it_matters():
    limits = scoring.Limits()
    few = answered({"model": "m", "results": [{}] * 64})
    _, _, sent = drive(scoring.classify(["a"] * 64, "m", None, limits), few)
    assert len(sent) == 1
    health, many = (
        answered({"status": "ok", "models": 1, "max_inputs": 100}),
        answered({"model": "m", "results": []}),
    )
    _, _, sent = drive(scoring.moderate(["a"] * 250, None, "strict", limits), health, many, many, many)
    assert [request.path for request in sent] == ["/health", *["/v1/moderations"] * 3]
    assert sent[1].document == {"operating_point": "strict", "input": ["a"] * 100}
    _, _, sent = drive(scoring.moderate(["a"] * 250, None, None, limits), many, many, many)
    assert len(sent) == 3


def test_the_place_of_a_refused_input_is_that_among_all():
    body = {"message": "input.3: is empty", "param": "input.3", "code": "invalid_request"}
    refused = Reply(400, {}, json.dumps(body).encode())
    flow = scoring.classify(["a"] * 150, "m", None, scoring.Limits(100))
    with pytest.raises(RequestError) as caught:
        drive(flow, answered({"model": "m", "results": []}), refused)
    assert caught.value.where == "inputs.103"
    assert caught.value.message == "is empty"


def job(status="RUNNING", steps=(), events=(), **changes):
    """Return a job as the server shows it; steps are (number, loss)."""
    return {
        "id": "j",
        "status": status,
        "model": "fast",
        "created_at": 1,
        "modified_at": 2,
        "auto_start": True,
        "training_files": ["f"],
        "hyperparameters": {"training_steps": 9},
        "metadata": {"cost": None},
        "events": [{"name": name, "created_at": 1, "data": None} for name in events],
        "checkpoints": [
            {"step_number": n, "created_at": 1, "metrics": {"train_loss": loss, "valid_loss": 0.0}}
            for n, loss in reversed(steps)
        ],
        "something": "new",
        **changes,
    }


def test_a_watcher_tells_what_is_new_and_again_what_was_done_again():
    watcher = Watcher()
    first = watcher.look(read_job(job(steps=[(1, 0.9), (2, 0.8)], events="ab")))
    assert [step.step_number for step in first.checkpoints] == [1, 2]
    assert [event.name for event in first.events] == ["a", "b"]
    assert watcher.look(read_job(job(steps=[(1, 0.9), (2, 0.8)], events="ab", modified_at=9))) is None
    again = watcher.look(read_job(job(steps=[(1, 0.9), (2, 0.7), (3, 0.6)], events="abc")))
    assert [step.step_number for step in again.checkpoints] == [2, 3]
    assert [event.name for event in again.events] == ["c"]
    later = job(steps=[(1, 0.9), (2, 0.7), (3, 0.6)], events="abcd")
    for step in later["checkpoints"]:
        step["created_at"] = 2  # done again later, to the same losses: no news
    assert watcher.look(read_job(later)).checkpoints == ()


def test_watching_bears_with_a_server_that_is_away_but_not_for_ever():
    away = [Lost("away")] * 3
    _, pauses, sent = drive(watch_job("j", every_s=0.5), *away, answered(job("SUCCESS")))
    assert pauses == [0.5, 1.0, 0.5]
    assert sent[-1].job.status is JobStatus.SUCCESS
    with pytest.raises(UnavailableError, match="away"):
        drive(watch_job("j", every_s=0.5, patience_s=0.4), *away)


def test_a_job_says_why_it_has_no_model():
    told = {"code": "gpu_melted", "message": "it melted", "remedy": "cool it", "where": "rack 3"}
    error = read_job(job("FAILED", error=told)).failure()
    assert type(error) is tree.TrainingError
    assert str(error) == "job j: rack 3: it melted (cool it)"
    assert type(read_job(job("FAILED_VALIDATION", error=told)).failure()) is DataError
    assert read_job(job("RUNNING", error=told)).failure() is None
    assert read_job(job("VALIDATED", auto_start=False)).rests
    assert not read_job(job("VALIDATED")).rests


def test_the_statuses_are_the_queues():
    assert [str(status) for status in JobStatus] == [str(status) for status in job_states.Status]
    assert {str(status) for status in JobStatus if status.ended} == set(map(str, job_states.TERMINAL))


def test_where_the_server_is_comes_from_the_arguments_else_the_settings(monkeypatch):
    for name in ("URL", "KEY", "HOST", "PORT"):
        monkeypatch.delenv(f"MODWRIGHT_{name}", raising=False)
    assert (Client().url, address(None, None, 1, 1).key) == ("http://127.0.0.1:8000", None)
    monkeypatch.setenv("MODWRIGHT_HOST", "::")
    monkeypatch.setenv("MODWRIGHT_PORT", "81")
    assert Client().url == "http://[::1]:81"
    monkeypatch.setenv("MODWRIGHT_URL", "https://moderation.example/base/v1/")
    monkeypatch.setenv("MODWRIGHT_KEY", "mw-secret")
    found = address(None, None, 1, 1)
    assert found.url == "https://moderation.example/base"
    assert found.headers["authorization"] == "Bearer mw-secret"
    assert "mw-secret" not in repr(found)
    assert "authorization" not in address("http://h", "", 1, 1).headers
    monkeypatch.setenv("MODWRIGHT_PROT", "1")
    with pytest.raises(SettingsError):
        Client()
    assert Client("http://h", "k").url == "http://h"


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://h", "http://", "http://h?x=1", "http://h:port", "//h"]
)
def test_an_address_that_is_none_is_told(url):
    with pytest.raises(UsageError, match="expected the address of a server"):
        Client(url, "")


def test_a_key_that_cannot_be_sent_is_told_without_it():
    for key in ("mw-\u2026abc", "mw-\nabc"):
        with pytest.raises(UsageError) as caught:
            AsyncClient("http://h", key)
        assert "abc" not in str(caught.value)


def test_no_server_there_is_told_with_what_to_do():
    with (
        Client("http://127.0.0.1:1", "") as client,
        pytest.raises(UnavailableError, match="cannot reach") as caught,
    ):
        client.jobs.create("fast", "f")
    assert "modwright serve" in caught.value.remedy

    async def ask():
        async with AsyncClient("http://127.0.0.1:1", "") as client:
            await client.jobs.create("fast", "f")

    with pytest.raises(UnavailableError, match="cannot reach"):
        asyncio.run(ask())


def test_a_server_that_keeps_silent_is_not_waited_for_for_ever():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, "", timeout_s=0.1) as client, pytest.raises(UnavailableError) as caught:
            client.jobs.start("j")
        assert caught.value.message == f"no answer from {url} within 0.1 s"


@pytest.mark.parametrize("value", ["my text \ud83d", float("nan"), object()])
def test_what_is_no_json_is_told_without_it(value):
    with pytest.raises(UsageError) as caught:
        Request("POST", "/x", document={"input": value}).content()
    assert "my text" not in str(caught.value)


def test_importing_modwright_imports_nothing_heavy():
    code = """
import sys, modwright
assert not {"httpx", "pydantic", "numpy"} & sys.modules.keys()
modwright.Client
assert not {"httpx", "numpy", "torch", "sqlalchemy", "fastapi"} & sys.modules.keys()
sys.modules["httpx"] = None
try:
    modwright.Client("http://h", "")
except Exception as error:
    print(type(error).__name__, error)
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout.startswith("MissingExtraError")
    assert "pip install 'modwright[client]'" in told.stdout
    assert issubclass(MissingExtraError, ModwrightError)
    with pytest.raises(AttributeError):
        modwright.Clyent  # noqa: B018
