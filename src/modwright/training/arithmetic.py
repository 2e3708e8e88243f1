"""What sharded training of a Llama-shaped decoder costs: bytes in each process, bytes sent, tokens per second, hours.

Plain arithmetic from the shape of the model, before anything is loaded; docs/concepts/sharding.md derives every
formula and shows the figures for 7 billion weights. Bytes are those of bf16 autocast over float32 weights with fused
attention; what a layer keeps for its backward pass is what transformers' Llama keeps (the tests measure it through
autograd's saved tensors). The convention of counting FLOPs is that of PaLM (Chowdhery et al. 2022, appendix B).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FLOAT32, _BF16 = 4, 2
#: Weight, gradient and AdamW's two moments, all in float32 and all sharded.
_WEIGHT, _GRADIENT, _MOMENTS = _FLOAT32, _FLOAT32, 2 * _FLOAT32
#: Layers whose weights are gathered at once: the one that computes and the one that is fetched meanwhile.
_GATHERED_LAYERS = 2


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """A Llama-shaped decoder: RMS norms, rotary attention with shared key/value heads, a gated MLP.

    Attributes:
        layers: decoder layers.
        hidden: width of the residual stream, h.
        intermediate: width of the MLP, i.
        heads: query heads, a.
        kv_heads: key and value heads; their width together is k = h * kv_heads / heads.
        vocabulary: rows of the embedding, V.
        outputs: rows of the last matrix: V for a language model, the labels for a classification head.
        tied: the last matrix is the embedding.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    vocabulary: int
    outputs: int
    tied: bool = False

    @classmethod
    def of_config(cls, config: Mapping[str, Any], *, labels: int | None = None) -> DecoderShape:
        """Read a base's config.json; `labels` is the size of a classification head, None for label words."""
        vocabulary = int(config["vocab_size"])
        return cls(
            layers=int(config["num_hidden_layers"]),
            hidden=int(config["hidden_size"]),
            intermediate=int(config["intermediate_size"]),
            heads=int(config["num_attention_heads"]),
            kv_heads=int(config.get("num_key_value_heads") or config["num_attention_heads"]),
            vocabulary=vocabulary,
            outputs=vocabulary if labels is None else labels,
            tied=labels is None and bool(config.get("tie_word_embeddings", False)),
        )

    @property
    def kv_width(self) -> int:
        """Return k, the width of all keys (or values) of a token."""
        return self.hidden * self.kv_heads // self.heads

    @property
    def layer_parameters(self) -> int:
        """Return the weights of one layer: 2hh + 2hk (attention), 3hi (MLP), 2h (norms)."""
        h, k, i = self.hidden, self.kv_width, self.intermediate
        return 2 * h * h + 2 * h * k + 3 * h * i + 2 * h

    @property
    def root_parameters(self) -> int:
        """Return the weights outside the layers: Vh (embedding), h (last norm), the last matrix unless it is tied."""
        return (self.vocabulary + 1 + (0 if self.tied else self.outputs)) * self.hidden

    @property
    def parameters(self) -> int:
        """Return all weights, P."""
        return self.layers * self.layer_parameters + self.root_parameters

    @property
    def multiplied(self) -> int:
        """Return the weights that a token is multiplied with: all but the embedding's lookup and the norms."""
        h = self.hidden
        return self.layers * (self.layer_parameters - 2 * h) + self.outputs * h


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes in each process at the worst moment of a step.

    Attributes:
        weights, gradients, moments: this process's shards, float32.
        gathered: whole weights in use: two layers in bf16 and what is outside the layers in float32; and one layer's
            gradients before they are scattered, in both.
        activations: kept for the backward pass.
        outputs: of the last matrix, in bf16 and float32.
    """

    weights: float
    gradients: float
    moments: float
    gathered: float
    activations: float
    outputs: float

    @property
    def total(self) -> float:
        """Return all of them."""
        held = self.weights + self.gradients + self.moments
        return held + self.gathered + self.activations + self.outputs


def layer_activations(shape: DecoderShape) -> int:
    """Return bytes that one layer keeps for a token's backward pass: 30h + 4k + 8i + 4a + 8.

    Each of two norms keeps its input and what it normalised, 4h each, and the scale, 4: 16h + 8. The five matrices behind
    them keep a bf16 copy of their input each: 10h. Query and attention's output 2h each; key and value 2k each; four
    tensors of the MLP 2i each; the softmax's normaliser 4a.
    """
    h, k = shape.hidden, shape.kv_width
    return 30 * h + 4 * k + 8 * shape.intermediate + 4 * shape.heads + 8


def footprint(
    shape: DecoderShape, *, processes: int, rows: int, tokens: int, checkpointing: bool, last_only: bool
) -> Footprint:
    """Return the bytes in each process while it trains on `rows` x `tokens` at once.

    `last_only` says that the last matrix sees one position of a row (label words, head), not every one.
    """
    seen = rows * tokens
    per_layer = layer_activations(shape)
    if checkpointing:  # each layer's input is kept, and the layer that is computed again has all of its own
        kept = seen * (shape.layers * _FLOAT32 * shape.hidden + per_layer)
    else:
        kept = seen * shape.layers * per_layer
    own = shape.parameters / processes
    layer, root = shape.layer_parameters, shape.root_parameters
    return Footprint(
        weights=_WEIGHT * own,
        gradients=_GRADIENT * own,
        moments=_MOMENTS * own,
        gathered=(_GATHERED_LAYERS * _BF16 + _BF16 + _FLOAT32) * layer + _FLOAT32 * root,
        activations=kept,
        outputs=(rows if last_only else seen) * shape.outputs * (_BF16 + _FLOAT32),
    )


def bytes_sent(shape: DecoderShape, *, processes: int) -> float:
    """Return bytes that each process sends in one pass forward and back: (8 P + 4 R) (W - 1) / W.

    Weights are gathered for the forward pass and again for the backward pass: layers in bf16, 2 bytes each time, the R
    outside the layers in float32; gradients are summed and scattered in float32, 4 bytes. A ring sends (W - 1) / W of each
    (Rajbhandari et al. 2020, ZeRO, section 7). Accumulating over n passes costs n times this.
    """
    gathered = 2 * (_BF16 * shape.layers * shape.layer_parameters + _FLOAT32 * shape.root_parameters)
    return (gathered + _FLOAT32 * shape.parameters) * (processes - 1) / processes


def flops_per_token(shape: DecoderShape, *, tokens: int, checkpointing: bool) -> float:
    """Return FLOPs of training on one token of rows of `tokens`: 6M + 12 layers h T; 8M + 16 layers h T with checkpointing.

    A forward pass is 2 per weight multiplied with (M) and 4hT per layer for attention; a backward pass is twice that,
    and checkpointing computes the forward pass once more.
    """
    forward = 2 * shape.multiplied + 4 * shape.layers * shape.hidden * tokens
    return float(forward * (4 if checkpointing else 3))


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast training goes.

    Attributes:
        tokens_per_s: of all processes together.
        compute_s: seconds that one step computes.
        sending_s: seconds that one step's bytes take on the link, hidden behind computing as far as they are fewer.
        steps: optimizer steps of all epochs.
        hours: of all epochs, the longer of computing and sending in each step.
    """

    tokens_per_s: float
    compute_s: float
    sending_s: float
    steps: int
    hours: float


