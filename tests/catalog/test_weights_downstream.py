"""Bases of several files as transformers saves them: loaded, trained and saved as those of one file are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stand_ins import Hub

from modwright import catalog
from modwright.artifact import read_artifact
from modwright.catalog.weights import INDEX
from modwright.pipeline.train import train
from modwright.settings import Settings
from modwright.testing import (
    make_tiny_base,
    make_tiny_causal,
    tiny_causal_recipe,
    tiny_dataset,
)
from modwright.training.events import Stage

REPO = "org/tiny-llama"


def split(one: Path, folder: Path, model: Any) -> Path:
    """Save a base once more, in files of at most 40 kB."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    model.from_pretrained(one).save_pretrained(folder, max_shard_size="40KB")
    (folder / "tokenizer.json").write_bytes((one / "tokenizer.json").read_bytes())
    (folder / "generation_config.json").unlink(missing_ok=True)
    return folder


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny Llama in one file, and in several, with what old ones have beside their weights."""
    from safetensors.numpy import load_file, save_file
    from transformers import AutoModelForCausalLM

    root = tmp_path_factory.mktemp("llama")
    one = make_tiny_causal(root / "one")
    several = split(one, root / "several", AutoModelForCausalLM)
    index = json.loads((several / INDEX).read_text())
    assert len(set(index["weight_map"].values())) >= 3
    buffer, name = "model.layers.0.self_attn.rotary_emb.inv_freq", max(index["weight_map"].values())
    tensors = load_file(several / name) | {buffer: np.ones(4, dtype=np.float32)}
    save_file(tensors, several / name, metadata={"format": "pt"})
    index["weight_map"][buffer] = name
    (several / INDEX).write_text(json.dumps(index))
    return one, several


def test_a_causal_base_of_the_hub_is_trained_and_kept(
    llama: tuple[Path, Path], hub: Hub, settings: Settings, tmp_path: Path
) -> None:
    import torch

    from modwright.models.decoder import load_causal

    one, several = llama
    hub.repositories[REPO] = {path.name: path.read_bytes() for path in several.iterdir()}
    hub.repositories[REPO]["pytorch_model-00001-of-00002.bin"] = b"pickle"
    dataset, small = tiny_dataset(24, held_out=8), ("training.epochs=1", "validation.method=holdout")
    events: list[object] = []
    result = train(
        tiny_causal_recipe(REPO, *small), dataset, tmp_path / "a", settings, on_event=events.append
    )
    base = catalog.fetch_base(REPO, settings)
    assert not list(base.path.glob("*.bin"))
    assert [base.weights_sha256] == [kept.weights_sha256 for kept in result.artifact.bases]
    model = result.folder / "model"
    shards = {path.name for path in several.glob("model-*.safetensors")}
    assert {path.name for path in model.iterdir()} == {
        *shards,
        *(INDEX, "config.json", "causal.json", "adapter.safetensors", "normalise.json"),
    }
    assert all((model / name).samefile(base.path / name) for name in shards), "no second copy of the weights"
    assert not (model / INDEX).samefile(base.path / INDEX)

    assert events[-1] == Stage("reload in a fresh process")
    assert read_artifact(result.folder) == result.artifact
    loaded, whole = (load_causal(folder, attention="sdpa").state_dict() for folder in (base.path, one))
    assert loaded.keys() == whole.keys()
    assert all(torch.equal(loaded[name], whole[name]) for name in whole), "what one file gives"


def test_an_encoder_of_several_files_is_loaded_as_one(tmp_path: Path, settings: Settings) -> None:
    import torch
    from transformers import AutoModel

    from modwright.models.trunk import load_trunk

    one = make_tiny_base(tmp_path / "one")
    several = catalog.fetch_base(str(split(one, tmp_path / "several", AutoModel)), settings)
    assert several.weights == INDEX
    whole, parts = (load_trunk(folder).state_dict() for folder in (one, several.path))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
