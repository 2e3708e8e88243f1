"""Low-rank adapters (LoRA, Hu et al. 2021, https://arxiv.org/abs/2106.09685): put in to train, kept beside the base,
and added into its weights to score.

They are trained as peft trains them. What is kept is two tensors per adapted layer under the layer's own name, and nothing
of the machine; adding them in needs no peft: W + alpha / rank * B A.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modwright.errors import ArtifactError, MissingExtraError, RecipeError
from modwright.recipe import AdapterRecipe

ADAPTER_FILE = "adapter.safetensors"
_A, _B = ".lora_A.weight", ".lora_B.weight"
_ALL_LINEAR = "all-linear"


def add_lora(model: Any, recipe: AdapterRecipe) -> None:
    """Put fresh adapters into a causal LM, in place; only they stay trainable.

    Raises:
        MissingExtraError: peft is not installed.
        RecipeError: the model has no linear layer of such a name; those it has are told.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise MissingExtraError("train", "low-rank adapters (peft is missing)") from None
    modules: list[str] | str = _ALL_LINEAR if recipe.modules == [_ALL_LINEAR] else list(recipe.modules)
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=modules,
        task_type="CAUSAL_LM",
    )
    _check_modules(model, recipe.modules)
    inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)


def adapter_tensors(model: Any) -> dict[str, Any]:
    """Return the adapters inside a model: layer name and half to a contiguous float32 array on the CPU."""
    found = {}
    for name, module in model.named_modules():
        for half, key in (("lora_A", _A), ("lora_B", _B)):
            if hasattr(module, half) and hasattr(module, "base_layer"):
                (layer,) = getattr(module, half).values()
                found[name + key] = layer.weight.detach().float().cpu().contiguous().numpy()
    return found


def merge(model: Any, tensors: Mapping[str, Any], scale: float) -> None:
    """Add adapters into a model's weights, in place.

    Args:
        model: without adapters of its own.
        tensors: as `adapter_tensors` gives them.
        scale: alpha / rank.

    Raises:
        ArtifactError: a tensor fits no layer of the model, has another shape, or its other half is missing.
    """
    import torch

    modules = dict(model.named_modules())
    names = {key.removesuffix(_A).removesuffix(_B) for key in tensors}
    for name in sorted(names):
        if name not in modules or {name + _A, name + _B} - set(tensors):
            raise ArtifactError(f"the adapter of '{name}' is not whole or fits no layer", where=ADAPTER_FILE)
        a, b = (torch.from_numpy(tensors[name + key]) for key in (_A, _B))
        weight = modules[name].weight
        delta = scale * (b @ a)  # (out, in)
        turned = type(modules[name]).__name__ == "Conv1D"  # transformers' own, which keeps (in, out)
        delta = delta.T if turned else delta
        if delta.shape != weight.shape:
            raise ArtifactError(
                f"the adapter of '{name}' is {tuple(delta.shape)}, the layer {tuple(weight.shape)}",
                where=ADAPTER_FILE,
            )
        with torch.no_grad():
            weight += delta


def _check_modules(model: Any, wanted: Sequence[str]) -> None:
    kinds = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if type(module).__name__ in ("Linear", "Conv1D") and module is not model.get_output_embeddings()
    }
    if list(wanted) == [_ALL_LINEAR]:
        return
    for name in wanted:
        if name not in kinds:
            raise RecipeError(
                f"the base has no linear layer '{name}'",
                where="adapter.modules",
                remedy=f'"{_ALL_LINEAR}", or of: {", ".join(sorted(kinds))}',
            )
