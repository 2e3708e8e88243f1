"""Trained models over HTTP: listed, shown, named, changed, archived, deleted, and answering all the while."""

import asyncio
import json
import threading

import httpx
import pytest
from factory_fakes import client, made_app, made_factory, new_key
from fastapi.testclient import TestClient
from kept_models import add_model
from serving_fakes import FakeClassifier, deployments, settings

from modwright.api.app import create_app
from modwright.api.schemas.models import Archived, Deleted, ModelCard, ModelList
from modwright.api.schemas.openai import CATEGORIES
from modwright.pipeline.predict import predict
from modwright.serving.engine import Engine

ID = "ft:classifier:fast:default:20260102:1a2b3c4d"
TEXTS = ["my garden is green", "you silly goose", "the river near the house again"]
CHAT = [{"role": "user", "content": "who are you"}, {"role": "assistant", "content": TEXTS[1]}]
OPENAI = {"user-agent": "OpenAI/Python 3.54.0"}


@pytest.fixture
def factory(tmp_path):
    return made_factory(tmp_path / "home", threads=1)


@pytest.fixture
def model(factory, tiny_artifacts):
    return add_model(factory[1], tiny_artifacts[0], ID)


@pytest.fixture
def asked(factory, model):
    """A client of a server that was started with the model goose, and keeps one trained model."""
    configured, parts = factory
    with client(made_app(configured, parts)) as asking:
        yield asking


def card(asked, name):
    response = asked.get(f"/v1/models/{name}")
    assert response.status_code == 200, response.text
    return ModelCard.model_validate(response.json()).model_dump(exclude_unset=True)


def check_refused(response, status, code, told):
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    assert told in body["message"]
    assert body["error"]["message"] == body["message"]
    assert isinstance(body["detail"], list)


def classified(asked, name, text=TEXTS[0]):
    return asked.post("/v1/classifications", json={"model": name, "input": text})


def test_a_model_answers_right_after_its_success_and_scores_as_predict_does(
    factory, tiny_artifacts, tmp_path
):
    configured, parts = factory
    source, output = tmp_path / "texts.jsonl", tmp_path / "scores.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    predict(Engine.load(tiny_artifacts[0], threads=1), source, output)
    expected = [json.loads(line) for line in output.read_text().splitlines()]
    with client(made_app(configured, parts)) as asked:
        check_refused(classified(asked, ID), 404, "model_not_found", f"unknown model '{ID}'")
        add_model(parts, tiny_artifacts[0], ID)
        body = classified(asked, ID, TEXTS).json()
        assert body["model"] == ID
        for found, line in zip(body["results"], expected, strict=True):
            for target, scores in line["scores"].items():
                assert found[target]["scores"] == pytest.approx(scores, abs=1e-6)
                assert found[target]["flags"] == line["flags"][target]
        assert asked.get("/health").json()["models"] == 2


def test_every_inference_endpoint_answers_with_it_in_both_dialects(asked):
    chat = asked.post("/v1/chat/classifications", json={"model": ID, "input": {"messages": CHAT}})
    assert list(chat.json()["results"][0]) == ["moderation", "tone"]
    moderated = asked.post("/v1/moderations", json={"model": ID, "input": TEXTS}).json()
    assert (moderated["model"], len(moderated["results"])) == (ID, 3)
    assert set(moderated["results"][0]["categories"]) == {"insult", "threat"}
    chat = asked.post("/v1/chat/moderations", json={"model": ID, "input": CHAT}).json()
    assert len(chat["results"]) == 1
    parts = [{"type": "text", "text": "you silly "}, {"type": "text", "text": "goose"}]
    found = asked.post("/openai/v1/moderations", json={"model": ID, "input": parts}).json()["results"]
    assert len(found) == 1
    assert set(CATEGORIES) <= set(found[0]["categories"])
    insult = moderated["results"][1]["category_scores"]["insult"]
    assert found[0]["category_scores"]["insult"] == pytest.approx(insult, abs=1e-6)


@pytest.mark.parametrize("path", ["/v1/moderations", "/openai/v1/moderations"])
def test_an_image_is_refused_never_passed_as_safe(asked, path):
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    for given in ([image], [{"type": "text", "text": "hello"}, image]):
        response = asked.post(path, json={"model": ID, "input": given})
        check_refused(response, 400, "invalid_request", "nothing passes unread")
    chat = [{"role": "user", "content": [{"type": "text", "text": "hello"}, image]}]
    response = asked.post("/v1/chat/moderations", json={"model": ID, "input": chat})
    check_refused(response, 400, "invalid_request", "nothing passes unread")


