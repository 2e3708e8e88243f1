"""Settings come from MODWRIGHT_* variables; what is unknown or unusable is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from modwright.errors import SettingsError
from modwright.settings import Settings, load_settings


def test_nothing_set_means_the_defaults():
    settings = load_settings({"PATH": "/bin", "HOME": "/somewhere"})
    assert settings.host == "127.0.0.1"
    assert settings.cache_dir == settings.home / "cache"
    assert settings.home.is_absolute()


def test_every_field_is_a_variable_and_is_described():
    values = {"home": "/h", "cache": "/c", "default_model": "m", "host": "0.0.0.0", "max_json_depth": "50"}
    values |= {
        "upload_invalid_sample_skip_percentage": "0.5",
        "price_currency": "CHF",
        "wandb_mode": "offline",
        "job_aliases": '{"mine": "fast"}',
    }
    environ = {f"MODWRIGHT_{name.upper()}": values.get(name, "1000") for name in Settings.model_fields}
    settings = load_settings(environ)
    assert (settings.home, settings.cache_dir) == (Path("/h"), Path("/c"))
    assert all(getattr(settings, name) != Settings().__dict__[name] for name in Settings.model_fields)
    assert all(field.description for field in Settings.model_fields.values())


def test_paths_become_absolute_and_the_tilde_is_known(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    settings = load_settings({"MODWRIGHT_HOME": "here", "MODWRIGHT_CACHE": "~/cache"})
    assert settings.home == tmp_path / "here"
    assert settings.cache_dir == tmp_path / "me" / "cache"


def test_an_empty_value_means_not_set(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    environ = {f"MODWRIGHT_{name.upper()}": "" for name in Settings.model_fields}
    assert load_settings(environ) == load_settings({})
    assert load_settings({"MODWRIGHT_HOME": "/h", "MODWRIGHT_CACHE": ""}).cache_dir == Path("/h/cache")
    with pytest.raises(SettingsError, match="MODWRIGHT_PROT"):
        load_settings({"MODWRIGHT_PROT": ""})


@pytest.mark.parametrize("name", ["HOME", "CACHE"])
def test_the_home_of_nobody_is_told(name):
    with pytest.raises(SettingsError, match=f"MODWRIGHT_{name} is '~nobody99/x'") as caught:
        load_settings({f"MODWRIGHT_{name}": "~nobody99/x"})
    assert caught.value.remedy


def test_a_user_without_a_home_folder_is_told_what_to_set(monkeypatch):
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(SettingsError, match="no home folder") as caught:
        load_settings({})
    assert "MODWRIGHT_HOME" in str(caught.value)
    assert load_settings({"MODWRIGHT_HOME": "/h"}).home == Path("/h")


def test_an_unknown_variable_names_the_nearest():
    with pytest.raises(SettingsError, match="MODWRIGHT_PROT") as caught:
        load_settings({"MODWRIGHT_PROT": "1"})
    assert caught.value.remedy == "did you mean 'MODWRIGHT_PORT'?"


def test_variables_of_the_tests_are_none_of_a_deployments():
    load_settings({"MODWRIGHT_TEST_DATA": "/data"})
    with pytest.raises(SettingsError):
        load_settings({"MODWRIGHT_TESTS": "/data"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "many"),
        ("PORT", "70000"),
        ("PORT", "-1"),
        ("MAX_INPUTS", "0"),
        ("MAX_INPUTS", "1.5"),
        ("REQUEST_TIMEOUT_S", "0"),
        ("REQUEST_TIMEOUT_S", "soon"),
        ("THREADS", "-2"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_variable(name, value):
    with pytest.raises(SettingsError) as caught:
        load_settings({f"MODWRIGHT_{name}": value})
    assert f"MODWRIGHT_{name} is {value!r}" in str(caught.value)


def test_the_environment_is_read_when_none_is_given(monkeypatch):
    monkeypatch.setenv("MODWRIGHT_PORT", "8123")
    assert load_settings().port == 8123
