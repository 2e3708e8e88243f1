"""What sharded training costs: counted against real models, and against what autograd really keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modwright.recipe import load_recipe
from modwright.training.arithmetic import (
    DecoderShape,
    bytes_sent,
    checkpoint_bytes,
    flops_per_token,
    footprint,
    layer_activations,
    pace,
)

#: config.json of the 7B base, as published.
SEVEN_B = {
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_attention_heads": 32,
    "vocab_size": 32000,
}


def config(hidden=64, intermediate=160, layers=2, heads=4, kv_heads=4, tied=False):
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=50,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        tie_word_embeddings=tied,
        attn_implementation="sdpa",
    )


@pytest.mark.parametrize(("kv_heads", "tied"), [(4, False), (2, True), (1, False)])
def test_parameters_are_those_of_transformers(kv_heads, tied):
    from transformers import LlamaForCausalLM

    made = config(kv_heads=kv_heads, tied=tied)
    shape = DecoderShape.of_config(made.to_dict())
    assert shape.parameters == sum(value.numel() for value in LlamaForCausalLM(made).parameters())


def test_seven_billion():
    assert DecoderShape.of_config(SEVEN_B).parameters == 6_738_415_616  # as its model card says
    assert DecoderShape.of_config(SEVEN_B, labels=14).parameters == 6_607_400_960


def kept_bytes(made, *, checkpointing=False):
    """Bytes that autograd keeps for 2 x 32 tokens under bf16 autocast, weights aside."""
    from transformers import LlamaModel

    model = LlamaModel(made).to(torch.bfloat16)
    if checkpointing:
        model.train().gradient_checkpointing_enable({"use_reentrant": False})
    weights = {value.untyped_storage().data_ptr() for value in model.parameters()}
    kept = {}

    def pack(tensor):
        memory = tensor.untyped_storage()
        if memory.data_ptr() not in weights:
            kept[memory.data_ptr()] = (
                memory.nbytes(),
                tensor,
            )  # the tensor, so that no address is used again
        return tensor

    inputs = torch.randn(2, 32, made.hidden_size, requires_grad=True)
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16),
    ):
        model(inputs_embeds=inputs, use_cache=False)
    return sum(size for size, _ in kept.values())


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("sizes", [{}, {"hidden": 128}, {"intermediate": 320}, {"kv_heads": 1}])
def test_activations_of_a_layer_are_what_autograd_keeps(sizes):
    one, two = (config(layers=layers, **sizes) for layers in (1, 2))
    shape = DecoderShape.of_config(one.to_dict())
    assert (kept_bytes(two) - kept_bytes(one)) / 64 == layer_activations(shape)
    checkpointed = kept_bytes(two, checkpointing=True) - kept_bytes(one, checkpointing=True)
    assert checkpointed / 64 == 4 * shape.hidden


def test_more_processes_hold_less_and_send_nearly_the_same():
    shape = DecoderShape.of_config(SEVEN_B, labels=14)
    case = {"rows": 16, "tokens": 512, "checkpointing": True, "last_only": True}
    eight, sixteen = (footprint(shape, processes=number, **case) for number in (8, 16))
    for name in ("weights", "gradients", "moments"):
        assert getattr(eight, name) == 2 * getattr(sixteen, name)
    assert eight.activations == sixteen.activations
    assert bytes_sent(shape, processes=16) / bytes_sent(shape, processes=8) == pytest.approx(15 / 14)
    assert bytes_sent(shape, processes=1) == 0
    assert checkpoint_bytes(shape) == 12 * shape.parameters


def test_checkpointing_computes_a_third_more():
    shape = DecoderShape.of_config(SEVEN_B, labels=14)
    plain, again = (flops_per_token(shape, tokens=512, checkpointing=on) for on in (False, True))
    assert again / plain == pytest.approx(4 / 3)
    assert plain == pytest.approx(6 * shape.parameters, rel=0.01)  # the rule of thumb


def test_a_slow_link_sets_the_pace():
    shape = DecoderShape.of_config(SEVEN_B, labels=14)
    case = {
        "processes": 8,
        "rows": 16,
        "tokens": 512,
        "epoch_rows": 300_000,
        "epochs": 4,
        "checkpointing": True,
    }
    fast = pace(shape, **case, peak_flops=312e12, utilisation=0.4, link_bytes_per_s=300e9)
    slow = pace(shape, **case, peak_flops=312e12, utilisation=0.4, link_bytes_per_s=1e9)
    assert fast.steps == slow.steps == 4 * 2344
    assert fast.hours == pytest.approx(fast.steps * fast.compute_s / 3600)
    assert slow.hours == pytest.approx(slow.steps * slow.sending_s / 3600)


def test_the_recipe_has_the_settings_it_is_named_for():
    recipe = load_recipe("qa-moderation-7b")
    assert recipe.base.name == "huggyllama/llama-7b"
    assert recipe.shards.processes == 8
    assert recipe.batches.rows == 16 * recipe.shards.processes
    assert recipe.batches.max_tokens == 16 * recipe.window.max_tokens == 16 * 512
    optimizer = recipe.optimizer
    assert (optimizer.learning_rate, optimizer.weight_decay, optimizer.warmup) == (1e-5, 0.1, 0.03)
    assert (optimizer.schedule, recipe.training.epochs, recipe.validation.every) == ("cosine", 4, 250)
    assert (recipe.adapter.method, recipe.answer.read) == ("full", "head")
    assert recipe.training.gradient_checkpointing
    assert recipe.training.precision == "bfloat16"


def test_the_figures_of_the_page():
    """docs/concepts/sharding.md says what the functions say."""
    shape = DecoderShape.of_config(SEVEN_B, labels=14)
    case = {"processes": 8, "rows": 16, "tokens": 512}
    on, off = (footprint(shape, **case, checkpointing=one, last_only=True) for one in (True, False))
    hardware = {"peak_flops": 312e12, "utilisation": 0.4, "epoch_rows": 300_000, "epochs": 4}
    fast, plain = (
        pace(shape, **case, **hardware, checkpointing=one, link_bytes_per_s=300e9) for one in (True, False)
    )
    slow = pace(shape, **case, **hardware, checkpointing=True, link_bytes_per_s=25e9)
    counts = (shape.layer_parameters, shape.root_parameters, shape.parameters, shape.multiplied)
    gigabytes = [on.weights, on.gradients, on.moments, on.gathered, on.activations, on.total]
    gigabytes += [off.activations, off.total, bytes_sent(shape, processes=8), checkpoint_bytes(shape)]
    said = [f"{one:,}" for one in (*counts, layer_activations(shape), fast.steps)]
    said += [f"{one / 1e9:.2f}" for one in (*gigabytes, 4 * shape.parameters)]
    said += [f"{fast.sending_s:.2f} s", f"{slow.sending_s:.2f} s"]
    said += [f"{flops_per_token(shape, tokens=512, checkpointing=one) / 1e9:.1f}" for one in (True, False)]
    for one in (fast, plain):
        said += [f"{one.compute_s:.2f}", f"{one.tokens_per_s:,.0f}", f"{one.hours:.1f}"]
    page = (Path(__file__).parents[2] / "docs" / "concepts" / "sharding.md").read_text(encoding="utf-8")
    assert [figure for figure in said if figure not in page] == []