def test_the_list_holds_what_is_served_what_was_trained_and_what_can_be(asked, factory, tiny_artifacts):
    add_model(factory[1], tiny_artifacts[1], "newer")
    listed = ModelList.model_validate(asked.get("/v1/models").json()).data
    assert [item.id for item in listed][:3] == ["goose", "newer", ID]
    bases = {item.id: item for item in listed[3:]}
    assert {item.type for item in listed[:3]} == {"fine-tuned"}
    assert {item.type for item in bases.values()} == {"base"}
    assert {"fast", "balanced", "all-MiniLM-L6-v2"} <= bases.keys()
    assert "ministral-3b-latest" in bases["balanced"].aliases
    assert len({item.id for item in listed}) == len(listed)
    for item in listed[1:]:
        assert card(asked, item.id)["id"] == item.id
    assert card(asked, "gpt-4o-mini")["id"] == "balanced"


def test_a_card_tells_what_the_model_is(asked, model):
    shown = card(asked, ID)
    assert (shown["type"], shown["model_type"], shown["owned_by"]) == (
        "fine-tuned",
        "classifier",
        "modwright",
    )
    assert (shown["root"], shown["workspace_id"], shown["created"]) == (
        "fast",
        "default",
        int(model.created_at),
    )
    assert [target["loss_function"] for target in shown["classifier_targets"]] == [
        "multi_class",
        "single_class",
    ]
    assert shown["classifier_targets"][0]["labels"] == ["insult", "threat", "safe"]
    assert "default" in shown["operating_points"]
    assert shown["job"]


def test_a_model_gets_a_name_and_a_description_for_people(asked):
    path = f"/v1/fine_tuning/models/{ID}"
    body = asked.patch(
        path, json={"name": "Comments", "description": "what the paper's readers wrote"}
    ).json()
    assert ModelCard.model_validate(body).id == ID
    assert (body["name"], body["description"]) == ("Comments", "what the paper's readers wrote")
    assert asked.patch(path, json={"description": "shorter"}).json()["name"] == "Comments"
    cleared = asked.patch(path, json={"name": None}).json()
    assert (cleared["name"], cleared["description"]) == (ID, "shorter")
    assert asked.patch(path, json={}).json() == cleared == card(asked, ID)
    check_refused(classified(asked, "Comments"), 404, "model_not_found", "unknown model")
    check_refused(asked.patch(path, json={"nam": "x"}), 400, "invalid_request", "did you mean 'name'?")
    check_refused(asked.patch(path, json={"name": ""}), 400, "invalid_request", "name")
    check_refused(asked.patch(path, json={"name": "a\0b"}), 400, "usage", "NUL")


def test_an_alias_answers_with_the_models_id_and_moves_at_once(asked, factory, tiny_artifacts):
    add_model(factory[1], tiny_artifacts[1], "second")
    for name in (ID, "second", ID):
        shown = asked.put(f"/v1/models/{name}/aliases/omni-moderation-latest").json()
        assert shown["aliases"] == ["omni-moderation-latest"]
        body = asked.post(
            "/v1/moderations", json={"model": "omni-moderation-latest", "input": "hello"}
        ).json()
        assert body["model"] == name
    assert card(asked, "second")["aliases"] == []
    assert card(asked, "omni-moderation-latest")["id"] == ID
    gone = asked.delete(f"/v1/models/{ID}/aliases/omni-moderation-latest")
    assert gone.json()["aliases"] == []
    check_refused(classified(asked, "omni-moderation-latest"), 404, "model_not_found", "unknown model")
    check_refused(
        asked.delete(f"/v1/models/{ID}/aliases/omni-moderation-latest"), 404, "not_found", "has no alias"
    )


def test_an_alias_is_not_another_model_and_not_odd(asked, factory, tiny_artifacts):
    add_model(factory[1], tiny_artifacts[1], "second")
    check_refused(asked.put(f"/v1/models/{ID}/aliases/second"), 409, "conflict", "is a model itself")
    check_refused(asked.put(f"/v1/models/{ID}/aliases/goose"), 409, "conflict", "served from a folder")
    for odd in ("%0A", "%20a", "%00", "a" * 201):
        check_refused(asked.put(f"/v1/models/{ID}/aliases/{odd}"), 400, "invalid_request", "not plain")
    check_refused(asked.put("/v1/models/none/aliases/a"), 404, "model_not_found", "unknown model 'none'")
    check_refused(asked.put("/v1/models/goose/aliases/a"), 403, "forbidden", "served from a folder")
    check_refused(asked.put("/v1/models/balanced/aliases/a"), 403, "forbidden", "is a base")


