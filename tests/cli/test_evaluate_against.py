"""`modwright evaluate --against`: from the command line to the figures."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from modwright.cli.app import load_commands
from modwright.data.dataset import write_dataset
from modwright.errors import UnavailableError, UsageError
from modwright.testing import tiny_dataset


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Call the command with a home of its own."""
    monkeypatch.setenv("MODWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MODWRIGHT_THREADS", "1")
    write_dataset(tiny_dataset(), tmp_path / "rows")

    def call(artifact, *options):
        words = ["evaluate", str(artifact), str(tmp_path / "rows"), "--out", str(tmp_path / "out")]
        return CliRunner().invoke(load_commands(), [*words, "--split", "test", "--resamples", "20", *options])

    return call


def test_others_by_name(run, tiny_artifacts, tmp_path):
    found = run(tiny_artifacts[0], "--against", str(tiny_artifacts[1]), "--against", "majority")
    assert found.exit_code == 0, found.output
    data = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(data["comparison"]) == ["model1", "majority"]
    assert "of majority (difference " in found.output
    assert "texts per second" in found.output


def test_one_that_fails_is_an_error_beside_the_figures_of_all_others(run, tiny_artifacts, tmp_path):
    found = run(tiny_artifacts[0], "--against", "majority", "--against", "http://127.0.0.1:1")
    assert found.exit_code == 1
    assert isinstance(found.exception, UnavailableError)
    assert "127.0.0.1:1 was not compared on test: cannot reach" in " ".join(found.output.split())
    assert str(tmp_path / "out" / "report.html") in found.output
    data = json.loads((tmp_path / "out" / "metrics.json").read_text())["comparison"]
    assert "targets" in data["majority"]["test"]
    assert list(data["127.0.0.1:1"]["test"]) == ["error"]


def test_what_does_not_fit_is_said(run, tiny_artifacts):
    with pytest.raises(UsageError, match="expected THEIRS=OURS"):
        raise run(tiny_artifacts[0], "--against", "majority", "--their-label", "goose").exception
    with pytest.raises(UsageError, match="SWAN_KEY is not set"):
        raise run(tiny_artifacts[0], "--against", "http://127.0.0.1:1", "--key-env", "SWAN_KEY").exception
