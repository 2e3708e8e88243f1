"""The page on exports does what it says: its files are written, its commands run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from modwright.cli.app import app, load_commands
from modwright.data.dataset import read_dataset

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "export-and-diff.md"
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_runs(tmp_path, monkeypatch):
    load_commands()
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    for _, name, content in blocks:
        if name:
            Path(name).write_text(content, encoding="utf-8")
    commands = [line for kind, _, content in blocks if kind == "sh" for line in content.splitlines()]
    codes = {}
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "modwright"
        result = CliRunner().invoke(app, arguments)
        codes[command] = result.exit_code
        differs = "answers merged" in command
        assert result.exit_code == int(differs), (command, result.output, result.exception)
    assert len(commands) >= 12
    assert read_dataset(Path("again")).id == read_dataset(Path("comments")).id
    assert read_dataset(Path("merged")).schema.targets[0].labels == ("bad",)
