"""The how-to page on jobs does what it says: a server and its worker as processes, every command, every block of Python."""

import contextlib
import json
import os
import re
import shutil
import subprocess

import pytest
from typer.testing import CliRunner

from docs_pages import ROOT, steps
from modwright.cli.app import load_commands
from modwright.testing import tiny_recipe
from test_docs import MODWRIGHT, ask, matches

PAGE = ROOT / "docs" / "how-to" / "jobs.md"
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def url(tmp_path, tiny_base_folder, tiny_cache, monkeypatch):
    """A folder with the examples, and a server whose recipe `fast` is tiny."""
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    shutil.copytree(tiny_cache / "graphs", tmp_path / "home" / "cache" / "graphs")
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tiny_recipe(tiny_base_folder, "evaluation.resamples=0").to_toml(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    made = {
        **{key: value for key, value in os.environ.items() if not key.startswith("MODWRIGHT_")},
        "MODWRIGHT_HOME": str(tmp_path / "home"),
        "MODWRIGHT_JOB_ALIASES": json.dumps({"fast": str(recipe)}),
        "MODWRIGHT_THREADS": "1",
    }
    with serving(made) as where:
        yield where


@contextlib.contextmanager
def serving(environment):
    command = [*MODWRIGHT, "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
            assert process.wait(60) == 0


def run(command):
    """Run a command of ours in this process, which spares a second of imports each."""
    result = CliRunner().invoke(load_commands(), command, catch_exceptions=False)
    assert result.exit_code == 0, (command, result.output)
    return result.stdout


def test_the_page_runs(tiny_base, url, monkeypatch, capsys):
    """The page is walked from its first command to its last, then its Python."""
    monkeypatch.setenv("MODWRIGHT_URL", url)
    monkeypatch.setenv("COLUMNS", "200")
    names, walked = {}, 0
    for step in steps(PAGE):
        command = [names.get(word, word) for word in step.command]
        if command[:2] == ["modwright", "serve"]:
            continue
        if command[0] == "curl":
            assert ask(url, command)["model"] == names["$MODEL"]
        else:
            assert command[0] == "modwright"
            printed = run(command[1:])
            missing = [line for line in step.shown if not matches(line.strip(), printed)]
            assert not missing, (command, missing, printed)
            for name, pattern in (("$JOB", r"created job (\S+)"), ("$MODEL", r"trained (\S+)")):
                found = re.search(pattern, printed)
                names |= {name: found[1]} if found else {}
        walked += 1
    assert walked >= 12
    printed = []
    for block in PYTHON.findall(PAGE.read_text(encoding="utf-8")):
        exec(compile(block, str(PAGE), "exec"), {"__name__": "__main__"})
        printed.append(capsys.readouterr().out)
    first, many, awaited, refused = printed
    assert "training-plan" in first
    assert re.search(r"^\d+ 0\.\d+ ", first, re.MULTILINE)
    assert first.count("'insult': 0.") == 2
    assert many.startswith("201 ")
    assert len(re.findall("ft:classifier:fast:(comments|python):", awaited)) == 2
    assert "coments" in refused
    assert "hyperparameters.training_steps" in refused
