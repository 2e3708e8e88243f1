"""Robustness beside an evaluation: figures in metrics.json, a section in the report, and the command."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from modwright.cli.app import load_commands
from modwright.data.dataset import write_dataset
from modwright.errors import DataError, UsageError
from modwright.evaluation.perturbations import PERTURBATIONS
from modwright.pipeline.evaluate import evaluate
from modwright.pipeline.robustness import MeasureRobustness

CASES = "functionality,test_case,label_gold\ndirect,you silly goose,hateful\nneutral,the quiet river,non-hateful\n"


@pytest.fixture
def cases(tmp_path):
    path = tmp_path / "cases.csv"
    path.write_text(CASES)
    return path


def test_figures_stand_beside_the_evaluation(trained, dataset, new_home, tmp_path, cases):
    told = []
    measurement = MeasureRobustness.of(["homoglyphs", "spacing"], [cases], "moderation/insult", most_rows=30)
    result = evaluate(
        trained.folder,
        dataset,
        tmp_path / "out",
        new_home(tmp_path / "home"),
        splits=["test"],
        resamples=20,
        measurements=[measurement],
        progress=lambda *arguments: told.append(arguments),
    )
    found = json.loads(result.metrics.read_text())["robustness"]
    split = found["splits"]["test"]
    assert split["rows"] == min(30, split["of"])
    assert list(split["perturbations"]) == ["homoglyphs", "spacing"]
    changes = {
        name: found["moderation"]["labels"]["insult"]["change"]["recall"]["value"]
        for name, found in split["perturbations"].items()
    }
    assert changes["homoglyphs"] == 0  # the recipe's normaliser undoes them
    assert changes["spacing"] < 0
    assert found["functional"]["cases.csv"]["overall"][0]["accuracy"]["n"] == 2
    assert set(found["other_scripts"]["Russian (Cyrillic)"]) == {"moderation", "tone"}
    (finding,) = result.findings
    assert finding.sections[0].key == "robustness"
    assert ("test, disguised", 2, 2) in told


def test_what_does_not_fit_is_said(tmp_path, cases):
    with pytest.raises(UsageError, match="unknown perturbation"):
        MeasureRobustness.of(["leet"])
    with pytest.raises(DataError):
        MeasureRobustness.of([], [tmp_path / "none.csv"])
    with pytest.raises(UsageError, match="two files"):
        MeasureRobustness.of([], [cases, cases])
    with pytest.raises(UsageError, match="no functional tests"):
        MeasureRobustness.of([], [], "insult")


def test_the_command_prints_and_writes(trained, dataset, tmp_path, monkeypatch, cases):
    monkeypatch.setenv("MODWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MODWRIGHT_THREADS", "1")
    write_dataset(dataset, tmp_path / "rows")
    words = ["robustness", str(trained.folder), str(tmp_path / "rows"), "--out", str(tmp_path / "out")]
    more = ["--split", "test", "--resamples", "20", "--rows", "40", "--functional", str(cases)]
    found = CliRunner().invoke(load_commands(), [*words, *more])
    assert found.exit_code == 0, found.output
    for name in PERTURBATIONS:
        assert name.replace("_", " ") in found.output
    assert "Japanese (Han and Kana)" in found.output
    assert "direct" in found.output
    assert (tmp_path / "out" / "metrics.json").is_file()
    as_json = CliRunner().invoke(load_commands(), [*words, "--split", "test", "--perturb", "case", "--json"])
    assert as_json.exit_code == 0, as_json.output
    assert list(json.loads(as_json.output)["robustness"]["splits"]["test"]["perturbations"]) == ["case"]
