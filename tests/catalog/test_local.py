"""A folder of the user's own as a base, and what its settings files say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stand_ins import FILES, base_entry, sha256

from modwright import catalog
from modwright.catalog import BaseKind, Pooling, foreign
from modwright.catalog.traits import read_traits
from modwright.errors import IntegrityError, NotFoundError, UsageError
from modwright.settings import Settings


def write(folder: Path, files: dict[str, Any]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return folder


def test_a_folder_is_used_in_place_and_identified_by_its_bytes(tmp_path: Path, settings: Settings) -> None:
    folder = write(tmp_path / "mine", FILES)
    found = catalog.fetch_base(str(folder), settings)
    assert (found.path, found.name, found.hub) == (folder, "mine", "")
    assert found.weights_sha256 == sha256(FILES["model.safetensors"])
    assert found.tokenizer_sha256 == sha256(FILES["tokenizer.json"])
    assert (found.pooling, found.normalise, found.max_tokens, found.licence) == (
        Pooling.MEAN,
        False,
        64,
        "unknown",
    )
    assert not settings.cache_dir.exists()


def test_a_folder_with_a_catalogs_bytes_is_that_base(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "BASES", (base_entry(),))
    assert catalog.fetch_base(str(write(tmp_path / "copy", FILES)), settings).name == "tiny-base"
    other = write(tmp_path / "other", {**FILES, "tokenizer.json": b"{}"})
    assert catalog.fetch_base(str(other), settings).name == "other"


def test_pickled_weights_are_refused(tmp_path: Path, settings: Settings) -> None:
    folder = write(
        tmp_path / "old", {"config.json": {}, "tokenizer.json": {}, "pytorch_model.bin": b"pickle"}
    )
    with pytest.raises(UsageError, match="never loaded") as refused:
        catalog.fetch_base(str(folder), settings)
    assert "safe_serialization" in str(refused.value)


def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path, settings: Settings) -> None:
    folder = write(tmp_path, FILES)
    with pytest.raises(UsageError, match="is a file"):
        catalog.fetch_base(str(folder / "model.safetensors"), settings)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"config.json": {}}, (BaseKind.ENCODER, Pooling.MEAN, False, 512, 512)),
        (
            {"config.json": {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 2048}},
            (BaseKind.CAUSAL, Pooling.MEAN, False, 512, 2048),
        ),
        (
            {"config.json": {"model_type": "mpnet", "max_position_embeddings": 514}},
            (BaseKind.ENCODER, Pooling.MEAN, False, 512, 512),
        ),
        (
            {
                "config.json": {"max_position_embeddings": 512},
                "sentence_bert_config.json": {"max_seq_length": 256},
                "modules.json": [{"type": "sentence_transformers.models.Normalize"}],
                "1_Pooling/config.json": {"pooling_mode": "mean"},
            },
            (BaseKind.ENCODER, Pooling.MEAN, True, 256, 512),
        ),
        (
            {
                "config.json": {"max_position_embeddings": 512},
                "tokenizer_config.json": {"model_max_length": 10**30},
                "sentence_bert_config.json": {"max_seq_length": None},
            },
            (BaseKind.ENCODER, Pooling.MEAN, False, 512, 512),
        ),
    ],
)
def test_settings_are_read(tmp_path: Path, files: dict[str, Any], expected: tuple[Any, ...]) -> None:
    traits = read_traits(write(tmp_path, files))
    found = (traits.kind, traits.pooling, traits.normalise, traits.max_tokens, traits.max_positions)
    assert found == expected


@pytest.mark.parametrize("text", [b"[]", b"{", b"7"])
def test_settings_that_are_no_object_are_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"config\.json"):
        read_traits(write(tmp_path, {"config.json": text}))


@pytest.mark.parametrize(
    "config",
    [
        {"max_position_embeddings": "512k"},
        {"max_position_embeddings": [512]},
        {"max_position_embeddings": -1},
        {"max_position_embeddings": 0.5},
        {"max_position_embeddings": 2, "model_type": "roberta"},
        {"architectures": 3},
        {"architectures": "LlamaForCausalLM"},
        {"model_type": ["bert"]},
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match=f"config\\.json.*{next(iter(config))}"):
        read_traits(write(tmp_path, {"config.json": config}))


@pytest.mark.parametrize("name", ["", "  "])
def test_a_base_without_a_name_is_not_the_folder_this_runs_in(
    name: str, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write(tmp_path, FILES))
    with pytest.raises(UsageError, match="empty") as refused:
        catalog.fetch_base(name, settings)
    assert refused.value.remedy


def test_the_home_of_nobody_is_no_folder(settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="no such folder"):
        catalog.fetch_base("~nobody99/base", settings)


@pytest.mark.parametrize(
    "settings_file", [{"pooling_mode": "lasttoken"}, {}, {"pooling_mode_mean_sqrt_len_tokens": True}]
)
def test_an_unknown_pooling_is_refused(tmp_path: Path, settings_file: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="its pooling is"):
        read_traits(write(tmp_path, {"config.json": {}, "1_Pooling/config.json": settings_file}))


def test_two_poolings_at_once_are_refused(tmp_path: Path) -> None:
    both = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}
    with pytest.raises(UsageError, match="its pooling is cls, mean"):
        read_traits(write(tmp_path, {"config.json": {}, "1_Pooling/config.json": both}))


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\ntext", "apache-2.0"),
        ("---\ntags: x\nlicense: 'mit'\n---", "mit"),
        ("license: mit", "unknown"),
        ("---\ntags: x\n---\nlicense: mit", "unknown"),
    ],
)
def test_the_licence_is_read_from_the_cards_front_matter(tmp_path: Path, card: str, licence: str) -> None:
    assert read_traits(write(tmp_path, {"config.json": {}, "README.md": card.encode()})).licence == licence
