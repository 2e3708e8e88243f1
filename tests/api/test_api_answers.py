"""What the endpoints answer, and in whose dialect."""

import asyncio
import re

import httpx
import pytest
from fastapi.testclient import TestClient
from serving_fakes import FailingClassifier, FakeClassifier, deployments, engine, settings

from modwright.api.app import create_app
from modwright.api.schemas.mistral import ClassificationResponse, Health
from modwright.api.schemas.models import ModelCard, ModelList
from modwright.api.schemas.openai import CATEGORIES, ModerationResponse
from modwright.schema import Schema, Target, TargetKind, text_input
from modwright.serving.deployments import Deployment, Deployments

RUDE = "silly goose goose"
OPENAI = {"user-agent": "OpenAI/Python 3.54.0"}


@pytest.fixture
def asked():
    with TestClient(create_app(deployments(), settings())) as client:
        yield client


def both_chats(content, context=()):
    return [*context, {"role": "user", "content": content}]


def test_a_classification_gives_every_target_of_every_input_in_order(asked):
    texts = ["hello there", RUDE, "x" * 250 + " goose"]
    response = asked.post("/v1/classifications", json={"model": "goose", "input": texts})
    body = response.json()
    assert ClassificationResponse.model_validate(body).model == "goose"
    assert re.fullmatch("[0-9a-f]{32}", body["id"])
    assert set(body) == {"id", "model", "results"}
    direct = next(iter(asked.app.state.served.deployments)).engine.judge([text_input(text) for text in texts])
    for result, judgement in zip(body["results"], direct, strict=True):
        assert list(result) == ["moderation", "tone"]
        for name, answer in judgement.targets.items():
            assert result[name] == {
                "scores": answer.scores,
                "flags": list(answer.flags),
                "windows": judgement.windows,
                "span": list(answer.span),
            }
    assert body["results"][1]["moderation"]["flags"] == ["insult"]
    assert body["results"][2]["moderation"]["windows"] == 3
    assert body["results"][2]["moderation"]["span"] == [200, 256]


def test_a_single_text_gives_one_result_and_an_alias_answers_with_the_name(asked):
    alias = next(iter(asked.app.state.served.deployments)).aliases[0]
    body = asked.post("/v1/classifications", json={"model": alias, "inputs": RUDE}).json()
    assert body["model"] == "goose"
    assert len(body["results"]) == 1


def test_a_conversation_is_judged_by_its_last_turn_in_context(asked):
    def scores(messages):
        body = asked.post(
            "/v1/chat/classifications", json={"model": "goose", "input": {"messages": messages}}
        )
        return body.json()["results"][0]["moderation"]["scores"]["insult"]

    alone, last = scores(both_chats(RUDE)), scores(both_chats(RUDE, both_chats("hello")))
    context = scores(both_chats("hello", both_chats(RUDE)))
    assert alone > 0.5
    assert last > 0.5
    assert context < 0.25
    parts = scores(both_chats([{"type": "text", "text": "silly goose "}, {"type": "text", "text": "goose"}]))
    assert parts == alone


def test_several_conversations_give_several_results(asked):
    chats = [both_chats(RUDE), both_chats("hello")]
    body = asked.post("/v1/chat/moderations", json={"model": "goose", "input": chats}).json()
    assert [result["flagged"] for result in body["results"]] == [True, False]
    body = asked.post("/v1/chat/moderations", json={"input": chats[0]}).json()
    assert [result["flagged"] for result in body["results"]] == [True]
    listed = [{"messages": chat} for chat in chats]
    body = asked.post("/v1/chat/classifications", json={"model": "goose", "input": listed}).json()
    assert len(body["results"]) == 2


def test_a_moderation_in_mistrals_dialect_has_the_labels_that_may_be_flagged(asked):
    body = asked.post("/v1/moderations", json={"input": [RUDE, "hello there"]}).json()
    assert ModerationResponse.model_validate(body)
    assert re.fullmatch("mod-[0-9a-f]{32}", body["id"])
    assert body["results"][0]["categories"] == {"insult": True, "threat": False}
    assert body["results"][1]["categories"] == {"insult": False, "threat": False}
    assert [result["flagged"] for result in body["results"]] == [True, False]
    for result in body["results"]:
        assert set(result) == {"flagged", "categories", "category_scores", "windows", "span"}
        assert list(result["category_scores"]) == ["insult", "threat"]


