"""The pages on moving over say what is so: their calls are ones that the real clients are tested with, their figures
those of the code, and what they say is refused is sent and refused. The clients run their Python in tests/e2e/clients."""

import ast
import json
import re
from pathlib import Path

import pytest
from job_server import JobServer

from docs_pages import ROOT
from modwright.api.schemas import files as file_bodies
from modwright.api.schemas import jobs as job_requests
from modwright.api.schemas import openai_jobs as openai_requests
from modwright.api.schemas.openai import CATEGORIES
from modwright.jobs.file_check import check_file
from modwright.jobs.naming import HOSTED, HOSTED_RECIPE, choose
from modwright.jobs.training_spec import LOOK_EVERY
from modwright.recipe import load_recipe
from modwright.settings import Settings

TEXTS = {
    name: (ROOT / "docs" / "how-to" / f"move-from-{name}.md").read_text(encoding="utf-8")
    for name in ("mistral", "openai")
}
MISTRAL, OPENAI = (re.sub(r"\s+", " ", text) for text in TEXTS.values())
CLIENTS = Path(__file__).parents[1] / "e2e" / "clients"


def blocks(name, kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", TEXTS[name], re.MULTILINE | re.DOTALL)


def calls(text):
    """Return each call of a client's method with the names of its keywords."""
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            root, _, method = ast.unparse(node.func).partition(".")
            if root in ("client", "hosted", "files") and method.replace(".", "").isidentifier():
                method = f"files.{method}" if root == "files" else method
                found.setdefault(method, set()).update(item.arg for item in node.keywords if item.arg)
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = JobServer(tmp_path_factory.mktemp("moving"))
    yield server
    server.close()


@pytest.mark.parametrize("name", list(TEXTS))
def test_every_call_of_a_page_is_one_that_real_clients_are_tested_with(name):
    tested = {}
    for path in (CLIENTS / f"flow_{name}.py", CLIENTS / f"drive_{name}.py", CLIENTS / "drive_files.py"):
        for method, keywords in calls(path.read_text()).items():
            tested.setdefault(method, set()).update(keywords)
    # The drivers call these through functions of their own.
    tested.setdefault("classifiers.classify_chat", set()).update({"model", "inputs"})
    tested.setdefault("classifiers.moderate", set()).update({"model", "inputs"})
    tested.setdefault("moderations.create", set()).update({"model", "input"})
    shown = calls("\n".join(blocks(name, "python")))
    assert len(shown) >= 6
    for method, keywords in shown.items():
        assert method in tested, method
        assert keywords <= tested[method], method


@pytest.mark.parametrize("name", list(TEXTS))
def test_every_example_of_a_file_is_read(name, tmp_path):
    (example,) = blocks(name, "jsonl")
    path = tmp_path / "example.jsonl"
    path.write_text(example)
    summary = check_file(path, path.name).summary
    assert summary.openai is (name == "openai")
    assert summary.targets["moderation"].kind == "multi_label"


def test_names_that_an_operator_maps_train_what_the_pages_say():
    for name, text in TEXTS.items():
        (told,) = re.findall(r"MODWRIGHT_JOB_ALIASES='(.*)'", text)
        for hosted, recipe in json.loads(told).items():
            assert hosted in HOSTED
            assert choose(hosted, None, json.loads(told)).recipe == recipe
        plain = {"mistral": "ministral-3b-latest", "openai": "gpt-4o-mini-2024-07-18"}[name]
        assert choose(plain, None, {}).recipe == HOSTED_RECIPE
        assert f"recipe `{HOSTED_RECIPE}`, a fine-tuned MiniLM encoder" in re.sub(r"\s+", " ", text)
    assert "MiniLM" in load_recipe(HOSTED_RECIPE).base_names[0]


def test_figures_are_those_of_the_code():
    for text in (MISTRAL, OPENAI):
        assert f"every {LOOK_EVERY}th step" in text
    assert f"`suffix` of up to {job_requests.MAX_SUFFIX} characters" in MISTRAL
    assert f"`suffix` of up to {openai_requests.MAX_SUFFIX} characters" in OPENAI
    assert f"times {openai_requests.BASE_LEARNING_RATE}" in OPENAI
    assert "thirteen categories" in OPENAI
    assert len(CATEGORIES) == 13
    assert "Uploads may have 2 GB" in MISTRAL
    assert Settings.model_fields["max_upload_bytes"].default == 2_000_000_000
    assert "a million characters" in MISTRAL
    assert Settings.model_fields["max_input_chars"].default == 1_000_000
    refused = set(re.findall(r"`(batch|ocr|assistants|vision)`", MISTRAL + OPENAI))
    assert refused == set(file_bodies._UNSERVED) - {"agentic_safety"}
    assert set(re.findall(r"`(user_data|evals)`", OPENAI)) == set(file_bodies._UNCHECKED)


def test_what_is_refused_when_a_job_is_created(server):
    file, validation = server.file(), server.file("validation.jsonl")
    server.create(422, training_files=[file], job_type="completion")
    server.create(422, training_files=[file], repositories=[{"type": "github"}])
    server.create(400, training_files=[file], validation_files=[file])
    server.create(400, training_files=["no-file"])
    server.create(404, training_files=[file], model="no-model")
    spec = {
        "training_files": [file],
        "validation_files": [validation],
        "hyperparameters": {"training_steps": 7},
    }
    first = server.create(**spec)
    server.create(409, **spec)
    for action in ("pause", "resume"):
        server.post(first["id"], f"/{action}", status=422)
    body = {"model": "fast", "training_file": file, "method": {"type": "dpo"}}
    assert server.client.post("/openai/v1/fine_tuning/jobs", json=body).status_code == 422
    answer = server.client.post(
        "/openai/v1/fine_tuning/jobs", json=body | {"method": {"type": "supervised"}, "recipe": "fast"}
    )
    assert answer.status_code == 200
    answer = server.client.post(
        "/openai/v1/fine_tuning/jobs", json=body | {"method": {"type": "supervised"}, "recipe": "fast"}
    )
    assert (answer.status_code, answer.headers["x-should-retry"]) == (409, "false")


def test_a_learning_rate_that_is_not_given_is_left_to_the_recipe(server):
    job = server.create(training_files=[server.file("rates.jsonl")], model="ministral-3b-latest")
    assert job["hyperparameters"]["learning_rate"] is None
    assert job["recipe"] == HOSTED_RECIPE


def test_paths_that_are_not_there_and_images_are_refused(server):
    for path in ("/openai/v1/chat/completions", "/v1/embeddings", "/openai/v1/uploads", "/v1/ocr"):
        assert server.client.post(path, json={}).status_code == 404
    image = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a"}},
    ]
    answer = server.client.post("/openai/v1/moderations", json={"model": "goose", "input": image})
    assert answer.status_code == 400
    assert "nothing passes unread" in answer.json()["message"]


def test_cancelled_shows_at_once_in_openais_dialect(server):
    job = server.create(training_files=[server.file("cancelled.jsonl")], auto_start=False)
    while server.jobs.claim("worker", 60.0).job.id != job["id"]:
        pass
    assert server.post(job["id"], "/cancel")["status"] == "CANCELLATION_REQUESTED"
    assert server.get(job["id"], headers={"x-api-dialect": "openai"})["status"] == "cancelled"
