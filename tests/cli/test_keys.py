"""`modwright keys` and `modwright projects`: straight in the database that a server uses."""

import json
import re
import time

import pytest
from typer.testing import CliRunner

from modwright.cli.app import load_commands
from modwright.cli.keys import create_key, create_project, list_keys, list_projects, revoke_key
from modwright.errors import ConflictError, ModwrightError, NotFoundError, UsageError
from modwright.settings import Settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("MODWRIGHT_HOME", str(tmp_path / "home"))
    return Settings(home=tmp_path / "home")


def run(*arguments):
    done = CliRunner().invoke(load_commands(), list(arguments))
    if isinstance(done.exception, ModwrightError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def test_the_secret_is_shown_once_alone_on_standard_output(settings):
    done = run("keys", "create", "--name", "laptop")
    secret = done.stdout.strip()
    assert re.fullmatch(r"mw-[\w-]{40,}", secret)
    assert "not shown again" in done.stderr
    assert secret not in run("keys", "list").output
    assert secret not in run("keys", "list", "--json").output
    kept = b"".join(path.read_bytes() for path in settings.home.rglob("*") if path.is_file())
    assert secret.encode() not in kept


def test_a_key_says_what_it_may_and_until_when(settings):
    told = json.loads(
        run(
            "keys", "create", "--name", "ci", "--scopes", "read, admin,read", "--expires", "2d", "--json"
        ).stdout
    )
    assert told["scopes"] == ["admin", "read"]
    assert told["key"].startswith(told["prefix"])
    assert told["expires_at"] == pytest.approx(time.time() + 172_800, abs=60)
    assert (told["project"], told["state"], told["revoked_at"]) == ("default", "valid", None)
    (row,) = json.loads(run("keys", "list", "--json").stdout)["keys"]
    assert row == {key: value for key, value in told.items() if key != "key"}


def test_by_default_a_key_may_all_but_administer(settings):
    row, _ = create_key(settings, "a", scopes="read,classify,train")
    assert json.loads(run("keys", "create", "--name", "b", "--json").stdout)["scopes"] == row["scopes"]


def test_revoked_and_expired_keys_are_told_apart(settings):
    revoked, _ = create_key(settings, "a", scopes="read")
    create_key(settings, "b", scopes="read")
    assert "revoked 'a' of project 'default'" in run("keys", "revoke", revoked["id"]).output
    states = {row["name"]: row["state"] for row in list_keys(settings)}
    assert states == {"a": "revoked", "b": "valid"}
    assert re.search(r"revoked +default +read +a$", run("keys", "list").output, re.MULTILINE)
    with pytest.raises(NotFoundError, match="list the keys"):
        revoke_key(settings, "none")


def test_projects_have_keys_of_their_own(settings):
    assert [row["name"] for row in list_projects(settings)] == ["default"]
    made = json.loads(run("projects", "create", "trust", "--json").stdout)
    assert made in list_projects(settings)
    with pytest.raises(ConflictError):
        create_project(settings, "trust")
    run("keys", "create", "--name", "a", "--project", "trust")
    create_key(settings, "b", scopes="read")
    assert [row["name"] for row in list_keys(settings, "trust")] == ["a"]
    assert {row["project"] for row in list_keys(settings)} == {"default", "trust"}
    assert "trust" in run("projects", "list").output
    with pytest.raises(NotFoundError, match="did you mean 'trust'"):
        create_key(settings, "c", project="trsut", scopes="read")


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--scopes", "raed", "did you mean 'read'"),
        ("--scopes", ",", "no scope"),
        ("--expires", "soon", "write 12h, 30d, 8w or"),
        ("--expires", "0d", "past"),
        ("--expires", "2020-01-31", "past"),
        ("--expires", "99999w", None),
        ("--expires", "9999999d", "write 12h"),
    ],
)
def test_what_cannot_be_is_told_and_no_key_is_made(settings, option, value, told):
    order = ("keys", "create", "--name", "a", option, value)
    if told is None:
        run(*order)
        return
    with pytest.raises(UsageError) as caught:
        run(*order)
    assert told in str(caught.value)
    assert caught.value.where == option
    assert list_keys(settings) == []
