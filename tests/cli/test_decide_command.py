"""`modwright decide` on the command line: what it prints, as text and as JSON, and that its artifact answers."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from modwright.cli.app import load_commands
from modwright.data.dataset import make_dataset, write_dataset
from modwright.testing import TINY_SCHEMA, tiny_dataset, tiny_recipe


def run(*arguments):
    result = CliRunner().invoke(load_commands(), arguments)
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_base_folder):
    """A folder with a model, and rows to decide on."""
    root = tmp_path_factory.mktemp("decide")
    (root / "recipe.toml").write_text(tiny_recipe(tiny_base_folder, "evaluation.resamples=0").to_toml())
    write_dataset(tiny_dataset(60, held_out=20), root / "data")
    rows = {"calibration": tiny_dataset(80, seed=4, held_out=2).splits["train"]}
    write_dataset(make_dataset(TINY_SCHEMA, rows, {"sources": [], "steps": []}), root / "mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("MODWRIGHT_HOME", str(root / "home"))
        patch.setenv("MODWRIGHT_THREADS", "1")
        run("train", "recipe.toml", "--data", "data", "--out", "model", "--json")
        yield root


def test_thresholds_ids_and_the_next_command_are_told(place):
    shown = run("decide", "model", "mine", "operating_points.strict.value=0.8", "--out", "new")
    lines = shown.splitlines()
    assert lines[0] == "decided on 80 rows of 'calibration'"
    assert "strict: precision at least 0.8, then the highest recall" in lines
    assert any(line.startswith("  moderation/insult from 0.") for line in lines)
    assert "before " in lines[-2]
    assert lines[-1].startswith("next: modwright evaluate new DATA")


def test_json_holds_everything_that_was_decided_and_the_artifact_answers(place):
    changes = ["deployment.prevalence.insult=0.03", "calibration.method=temperature"]
    told = json.loads(
        run("decide", "model", "mine", *changes, "--split", "calibration", "--out", "rare", "--json")
    )
    assert told["id"] != told["before"]
    assert told["decided_on"]["rows"] == 80
    assert told["calibration"]["moderation"]["methods"] == ["temperature"] * 3
    assert told["calibration"]["moderation"]["shift"]["deployed"][0] == 0.03
    assert set(told["operating_points"]) == {"default", "strict", "lenient"}
    (place / "in.jsonl").write_text('{"text": "you silly goose"}\n')
    scores = {}
    for model in ("model", "rare"):
        run(
            "predict",
            model,
            "--input",
            "in.jsonl",
            "--output",
            f"{model}.jsonl",
            "--operating-point",
            "lenient",
        )
        scores[model] = json.loads((place / f"{model}.jsonl").read_text())["scores"]["moderation"]["insult"]
    assert scores["rare"] < scores["model"]
