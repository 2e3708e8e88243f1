"""The how-to page on checks does what it says: its files are written, its commands run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

import modwright.cli.data
from modwright.cli.app import app
from modwright.data import checks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "check-and-describe.md"
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_runs(tmp_path, monkeypatch):
    assert modwright.cli.data.data_app.registered_commands
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    for _, name, content in blocks:
        if name:
            Path(name).write_text(content, encoding="utf-8")
    commands = [line for kind, _, content in blocks if kind == "sh" for line in content.splitlines()]
    run = [command for command in commands if " DIR " not in command]  # those need a base
    assert len(run) >= 7
    for command in run:
        program, *arguments = shlex.split(command)
        assert program == "modwright"
        result = CliRunner().invoke(app, arguments)
        expected = 3 if arguments[1] == "check" else 0
        assert result.exit_code == expected, (command, result.output, result.exception)
    assert "empty_text" in Path("checks.html").read_text(encoding="utf-8")
    assert {path.name for path in Path("described").iterdir()} == {
        "describe.html",
        "describe.json",
        "distribution-1.png",
    }


def test_the_page_names_every_code():
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(checks.__file__).parent.glob("*.py"))
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", PAGE.read_text(encoding="utf-8")))
    prefixes = (
        "empty|text|label|labels|duplicate|near|context|rare|conflicting|replacement|mojibake|personal|language"
        "|too|likely"
    )
    codes = set(re.findall(rf'"((?:{prefixes})(?:_[a-z]+)*)"', sources)) - {
        "label",
        "labels",
        "text",
        "language",
    }
    others = {"likely", "label_errors"}
    assert codes - others <= named, codes - others - named