def pace(
    shape: DecoderShape,
    *,
    processes: int,
    rows: int,
    tokens: int,
    epoch_rows: int,
    epochs: int,
    checkpointing: bool,
    peak_flops: float,
    utilisation: float,
    link_bytes_per_s: float,
) -> Pace:
    """Return the pace of steps of `rows` x `tokens` in each process.

    Args:
        epoch_rows: rows of the training split.
        peak_flops: bf16 FLOPs per second of one device, as its maker states them.
        utilisation: share of the peak that is reached, recomputation counted as work.
        link_bytes_per_s: one way, per device.
    """
    step_tokens = rows * tokens
    compute = (
        step_tokens
        * flops_per_token(shape, tokens=tokens, checkpointing=checkpointing)
        / (peak_flops * utilisation)
    )
    sending = bytes_sent(shape, processes=processes) / link_bytes_per_s
    steps = epochs * -(-epoch_rows // (rows * processes))
    return Pace(
        tokens_per_s=processes * step_tokens / max(compute, sending),
        compute_s=compute,
        sending_s=sending,
        steps=steps,
        hours=steps * max(compute, sending) / 3600,
    )


def checkpoint_bytes(shape: DecoderShape) -> int:
    """Return bytes of one sharded checkpoint, all processes together: float32 weights and AdamW's two moments."""
    return (_WEIGHT + _MOMENTS) * shape.parameters
