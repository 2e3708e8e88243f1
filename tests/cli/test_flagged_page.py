"""`modwright flagged` as its page shows it, and as JSON."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from docs_pages import ROOT, steps
from modwright.cli.app import load_commands
from modwright.errors import NotFoundError

PAGE = ROOT / "docs" / "how-to" / "flagged-proportion.md"


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The page's file in its place; the page's command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODWRIGHT_HOME", str(tmp_path / "home"))
    shown = list(steps(PAGE))
    for step in shown:
        if step.writes:
            (tmp_path / step.writes[0]).write_text(step.writes[1], encoding="utf-8")
    (found,) = [step.command[1:] for step in shown if step.command]
    return found


def run(words):
    return CliRunner().invoke(load_commands(), words)


def test_the_page_as_it_stands(command, tmp_path):
    found = run(command)
    assert found.exit_code == 0, found.output
    assert "people – second_reader" in found.output
    assert "second_reader is column: 2_bad; no verdict on 1 answer, which is left out." in found.output
    assert "goose" not in found.output
    assert {path.name for path in (tmp_path / "flagged").iterdir()} == {
        "flagged.json",
        "flagged.md",
        "flagged.svg",
        "flagged.png",
    }


def test_json_is_the_file_that_is_written(command, tmp_path):
    found = run([*command, "--json", "--resamples", "20"])
    assert json.loads(found.stdout) == json.loads((tmp_path / "flagged" / "flagged.json").read_text())
    assert json.loads(found.stdout)["flagged"]["duck"]["people"]["value"] == pytest.approx(2 / 3)


def test_a_judge_that_is_none(command):
    with pytest.raises(NotFoundError, match="neither an artifact's folder nor a column"):
        raise run([*command, "--judge", "peple"]).exception