def test_a_model_is_changed_by_its_id_not_by_what_an_alias_means_today(asked):
    assert asked.put(f"/v1/models/{ID}/aliases/main").status_code == 200
    for response in (
        asked.delete("/v1/models/main"),
        asked.post("/v1/fine_tuning/models/main/archive"),
        asked.patch("/v1/fine_tuning/models/main", json={"name": "x"}),
    ):
        check_refused(response, 409, "conflict", f"an alias of the model '{ID}'")
        assert response.headers["x-should-retry"] == "false"
    assert classified(asked, "main").status_code == 200


def test_an_archived_model_rests_until_it_is_unarchived(asked, factory):
    assert classified(asked, ID).status_code == 200
    path = f"/v1/fine_tuning/models/{ID}/archive"
    body = asked.post(path).json()
    assert Archived.model_validate(body).model_dump() == {"id": ID, "object": "model", "archived": True}
    response = classified(asked, ID)
    check_refused(response, 409, "conflict", "unarchive it: DELETE /v1/fine_tuning/models/")
    assert list((factory[0].home / "served").iterdir()) == []
    assert card(asked, ID)["archived"] is True
    assert asked.get("/health").json()["models"] == 1
    assert asked.post(path).status_code == 200  # once more changes nothing
    assert asked.delete(path).json() == {"id": ID, "object": "model", "archived": False}
    assert classified(asked, ID).status_code == 200


def test_a_deleted_model_is_gone_at_once_with_its_files_and_aliases(asked, factory):
    assert asked.put(f"/v1/models/{ID}/aliases/main").status_code == 200
    assert classified(asked, "main").status_code == 200
    body = asked.delete(f"/v1/models/{ID}").json()
    assert Deleted.model_validate(body).model_dump() == {"id": ID, "object": "model", "deleted": True}
    for name in (ID, "main"):
        check_refused(classified(asked, name), 404, "model_not_found", "unknown model")
        check_refused(asked.get(f"/v1/models/{name}"), 404, "model_not_found", "unknown model")
    check_refused(asked.delete(f"/v1/models/{ID}"), 404, "model_not_found", "unknown model")
    assert list((factory[0].home / "served").iterdir()) == []
    assert [path for path in (factory[0].home / "blobs").rglob("*") if path.is_file()] == []
    assert ID not in asked.get("/v1/models").text


def test_what_no_job_made_is_not_changed(asked):
    for name, told in (("goose", "served from a folder"), ("fast", "is a base"), ("gpt-4o", "is a base")):
        for response in (
            asked.delete(f"/v1/models/{name}"),
            asked.post(f"/v1/fine_tuning/models/{name}/archive"),
            asked.delete(f"/v1/fine_tuning/models/{name}/archive"),
            asked.patch(f"/v1/fine_tuning/models/{name}", json={}),
        ):
            check_refused(response, 403, "forbidden", told)


def test_another_projects_models_do_not_exist(factory, model, tiny_artifacts):
    configured, parts = factory
    other = parts.projects.create("other")
    add_model(parts, tiny_artifacts[1], "theirs", other.id)
    parts.models.set_alias(other.id, "alias of theirs", "theirs")
    _, mine = new_key(parts)
    _, theirs = new_key(parts, project=other.id)
    with client(made_app(configured, parts)) as asked:
        for headers, name in ((mine, "theirs"), (mine, "alias of theirs"), (theirs, ID)):
            for response in (
                asked.get(f"/v1/models/{name}", headers=headers),
                asked.delete(f"/v1/models/{name}", headers=headers),
                asked.patch(f"/v1/fine_tuning/models/{name}", json={}, headers=headers),
                asked.post(f"/v1/fine_tuning/models/{name}/archive", headers=headers),
                asked.put(f"/v1/models/{name}/aliases/a", headers=headers),
                asked.post("/v1/classifications", json={"model": name, "input": "a"}, headers=headers),
                asked.post("/v1/moderations", json={"model": name, "input": "a"}, headers=headers),
            ):
                check_refused(response, 404, "model_not_found", f"unknown model '{name}'")
        listed = [item["id"] for item in asked.get("/v1/models", headers=theirs).json()["data"]]
        assert listed[:2] == ["goose", "theirs"]
        assert ID not in listed
        assert asked.put("/v1/models/theirs/aliases/main", headers=theirs).status_code == 200
        assert asked.put(f"/v1/models/{ID}/aliases/main", headers=mine).status_code == 200  # each its own
        for headers, name in ((mine, ID), (theirs, "theirs")):
            answer = asked.post("/v1/moderations", json={"model": "main", "input": "a"}, headers=headers)
            assert answer.json()["model"] == name
        hint = asked.get("/v1/models/their", headers=mine).json()["message"]
        assert "theirs" not in hint


