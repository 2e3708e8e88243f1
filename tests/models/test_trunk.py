"""Any encoder: its layers and embeddings are found, frozen, run in two halves, and every weight learns at one rate."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    MPNetConfig,
    MPNetModel,
    RobertaConfig,
    RobertaModel,
)

from modwright.errors import RecipeError, SourceError
from modwright.models.trunk import (
    EncoderModel,
    embeddings_of,
    freeze,
    layers_of,
    load_trunk,
    split,
    takes_types,
)
from modwright.testing import tiny_encoder_recipe
from modwright.training.encoder_groups import parameter_groups

SMALL = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "initializer_range": 0.2,
}
MADE = {
    "bert": lambda: BertModel(BertConfig(**SMALL)),
    "roberta": lambda: RobertaModel(RobertaConfig(**SMALL, type_vocab_size=1)),
    "mpnet": lambda: MPNetModel(MPNetConfig(**SMALL)),
    "distilbert": lambda: DistilBertModel(
        DistilBertConfig(
            vocab_size=60, dim=16, n_layers=3, n_heads=2, hidden_dim=24, max_position_embeddings=40
        )
    ),
    "albert": lambda: AlbertModel(AlbertConfig(**SMALL, embedding_size=8)),
}
BATCH = {
    "input_ids": torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 3, 3, 3]]),
    "attention_mask": torch.tensor([[1] * 6, [1, 1, 1, 0, 0, 0]]),
}


@pytest.fixture(scope="module", params=MADE)
def folder(request, tmp_path_factory):
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp(request.param) / request.param
    MADE[request.param]().save_pretrained(path)
    return path


def test_layers_are_found_frozen_and_learn_slower_below(folder):
    trunk = load_trunk(folder)
    freeze(trunk, embeddings=True, layers=0)
    _, layers = layers_of(trunk)
    assert len(layers) == (0 if folder.name == "albert" else 3)
    assert not any(weight.requires_grad for weight in embeddings_of(trunk)[1].parameters())
    model = EncoderModel(trunk, 2, "mean")
    optimizer = tiny_encoder_recipe(
        "x", "optimizer.layer_decay=0.5", "optimizer.learning_rate=1e-3"
    ).optimizer
    groups = parameter_groups(model, optimizer)
    grouped = [id(weight) for group in groups for weight in group.parameters]
    assert sorted(grouped) == sorted(id(weight) for weight in model.parameters() if weight.requires_grad)
    rates = {id(weight): group.learning_rate for group in groups for weight in group.parameters}
    assert {rates[id(weight)] for weight in model.head.parameters()} == {1e-2}
    for depth, layer in enumerate(reversed(layers)):
        assert {rates[id(weight)] for weight in layer.parameters()} == {1e-3 * 0.5**depth}
    decayed = {id(weight) for group in groups if group.weight_decay for weight in group.parameters}
    assert all(
        (weight.ndim > 1) == (id(weight) in decayed) for weight in model.parameters() if weight.requires_grad
    )


def test_two_halves_are_the_whole(folder):
    trunk = load_trunk(folder).eval()
    halves = split(trunk, 2)
    if folder.name == "albert":  # its layers share their weights
        assert halves is None
        return
    assert halves is not None
    with torch.inference_mode():
        whole = trunk(**BATCH).last_hidden_state
        parts = halves.upper(halves.lower(BATCH), BATCH)
    kept = BATCH["attention_mask"].bool()
    np.testing.assert_allclose(parts[kept], whole[kept], atol=1e-5)
    assert split(trunk, 0) is None


def test_an_encoder_that_cannot_be_run_in_two_is_found_out(folder, monkeypatch):
    trunk = load_trunk(folder).eval()
    if folder.name == "albert":
        return
    monkeypatch.setattr("modwright.models.trunk._SAME", -1.0)
    assert split(trunk, 2) is None


def test_frozen_layers_give_the_same_whatever_is_trained(folder):
    """MPNet's relative positions are outside its layers and read by each: trained, they would change frozen layers."""
    if folder.name == "albert":
        return
    trunk = load_trunk(folder)
    freeze(trunk, embeddings=True, layers=2)
    halves = split(trunk, 2)
    with torch.no_grad():
        before = halves.lower(BATCH)
        changed = [weight for weight in trunk.parameters() if weight.requires_grad]
        for weight in changed:
            weight += 0.5
        assert torch.equal(halves.lower(BATCH), before)
    top = layers_of(trunk)[1][2]
    assert {id(weight) for weight in top.parameters()} <= {id(weight) for weight in changed}


def test_what_lies_outside_layers_learns_where_none_is_frozen(folder):
    trunk = load_trunk(folder)
    freeze(trunk, embeddings=True, layers=0)
    if folder.name == "mpnet":
        assert trunk.encoder.relative_attention_bias.weight.requires_grad


def test_a_pooler_that_the_base_lacks_is_the_same_every_time(tmp_path):
    RobertaModel(RobertaConfig(**SMALL, type_vocab_size=1), add_pooling_layer=False).save_pretrained(tmp_path)
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        states.append(load_trunk(tmp_path).state_dict())
        assert torch.initial_seed() == seed
    assert all(torch.equal(weight, states[1][name]) for name, weight in states[0].items())


def test_weights_that_the_base_lacks_are_an_error_and_never_random(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "base")
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in sorted(weights) if "attention" in name)
    del weights[lost]
    save_file(weights, tmp_path / "base" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SourceError, match="lacks 1 weights of the encoder") as caught:
        load_trunk(tmp_path / "base")
    assert lost in str(caught.value)


def test_dropout_is_the_recipes(folder):
    torch.manual_seed(0)
    model = EncoderModel(load_trunk(folder), 2, "mean").train()
    with torch.no_grad():
        assert torch.equal(model(**BATCH), model(**BATCH))
        dropped = EncoderModel(load_trunk(folder, dropout=0.5), 2, "mean").train()
        assert not torch.equal(dropped(**BATCH), dropped(**BATCH))


def test_pooled_states_have_length_1_and_leave_padding_out(folder):
    trunk = load_trunk(folder).eval()
    states = torch.randn(2, 6, 16)
    mask = BATCH["attention_mask"]
    mean = EncoderModel(trunk, 2, "mean").pooled(states, mask)
    wanted = torch.stack([states[0].mean(dim=0), states[1, :3].mean(dim=0)])
    np.testing.assert_allclose(mean, wanted / wanted.norm(dim=1, keepdim=True), atol=1e-6)
    first = EncoderModel(trunk, 2, "cls").pooled(states, mask)
    np.testing.assert_allclose(first, states[:, 0] / states[:, 0].norm(dim=1, keepdim=True), atol=1e-6)


def test_kinds_of_tokens_where_the_model_has_them(folder):
    assert takes_types(load_trunk(folder)) == (folder.name in ("bert", "albert"))


def test_more_frozen_layers_than_there_are(folder):
    with pytest.raises(RecipeError, match="freeze_layers is 7") as caught:
        freeze(load_trunk(folder), embeddings=True, layers=7)
    assert caught.value.where == "base.freeze_layers"


def test_a_folder_that_is_no_base(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SourceError, match="transformers cannot load"):
        load_trunk(tmp_path)
