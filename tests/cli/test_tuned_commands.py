"""A fine-tuned model from the command to its answers: train, evaluate, predict and serve tell one score."""

from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from modwright.api.app import create_app
from modwright.cli.app import load_commands
from modwright.data.dataset import write_dataset
from modwright.serving.deployments import Deployments
from modwright.settings import Settings
from modwright.testing import make_tiny_causal, tiny_causal_recipe, tiny_dataset, tiny_encoder_recipe

TEXTS = ["You silly goose", "a quiet garden by the river", "goose " * 40]
SMALL = ("epochs=1", "validation.method=holdout", "evaluation.resamples=0")


@pytest.fixture(scope="module", params=["encoder", "causal"])
def place(request, tmp_path_factory, tiny_base_folder):
    """A folder with a trained model, its evaluation and its predictions, each made by its command."""
    root = tmp_path_factory.mktemp(request.param)
    if request.param == "encoder":
        recipe = tiny_encoder_recipe(tiny_base_folder, *SMALL)
    else:
        recipe = tiny_causal_recipe(make_tiny_causal(root / "tiny"), *SMALL)
    (root / "recipe.toml").write_text(recipe.to_toml())
    write_dataset(tiny_dataset(48, held_out=24), root / "data")
    lines = [json.dumps({"id": number, "text": text}) + "\n" for number, text in enumerate(TEXTS)]
    (root / "in.jsonl").write_text("".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("MODWRIGHT_HOME", str(root / "home"))
        patch.setenv("MODWRIGHT_THREADS", "1")
        (root / "trained.json").write_text(
            run("train", "recipe.toml", "--data", "data", "--out", "model", "--json")
        )
        run("evaluate", "model", "data", "--split", "test", "--resamples", "0", "--out", "evaluation")
        run("predict", "model", "--input", "in.jsonl", "--output", "out.jsonl")
    return request.param, root


def run(*arguments):
    result = CliRunner().invoke(load_commands(), arguments)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_the_report_says_what_the_recipe_was(place):
    family, root = place
    assert json.loads((root / "trained.json").read_text())["unchanged"] is False
    report = (root / "evaluation" / "report.html").read_text(encoding="utf-8")
    for fact in (f">{family}<", "epochs", "learning rate", "a held-out part", "tiny"):
        assert fact in report


def test_the_server_gives_the_scores_that_predict_wrote(place):
    _, root = place
    expected = [json.loads(line) for line in (root / "out.jsonl").read_text().splitlines()]
    settings = Settings(home=root / "home", threads=1)
    with TestClient(create_app(Deployments.load([str(root / "model")], settings), settings)) as client:
        health = client.get("/health")
        assert (health.status_code, health.json()["models"]) == (200, 1)
        answer = client.post("/v1/classifications", json={"model": "model", "input": TEXTS})
    assert answer.status_code == 200, answer.text
    for said, line in zip(answer.json()["results"], expected, strict=True):
        assert set(said) == set(line["scores"]) == {"moderation", "tone"}
        for target, result in said.items():
            assert result["scores"] == pytest.approx(line["scores"][target], abs=1e-6)
            assert result["flags"] == line["flags"][target]
            assert result["windows"] == line["windows"]
    assert expected[2]["windows"] > 1
