"""The error tree: drawn as it is, each class with its own code, every message with its place and remedy."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys

import pytest

from modwright import errors
from modwright.errors import (
    DataError,
    MissingExtraError,
    ModwrightError,
    OverloadedError,
    UnavailableError,
    UsageError,
    nearest,
)

app = importlib.import_module("modwright.cli.app")  # the module: its package exports the Typer of that name
CLASSES = [
    item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, ModwrightError)
]


def test_the_drawing_shows_every_class_under_its_parent():
    drawn, path = {}, []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^([ │├└─]*)(\w+Error)\b", line)
        if found:
            depth = (len(found[1]) - 4) // 4
            path[depth:] = [found[2]]
            drawn[found[2]] = path[depth - 1] if depth else None
    assert drawn == {
        item.__name__: item.__base__.__name__ if item is not ModwrightError else None for item in CLASSES
    }


def test_every_class_has_a_code_of_its_own_and_a_docstring():
    codes = [item.code for item in CLASSES]
    assert len(set(codes)) == len(codes)
    assert all(item.__doc__ for item in CLASSES)
    assert all(400 <= item.status < 600 for item in CLASSES)
    assert all(1 <= item.exit_code <= 6 for item in CLASSES)


def test_a_message_has_its_place_and_remedy():
    assert str(ModwrightError("found x", where="here", remedy="do y")) == "here: found x (do y)"
    assert str(ModwrightError("found x")) == "found x"
    assert str(DataError("bad", file="f.csv", line=3, field="text")) == "f.csv:3, field 'text': bad"
    assert str(DataError("bad", field="text")) == "field 'text': bad"
    assert str(DataError("bad", file="f.csv")) == "f.csv: bad"
    assert str(MissingExtraError("serve", "running")) == (
        "running needs the extra 'serve' (pip install 'modwright[serve]')"
    )
    error = UnavailableError("no answer", retry_after_s=2.5)
    assert isinstance(error, OverloadedError)
    assert (error.status, error.code, str(error)) == (503, "unavailable", "no answer (try again in 2.5 s)")


def test_nearest_names_one_or_lists_all():
    assert nearest("fols", ["folds", "seed"]) == "did you mean 'folds'?"
    assert nearest("zzz", ["seed", "folds"]) == "known: folds, seed"
    assert nearest("zzz", []) == "nothing is known here"


def raised(monkeypatch, capsys, error, *arguments):
    def load():
        def run():
            raise error

        return run

    monkeypatch.setattr(app, "load_commands", load)
    monkeypatch.setattr(sys, "argv", ["modwright", *arguments])
    with pytest.raises(SystemExit) as caught:
        app.main()
    return caught.value.code, capsys.readouterr().err


def test_the_command_line_prints_one_message_or_json(monkeypatch, capsys):
    error = UsageError("found x", where="here", remedy="do y")
    assert raised(monkeypatch, capsys, error) == (2, "error: here: found x (do y)\n")
    code, text = raised(monkeypatch, capsys, error, "--json")
    assert code == 2
    assert json.loads(text) == {
        "error": {"code": "usage", "message": "found x", "where": "here", "remedy": "do y"}
    }


def test_several_problems_of_data_are_each_in_the_json(monkeypatch, capsys):
    from modwright.data.problems import DataProblemsError

    several = DataProblemsError([DataError("bad", file="f", line=line) for line in (1, 5)], 7)
    code, text = raised(monkeypatch, capsys, several, "--json")
    body = json.loads(text)["error"]
    assert code == 3
    assert [problem["where"] for problem in body["problems"]] == ["f:1", "f:5"]
    assert {problem["code"] for problem in body["problems"]} == {"invalid_data"}
