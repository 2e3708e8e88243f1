"""Which weights of a causal LM learn how fast: heads, adapters or layers, each layer below at a lower rate."""

from __future__ import annotations

import re
from typing import Any

from modwright.models.answers import Network
from modwright.recipe import OptimizerRecipe
from modwright.training.task import ParameterGroup

#: What transformers calls a decoder's layers.
_LAYER = re.compile(r"\.(?:layers|h|blocks|block)\.(\d+)\.")


def parameter_groups(network: Network, optimizer: OptimizerRecipe) -> list[ParameterGroup]:
    """Return every trainable weight once; biases and norms do not decay.

    A layer learns at `layer_decay` times the rate of the one above, the embeddings at the lowest; what lies outside layers
    and is no embedding learns as the top one.
    """
    named = [(name, one) for name, one in network.named_parameters() if one.requires_grad]
    numbers = [int(found[1]) for name, _ in network.named_parameters() if (found := _LAYER.search(name))]
    layers = max(numbers, default=-1) + 1
    embeddings = {id(one) for one in network.lm.get_input_embeddings().parameters()}
    groups: dict[tuple[float, float], list[Any]] = {}
    for name, parameter in named:
        layer = _LAYER.search(name)
        above = layers - 1 - int(layer[1]) if layer else layers if id(parameter) in embeddings else 0
        rate = optimizer.learning_rate * optimizer.layer_decay**above
        if name.startswith("heads."):
            rate = optimizer.head_learning_rate
        decay = optimizer.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [ParameterGroup(weights, rate, decay) for (rate, decay), weights in groups.items()]
