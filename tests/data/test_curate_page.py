"""The how-to page on curation does what it says: its files are written, its commands run, its lines come out."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from modwright.cli.app import load_commands
from modwright.data.dataset import read_dataset

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "curate.md"
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODWRIGHT_HOME", str(tmp_path / "home"))
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    for _, name, content in blocks:
        if name:
            Path(name).write_text(content, encoding="utf-8")
    commands = [line for kind, _, content in blocks if kind == "sh" for line in content.splitlines()]
    assert len(commands) >= 7
    printed = ""
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "modwright"
        result = CliRunner().invoke(load_commands(), arguments)
        assert result.exit_code == 0, (command, result.output, result.exception)
        printed += result.output
    assert "cap: kept train 5 of 8 (" in printed
    assert "rare_labels: removed moderation/spam, moderation/threat" in printed.replace(
        "moderation/threat, moderation/spam", "moderation/spam, moderation/threat"
    )
    smaller = read_dataset(Path("smaller")).splits["train"]
    assert smaller["weight"].sum() == 10
    assert {"train", "test"} == set(read_dataset(Path("built")).splits)


def test_one_of_step_and_recipe(tmp_path):
    arguments = ["data", "curate", str(tmp_path), "--out", str(tmp_path / "out")]
    for more in ([], ["--step", "cap", "--recipe", "civil-comments"]):
        result = CliRunner().invoke(load_commands(), [*arguments, *more])
        assert "expected --step or --recipe" in str(result.exception)
