"""Grids and dry runs from the command line: tables and JSON, exit codes, and what is refused."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from modwright.cli.app import load_commands
from modwright.data.dataset import write_dataset
from modwright.errors import DataError, RecipeError, UsageError
from modwright.pipeline import grid as module
from modwright.testing import tiny_dataset, tiny_recipe


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_base, tiny_base_folder, tiny_cache):
    root = tmp_path_factory.mktemp("grids")
    shutil.copytree(tiny_cache / "graphs", root / "home" / "cache" / "graphs")
    (root / "recipe.toml").write_text(tiny_recipe(tiny_base_folder, "evaluation.resamples=0").to_toml())
    write_dataset(tiny_dataset(), root / "data")
    return root


@pytest.fixture
def run(place, monkeypatch):
    """Train in this process; an error of ours is raised."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("MODWRIGHT_HOME", str(place / "home"))
    monkeypatch.setenv("MODWRIGHT_THREADS", "1")

    def _run(*arguments):
        command = ["train", "recipe.toml", "--data", "data", *arguments]
        result = CliRunner().invoke(load_commands(), command)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return _run


def test_a_grid_is_one_table_and_says_what_judged(run, place):
    result = run("training_steps=2,20", "--out", "grid")
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[0] == ["training_steps", "loss", "before", "after", "F1", "ROC-AUC", "log-loss", "time"]
    assert [row[:2] for row in rows[1:3]] == [["2", "–"], ["20", "–"]]
    assert [row[-1] for row in rows[1:3]].count("best") == 1
    assert "each judged by fits that have not seen it; best: lowest log-loss there" in result.stdout
    assert "2 of 2: training_steps=20" in result.stderr
    again = run("training_steps=2,20", "--out", "grid", "--json")
    data = json.loads(again.stdout)
    assert data == {"folder": "grid", **json.loads((place / "grid" / "grid.json").read_text())}
    assert "trained before" in run("training_steps=2,20", "--out", "grid").stdout


def test_a_member_that_fails_is_told_and_the_command_fails(run, monkeypatch):
    real = module.train

    def sometimes(recipe, *arguments, **keywords):
        if recipe.training.training_steps == 1:
            raise DataError("no rows\nleft", file="data")
        return real(recipe, *arguments, **keywords)

    monkeypatch.setattr(module, "train", sometimes)
    result = run("training_steps=1,3", "--out", "failing")
    assert result.exit_code == 1
    assert "failed: training_steps=1: data: no rows⟨U+000A⟩left" in result.stdout
    assert "best" in result.stdout


def test_a_grid_is_not_trained_over_an_artifact_nor_with_a_wrong_value(run, place):
    run("training_steps=2", "--out", "single")
    with pytest.raises(UsageError, match="one artifact, not a grid"):
        run("training_steps=2,3", "--out", "single")
    with pytest.raises(RecipeError):
        run("training_steps=2,many", "--out", "wrong")
    assert not (place / "wrong").exists()


def test_a_dry_run_tells_and_leaves_nothing(run, place):
    result = run("--out", "dry", "--dry-run")
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert names == ["family", "rows", "runs", "steps", "tokens", "duration", "memory", "disk"]
    assert not list(place.glob("dry*"))
    data = json.loads(run("--out", "dry", "--dry-run", "--json").stdout)
    assert data["seconds"]["low"] < data["seconds"]["likely"] < data["seconds"]["high"]
    assert data["rows"] == 120


def test_a_dry_run_of_a_grid_is_refused(run):
    with pytest.raises(UsageError, match="training_steps has several values"):
        run("training_steps=2,3", "--out", "dry", "--dry-run")
