"""The how-to page does what it says: its files are written, its commands run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

import modwright.cli.data
from modwright.cli.app import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "bring-data.md"
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_runs(tmp_path, monkeypatch):
    assert modwright.cli.data.data_app.registered_commands
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    for _, name, content in blocks:
        if name:
            Path(name).write_text(content, encoding="utf-8")
    commands = [line for kind, _, content in blocks if kind == "sh" for line in content.splitlines()]
    assert len(commands) >= 8
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "modwright"
        result = CliRunner().invoke(app, arguments)
        known = result.exit_code == 0 or (arguments[1] == "check" and result.exit_code == 3)
        assert known, (command, result.output, result.exception)
