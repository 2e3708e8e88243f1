"""A trained classifier as one graph, weights included: what the family `encoder` serves.

The graph takes `input_ids`, `attention_mask` and, where the model tells kinds of tokens apart, `token_type_ids`, all (N, T)
int64, and gives `logits` (N, L) float32. Any torch module of that call can be exported, whatever its head.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from modwright.errors import IntegrityError
from modwright.models.export import (
    CHECKED_SHAPES,
    Quiet,
    check_exporter,
    longest_row,
    probe_batch,
    without_traces,
)
from modwright.models.runtime import Int64Array, LogitsGraph

#: Largest difference of a logit from torch's, on any checked shape and mask, as a share of the largest one (at least 1),
#: or of what a head makes of a feature of length 1, where that is more.
TOLERANCE = 1e-4
#: The worst of all checked rows may differ by so much: among rows of random tokens is a rare one in which float32 rounding
#: grows a hundredfold (mpnet has one of the twelve: 1.6e-4, the others 1e-6). A wrong graph is wrong in all rows.
ONE_ROW_TOLERANCE = 2e-3
_NAMES = ("input_ids", "attention_mask", "token_type_ids")


def export_classifier(
    model: Any, destination: Path, *, config: Any, takes_types: bool, scale: float = 1.0
) -> None:
    """Write a module's graph and prove that it computes what torch computes.

    Args:
        model: called with ids, mask and, if it takes them, types (N, T), it returns logits (N, L); in float32.
        destination: the .onnx file; its folder is made.
        config: of transformers, for the size of the vocabulary and the longest row.
        takes_types: whether `token_type_ids` is an input.
        scale: the largest logit that a head makes of a feature of length 1: rounding in the features grows by it.

    Raises:
        MissingExtraError: torch, onnx or onnxscript is not installed.
        IntegrityError: the graph differs from torch on one of several shapes and masks.
    """
    check_exporter("exporting a model")
    import onnx
    import torch

    training = model.training
    model.eval()
    names = _NAMES[: 3 if takes_types else 2]
    vocabulary = int(config.vocab_size)
    batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens")
    with Quiet():
        program = torch.onnx.export(
            model,
            tuple(torch.from_numpy(array) for array in _probe(2, 9, 4, vocabulary)[: len(names)]),
            input_names=list(names),
            output_names=["logits"],
            dynamic_shapes=tuple({0: batch, 1: tokens} for _ in names),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    destination.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(without_traces(program.model_proto), str(destination))
    _compare(model, destination, vocabulary, longest_row(config), len(names), scale)
    model.train(training)


def _probe(n: int, tokens: int, padding: int, vocabulary: int) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Return deterministic ids, a mask whose last row has that much padding, and types of which the later half is 1."""
    ids, mask = probe_batch(n, tokens, padding, vocabulary)
    types = np.zeros_like(ids)
    types[:, tokens // 2 :] = 1
    return ids, mask, types


def _compare(model: Any, path: Path, vocabulary: int, longest: int, inputs: int, least_scale: float) -> None:
    import torch

    graph = LogitsGraph(path, threads=1)
    drifts: list[tuple[float, str]] = []
    for n, wanted, padding in CHECKED_SHAPES:
        tokens = min(wanted, longest)
        padding = min(padding, tokens - 1)
        batch = _probe(n, tokens, padding, vocabulary)
        with torch.inference_mode():
            expected = model(*(torch.from_numpy(array) for array in batch[:inputs])).numpy()
        scale = max(1.0, least_scale, float(np.abs(expected).max()))
        where = f"batch {n} x {tokens} tokens with {padding} of padding"
        drifts += [(float(row), where) for row in np.abs(graph.run(*batch) - expected).max(axis=1) / scale]
    for rank, (drift, where) in enumerate(sorted(drifts, key=_worst_first)):
        allowed = TOLERANCE if rank else ONE_ROW_TOLERANCE
        if not drift <= allowed:
            raise IntegrityError(
                f"the exported graph differs from torch by {drift:.2g} at {where}; {allowed:g} is allowed",
                remedy="report this base with the versions of torch and onnxscript",
            )


def _worst_first(drift: tuple[float, str]) -> float:
    """Sort NaN before everything, then large before small."""
    return -np.inf if np.isnan(drift[0]) else -drift[0]