def test_the_default_may_be_an_alias_of_each_project(tmp_path, tiny_artifacts):
    configured, parts = made_factory(tmp_path / "home", default_model="main", threads=1)
    other = parts.projects.create("other")
    add_model(parts, tiny_artifacts[0], ID)
    _, mine = new_key(parts)
    _, theirs = new_key(parts, project=other.id)
    with client(create_app(deployments(), configured, parts)) as asked:
        response = asked.post("/v1/moderations", json={"input": "hello"}, headers=mine)
        check_refused(response, 400, "invalid_request", "the server's default 'main' is none of this project")
        asked.put(f"/v1/models/{ID}/aliases/main", headers=mine)
        assert asked.post("/v1/moderations", json={"input": "hello"}, headers=mine).json()["model"] == ID
        assert asked.post("/v1/moderations", json={"input": "hello"}, headers=theirs).status_code == 400


def test_without_a_default_nothing_is_guessed(factory, model):
    configured, parts = factory
    with TestClient(create_app(deployments(FakeClassifier()), configured, parts)) as asked:
        assert asked.post("/v1/moderations", json={"input": "hello"}).json()["model"] == "goose"
    with client(create_app(deployments(names=()), configured, parts)) as asked:
        assert asked.get("/health").json()["models"] == 0
        check_refused(
            asked.post("/v1/moderations", json={"input": "hello"}), 400, "invalid_request", "names no model"
        )
        assert classified(asked, ID).status_code == 200
        assert asked.get("/health").json()["models"] == 1


def test_a_model_served_from_a_folder_comes_first(factory, tiny_artifacts):
    configured, parts = factory
    add_model(parts, tiny_artifacts[0], "goose")
    with client(made_app(configured, parts)) as asked:
        assert classified(asked, "goose", "goose goose").json()["results"][0]["moderation"]["flags"] == [
            "insult"
        ]
        assert card(asked, "goose")["job"] != "fast"


def test_a_server_that_keeps_nothing_changes_nothing():
    with client(create_app(deployments(), settings())) as asked:
        assert asked.delete("/v1/models/goose").status_code == 405
        assert asked.put("/v1/models/goose/aliases/a").status_code in (404, 405)
        assert [item["id"] for item in asked.get("/v1/models").json()["data"]] == ["goose"]


def test_more_models_than_there_is_room_for_all_answer_under_load(tmp_path, tiny_artifacts):
    configured, parts = made_factory(tmp_path / "home", max_loaded_models=2, threads=1)
    names = [f"model-{n}" for n in range(4)]
    for n, name in enumerate(names):
        add_model(parts, tiny_artifacts[n % 2], name)
    app = made_app(configured, parts)
    expected = {}

    async def work():
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as asked,
        ):

            async def ask(name, text):
                answer = await asked.post("/v1/classifications", json={"model": name, "input": text})
                return name, text, answer

            for name in names[:2]:
                for text in TEXTS:
                    expected[name, text] = (await ask(name, text))[2].json()["results"]
            asks = [ask(names[n % 4], TEXTS[n % 3]) for n in range(72)]
            found = await asyncio.gather(*asks)
            assert len(app.state.served.trained.loaded) <= 2
            return found

    for name, text, answer in asyncio.run(work()):
        assert answer.status_code == 200, answer.text
        assert answer.json()["model"] == name
        of_twin = expected[f"model-{int(name[-1]) % 2}", text]
        found = answer.json()["results"]
        for one, other in zip(found, of_twin, strict=True):
            for target in other:
                assert one[target]["scores"] == pytest.approx(other[target]["scores"], abs=1e-6)
    running = [item for item in threading.enumerate() if item.name.startswith("score model-")]
    assert running == []


def test_a_broken_model_is_an_error_of_its_own_and_others_go_on(asked, factory):
    for path in (factory[0].home / "blobs").rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    response = classified(asked, ID)
    check_refused(response, 500, "invalid_artifact", "not the ones that were trained")
    assert str(factory[0].home) not in response.text
    assert classified(asked, "goose").status_code == 200
    assert asked.get("/health").status_code == 200
    assert "operating_points" not in card(asked, ID)  # shown all the same, as far as it is known