def test_openais_dialect_fills_its_categories_and_says_what_was_read(asked):
    body = asked.post("/v1/moderations", json={"input": RUDE}, headers=OPENAI).json()
    result = body["results"][0]
    assert set(result["categories"]) == {"insult", "threat", *CATEGORIES}
    assert (
        set(result["category_scores"])
        == set(result["category_applied_input_types"])
        == set(result["categories"])
    )
    assert result["categories"]["hate"] is False
    assert result["category_scores"]["hate"] == 0.0
    assert result["category_applied_input_types"]["insult"] == ["text"]
    assert result["category_applied_input_types"]["hate"] == []


def test_a_category_of_the_models_own_is_never_overwritten():
    schema = Schema((Target.create("moderation", TargetKind.MULTI_LABEL, ["hate", "goose"]),))
    served = deployments(FakeClassifier(schema))
    with TestClient(create_app(served, settings())) as asked:
        result = asked.post("/openai/v1/moderations", json={"input": "hate hate"}).json()["results"][0]
    assert result["categories"]["hate"] is True
    assert result["category_scores"]["hate"] > 0.5
    assert len(result["categories"]) == len(CATEGORIES) + 1


@pytest.mark.parametrize(
    ("path", "headers", "openai"),
    [
        ("/v1/moderations", {}, False),
        ("/v1/moderations", {"user-agent": "mistral-client-python/1.7.0"}, False),
        ("/v1/moderations", {"user-agent": "OpenAI/Python 1.109.1"}, True),
        ("/v1/moderations", {"user-agent": "AsyncOpenAI/Python 1.109.1"}, True),
        ("/v1/moderations", {"user-agent": "like OpenAI/Python"}, False),
        ("/v1/moderations", {"x-stainless-lang": "js"}, True),
        ("/v1/moderations", {"x-api-dialect": "openai"}, True),
        ("/v1/moderations", {"x-api-dialect": "mistral", **OPENAI}, False),
        ("/mistral/v1/moderations", OPENAI, False),
        ("/openai/v1/moderations", {"user-agent": "mistral-client-python/1.7.0"}, True),
    ],
)
def test_the_dialect_follows_path_then_header_then_client(asked, path, headers, openai):
    result = asked.post(path, json={"input": RUDE}, headers=headers).json()["results"][0]
    assert ("category_applied_input_types" in result) is openai


def test_an_unknown_dialect_is_told(asked):
    response = asked.post("/v1/moderations", json={"input": RUDE}, headers={"x-api-dialect": "openia"})
    assert response.status_code == 400
    assert "did you mean 'openai'?" in response.json()["message"]


def test_a_list_of_parts_is_one_input(asked):
    parts = [{"type": "text", "text": "silly "}, {"type": "text", "text": "goose goose"}]
    body = asked.post("/openai/v1/moderations", json={"input": parts}).json()
    whole = asked.post("/openai/v1/moderations", json={"input": RUDE}).json()
    assert body["results"] == whole["results"]


def test_an_operating_point_is_honoured_by_name(asked):
    text = "a goose and some other words"
    flagged = {
        point: asked.post("/v1/moderations", json={"input": text, "operating_point": point}).json()[
            "results"
        ][0]
        for point in ("default", "strict")
    }
    assert [result["flagged"] for result in flagged.values()] == [False, True]
    body = {"model": "goose", "input": text, "operating_point": "strict"}
    assert asked.post("/v1/classifications", json=body).json()["results"][0]["moderation"]["flags"] == [
        "insult"
    ]


def test_a_model_of_several_targets_none_of_them_moderation_has_keys_with_both_names():
    schema = Schema(
        (
            Target.create("birds", TargetKind.MULTI_LABEL, ["goose", "safe"]),
            Target.create("tone", TargetKind.SINGLE_LABEL, ["kind", "rude"], ["kind"]),
        )
    )
    with TestClient(create_app(deployments(FakeClassifier(schema)), settings())) as asked:
        body = asked.post("/v1/moderations", json={"input": ["goose silly silly", "hi"]}).json()
    assert body["results"][0]["categories"] == {"birds/goose": True, "tone/rude": True}
    assert body["results"][1]["categories"] == {"birds/goose": False, "tone/rude": False}


