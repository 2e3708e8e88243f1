"""What is sealed says nothing, and only the same key opens it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from modwright.errors import IntegrityError, SettingsError, StorageError
from modwright.settings import Settings, load_settings
from modwright.storage.secrets import Sealer

TEXT = "wandb-key-of-somebody"
SEAL = """
import sys
from modwright.settings import Settings
from modwright.storage.secrets import Sealer
print(Sealer(Settings(home=sys.argv[1])).seal("wandb-key-of-somebody"))
"""


def keyed(tmp_path, key):
    return Sealer(load_settings({"MODWRIGHT_HOME": str(tmp_path), "MODWRIGHT_SECRET_KEY": key}))


def test_without_a_setting_the_key_is_made_once_for_this_user_alone(tmp_path):
    sealed = Sealer(Settings(home=tmp_path / "home")).seal(TEXT)
    assert TEXT not in sealed
    assert Sealer(Settings(home=tmp_path / "home")).open(sealed) == TEXT
    path = tmp_path / "home" / "secret.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["secret.key"]


def test_processes_that_make_the_key_at_once_make_one(tmp_path):
    command = [sys.executable, "-c", SEAL, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    sealed = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [Sealer(Settings(home=tmp_path)).open(text) for text in sealed] == [TEXT] * 3


def test_the_settings_key_opens_on_another_machine(tmp_path):
    sealed = keyed(tmp_path / "one", "k" * 32).seal(TEXT)
    assert keyed(tmp_path / "two", "k" * 32).open(sealed) == TEXT
    assert not (tmp_path / "one").exists()


def test_a_key_is_replaced_by_putting_a_new_one_before_it(tmp_path):
    old, new = "o" * 32, "n" * 40
    sealed = keyed(tmp_path, old).seal(TEXT)
    both = keyed(tmp_path, f"{new}, {old}")
    assert both.open(sealed) == TEXT
    assert keyed(tmp_path, new).open(both.seal(TEXT)) == TEXT


@pytest.mark.parametrize("key", ["short-secret", f"{'k' * 32},short-secret", f"{'k' * 32},"])
def test_a_short_key_is_refused_and_not_told(tmp_path, key):
    with pytest.raises(SettingsError, match="32 characters") as caught:
        keyed(tmp_path, key).seal(TEXT)
    assert "short-secret" not in str(caught.value)


def test_settings_do_not_show_the_key_or_the_databases_password(tmp_path):
    environ = {"MODWRIGHT_SECRET_KEY": "k" * 32, "MODWRIGHT_DATABASE": "postgresql://u:secret-word@h/n"}
    shown = repr(load_settings({**environ, "MODWRIGHT_HOME": str(tmp_path)}))
    assert "kkkk" not in shown
    assert "secret-word" not in shown


def test_what_another_key_sealed_is_an_error_that_says_what_to_do(tmp_path):
    sealed = keyed(tmp_path, "a" * 32).seal(TEXT)
    for other in (keyed(tmp_path, "b" * 32), Sealer(Settings(home=tmp_path))):
        with pytest.raises(IntegrityError) as caught:
            other.open(sealed)
        assert "MODWRIGHT_SECRET_KEY" in str(caught.value)
    with pytest.raises(IntegrityError):
        keyed(tmp_path, "a" * 32).open(sealed[:-8] + "AAAAAA==")


def test_a_home_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        Sealer(Settings(home=tmp_path / "file" / "home")).seal(TEXT)
