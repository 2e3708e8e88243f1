"""A base that lies as GGUF is converted once, whole or not at all."""

from __future__ import annotations

import json

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from modwright.errors import SourceError
from modwright.models import gguf as conversion
from modwright.models.gguf import ensure_converted
from modwright.models.tokens import Tokenizer
from modwright.testing import make_tiny_causal

SHA = "ab" * 32
#: What GGUF calls the parts of a Llama.
NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def turned(weight, heads):
    """Return a query or key matrix in the order of rows that GGUF's rotary attention has."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def gguf_name(name):
    for theirs, ours in NAMES.items():
        name = (
            name.replace(f".{theirs}.", f".{ours}.")
            if not name.startswith(theirs)
            else name.replace(theirs, ours)
        )
    return name.replace("model.layers.", "blk.")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_tiny_causal(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def gguf_base(base, tmp_path_factory):
    """The tiny Llama as one GGUF file, unquantised."""
    folder = tmp_path_factory.mktemp("gguf")
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config, tokenizer = model.config, json.loads((base / "tokenizer.json").read_text())
    writer = gguf.GGUFWriter(str(folder / "tiny.gguf"), "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config.vocab_size)
    vocabulary = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([3 if token == "<|end|>" else 1 for token, _ in vocabulary])
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(config.eos_token_id)
    writer.add_bos_token_id(config.eos_token_id)
    writer.add_add_bos_token(False)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        value = weight.numpy().astype(np.float32)
        if "q_proj" in name or "k_proj" in name:
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            value = turned(value, heads)
        writer.add_tensor(gguf_name(name), np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder


@pytest.fixture(scope="module")
def converted(gguf_base, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return cache, ensure_converted(gguf_base, SHA, cache)


def test_the_conversion_is_the_model(base, converted):
    _, folder = converted
    wanted = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    found = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.tensor([[3, 40, 7, 99, 12]])
    with torch.inference_mode():
        torch.testing.assert_close(found(ids).logits, wanted(ids).logits, atol=1e-4, rtol=1e-4)


def test_the_conversion_is_the_tokenizer(base, converted):
    _, folder = converted
    ours, theirs = Tokenizer(folder / "tokenizer.json"), Tokenizer(base / "tokenizer.json")
    texts = ["my silly goose\nnear the River", "<|end|>", ""]
    assert ours.plain_ids(texts) == theirs.plain_ids(texts)
    assert ours.control_texts() == ["<|end|>"]
    one, two, three = (len(ours.plain_ids([digits])[0]) for digits in ("1", "12", "123"))
    assert (one, two, three) == (1, 2, 3)  # "smollm" means every digit by itself


def test_nothing_of_the_machine_or_the_conversion_is_kept(gguf_base, converted):
    _, folder = converted
    config = json.loads((folder / "config.json").read_text())
    assert not {"quantization_config", "_name_or_path", "_model_name_or_path", "transformers_version"} & set(
        config
    )
    for name in ("config.json", "tokenizer.json", "converted.json"):
        assert str(gguf_base) not in (folder / name).read_text()


def test_it_is_done_once_and_again_only_where_it_is_damaged(gguf_base, converted, monkeypatch):
    cache, folder = converted
    again = []
    monkeypatch.setattr(conversion, "_convert", lambda gguf, staging: again.append(gguf))
    assert ensure_converted(gguf_base, SHA, cache) == folder
    assert again == []
    weights = (folder / "model.safetensors").read_bytes()
    try:
        (folder / "config.json").write_text("{}")
        monkeypatch.undo()
        assert ensure_converted(gguf_base, SHA, cache) == folder
        assert (folder / "model.safetensors").read_bytes() == weights
        assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"
    finally:
        ensure_converted(gguf_base, SHA, cache)


def test_a_folder_without_gguf_is_used_as_it_is(base, tmp_path):
    assert ensure_converted(base, SHA, tmp_path) == base
    assert not list(tmp_path.iterdir())


def test_several_gguf_files_are_refused(tmp_path):
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(SourceError, match=r"a\.gguf, b\.gguf"):
        ensure_converted(tmp_path, SHA, tmp_path / "cache")


def test_what_is_no_gguf_is_refused_and_leaves_nothing(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"GGUFnonsense" * 10)
    with pytest.raises(SourceError):
        ensure_converted(tmp_path, SHA, tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