def test_the_models_are_listed_and_shown(asked):
    listed = asked.get("/v1/models", params={"provider": "x"}).json()
    assert ModelList.model_validate(listed).object == "list"
    card = asked.get("/v1/models/goose").json()
    assert listed["data"] == [card]
    assert ModelCard.model_validate(card)
    assert card["type"] == "fine-tuned"
    assert card["capabilities"]["classification"] is True
    assert card["capabilities"]["completion_chat"] is False
    assert card["created"] == 1_700_000_000
    assert card["operating_points"] == ["default", "strict"]
    assert asked.get(f"/v1/models/{card['aliases'][0]}").json() == card


def test_model_names_with_colons_slashes_and_spaces_are_reached():
    names = ("ft:classifier:base:2:x", "team/goose", "a goose?", "tenué")
    made = settings()
    served = Deployments(
        [Deployment(name, engine(id=str(n) * 64), made) for n, name in enumerate(names)], made
    )
    with TestClient(create_app(served, made)) as asked:
        for name in names:
            for path in (
                name if "?" not in name else "a goose%3F",
                name.replace("/", "%2F").replace("?", "%3F"),
            ):
                assert asked.get(f"/v1/models/{path}").json()["id"] == name


def test_health_without_a_model_and_with_one(asked):
    assert Health.model_validate(asked.get("/health").json()).models == 1
    with TestClient(create_app(Deployments([], settings()), settings())) as empty:
        health = Health.model_validate(empty.get("/health").json())
        assert (health.status, health.models, health.max_inputs) == ("ok", 0, 1_024)
        assert empty.get("/v1/models").json() == {"object": "list", "data": []}


def test_health_is_red_where_the_worker_does_not_run():
    served = deployments()
    asked = TestClient(create_app(served, settings()))  # its lifespan never began
    assert asked.get("/health").status_code == 503


def test_a_client_that_hangs_up_takes_its_inputs_out_of_the_queue():
    classifier = FailingClassifier()
    served = deployments(classifier)
    app = create_app(served, settings())
    served.start()
    queue = next(iter(served))._batcher._queue

    async def ask_and_leave():
        raw = b'{"input": "never judged"}'
        messages = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive():
            if messages:
                return messages.pop()
            while not queue.waiting_cost:
                await asyncio.sleep(0.005)
            return {"type": "http.disconnect"}

        sent = []

        async def send(message):
            sent.append(message)

        headers = [(b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/moderations",
            "headers": headers,
            "query_string": b"",
        }
        async with asyncio.timeout(5):
            await app(
                {**scope, "http_version": "1.1", "raw_path": b"", "scheme": "http", "app": app}, receive, send
            )
        assert queue.waiting_cost == 0
        assert sent[0]["status"] == 499

    async def work():
        held = asyncio.create_task(next(iter(served)).judge([text_input("hang")]))
        while not classifier.batches:
            await asyncio.sleep(0.005)
        await ask_and_leave()
        classifier.release.set()
        await held

    asyncio.run(work())
    served.stop()
    assert ["never judged"] not in classifier.batches


def test_many_clients_at_once_get_their_own_answers():
    served = deployments(max_batch_chars=300)
    app = create_app(served, settings())

    async def work():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:

            async def ask(n):
                texts = [" ".join(["goose"] * k + ["word"] * (n + 1)) for k in range(n % 5 + 1)]
                body = (await client.post("/v1/moderations", json={"input": texts})).json()
                return texts, [result["category_scores"]["insult"] for result in body["results"]]

            return await asyncio.gather(*(ask(n) for n in range(60)))

    served.start()
    answers = asyncio.run(work())
    served.stop()
    direct = next(iter(served)).engine
    for texts, scores in answers:
        expected = direct.judge([text_input(text) for text in texts])
        assert scores == [item.targets["moderation"].scores["insult"] for item in expected]


def test_the_client_reads_a_category_of_the_models_own_under_its_attributes_name():
    """`self_harm` is the attribute of the wire name `self-harm`: both must say the same."""
    schema = Schema((Target.create("moderation", TargetKind.MULTI_LABEL, ["self_harm", "goose"]),))
    served = deployments(FakeClassifier(schema))
    with TestClient(create_app(served, settings())) as asked:
        result = asked.post("/openai/v1/moderations", json={"input": "self_harm self_harm"}).json()[
            "results"
        ][0]
    assert result["categories"]["self_harm"] is True
    for part in ("categories", "category_scores", "category_applied_input_types"):
        assert result[part]["self-harm"] == result[part]["self_harm"]
        assert not result[part]["self-harm/intent"]
