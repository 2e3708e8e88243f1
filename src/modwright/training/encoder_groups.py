"""Which weights of an encoder learn how fast: the heads, the top layer, and each layer below at a lower rate."""

from __future__ import annotations

from typing import Any

from modwright.models.trunk import EncoderModel, embeddings_of, layers_of
from modwright.recipe import OptimizerRecipe
from modwright.training.task import ParameterGroup


def parameter_groups(model: EncoderModel, optimizer: OptimizerRecipe) -> list[ParameterGroup]:
    """Return every trainable weight once; biases and norms do not decay.

    Layers learn at lower rates the deeper they lie (Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text
    Classification"); the embeddings below them all at the lowest. What lies outside layers learns as the top one.
    """
    depth = _depths(model.trunk)
    rates: dict[float, list[Any]] = {}
    for parameter in model.trunk.parameters():
        if parameter.requires_grad:
            rate = optimizer.learning_rate * optimizer.layer_decay ** depth.get(id(parameter), 0)
            rates.setdefault(rate, []).append(parameter)
    groups = _decayed(list(model.head.parameters()), optimizer.head_learning_rate, optimizer.weight_decay)
    for rate, parameters in sorted(rates.items(), reverse=True):
        groups += _decayed(parameters, rate, optimizer.weight_decay)
    return groups


def _depths(trunk: Any) -> dict[int, int]:
    """Return how many layers lie above a weight, by its identity."""
    _, layers = layers_of(trunk)
    depths = {
        id(parameter): len(layers) - 1 - number
        for number, layer in enumerate(layers)
        for parameter in layer.parameters()
    }
    _, embeddings = embeddings_of(trunk)
    return depths | {id(parameter): len(layers) for parameter in embeddings.parameters()}


def _decayed(parameters: list[Any], rate: float, weight_decay: float) -> list[ParameterGroup]:
    matrices = [parameter for parameter in parameters if parameter.ndim > 1]
    others = [parameter for parameter in parameters if parameter.ndim <= 1]
    groups = [ParameterGroup(matrices, rate, weight_decay), ParameterGroup(others, rate, 0.0)]
    return [group for group in groups if group.parameters]
