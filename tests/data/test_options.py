"""What an import is told: contradictions are refused before anything is read."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

import modwright.cli.data  # noqa: F401 (registers the commands)
from modwright.cli.app import app
from modwright.data.dataset import read_dataset
from modwright.data.options import Meaning
from modwright.errors import ModwrightError, UsageError

ROLES = ("text", "prompt", "response", "messages", "id", "weight", "labels", "scores")
TOGETHER = [
    pair
    for pair in itertools.combinations(ROLES, 2)
    if not ({"prompt", "response"} & set(pair) and {"text", "messages"} & set(pair))
]


@pytest.mark.parametrize("pair", TOGETHER, ids="-".join)
def test_a_column_has_one_role(pair):
    given = {role: ("c",) if role in ("labels", "scores") else "c" for role in pair}
    if {"prompt", "response"} & set(pair):
        given = {"prompt": "p", "response": "r", **given}
    with pytest.raises(UsageError, match="column 'c' is given to"):
        Meaning(**given)


def test_columns_of_one_role_each_are_fine():
    roles = {"id": "i", "weight": "w", "labels": ("l",), "scores": ("s",)}
    assert Meaning(text="t", messages="m", **roles).columns == ("l", "s")
    assert Meaning(prompt="p", response="r", **roles).prompt == "p"


def run(*arguments: str) -> None:
    result = CliRunner().invoke(app, ["data", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0


def test_declared_labels_may_stand_after_a_blank(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,c\na,x\nb,y\n")
    out = tmp_path / "d"
    declare = "moderation=y, x"
    run("import", str(path), "--label", "c", "--declare", declare, "--out", str(out))
    assert read_dataset(out).schema.targets[0].labels == ("y", "x")


def test_a_file_whose_name_is_no_text_is_refused_readably(tmp_path):
    name = os.fsdecode(bytes(tmp_path) + b"/caf\xe9.csv")
    try:
        Path(name).write_text("text,rude\na,1\nb,0\n")
    except OSError:
        pytest.skip("this file system takes no such name")
    with pytest.raises(ModwrightError, match="is not UTF-8") as caught:
        run("import", name, "--label", "rude", "--out", str(tmp_path / "d"))
    str(caught.value).encode()
    assert not (tmp_path / "d").exists()
    with pytest.raises(UsageError, match="is not UTF-8"):
        run("import", str(tmp_path / "a.csv"), "--label", "rude", "--out", name)
