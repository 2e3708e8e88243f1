"""Torch to graph, once per base: the graph that computes training's embeddings is the very one that serves.

The graph takes `input_ids` and `attention_mask`, both (N, T) int64, and gives `pooled` (N, H, D) float32: the
masked mean over tokens of each of the H hidden states, the embedding layer's first. Which of them a model
reads is its recipe's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from modwright.errors import IntegrityError, MissingExtraError, SourceError
from modwright.files import read_json, sha256_file, staged_folder, verify, write_json
from modwright.models.runtime import GRAPH_FILE, GRAPH_MANIFEST, Graph, normalised

#: Raised when the graph's inputs, outputs or meaning change: graphs of another version are made again.
GRAPH_VERSION = 1
#: Largest difference from torch that an export may show on any checked shape and mask, in embeddings of
#: length 1.
TOLERANCE = 1e-4
#: Checked against torch: (N, T, padding of the shortest row).
CHECKED_SHAPES = ((1, 3, 0), (1, 64, 0), (2, 17, 9), (5, 40, 31), (3, 128, 100))


def ensure_graph(base_folder: Path, weights_sha256: str, cache: Path) -> Path:
    """Return the folder of a base's exported graph, exporting it first where the cache has none.

    Args:
        base_folder: holds config.json and safetensors.
        weights_sha256: the base's identity; names the folder in the cache.
        cache: the cache's root.

    Raises:
        MissingExtraError: the graph must be made and torch, transformers or onnx is not installed.
        SourceError: the architecture cannot be loaded or exported.
        IntegrityError: the exported graph does not compute what torch computes.
    """
    folder = cache / "graphs" / f"{weights_sha256[:32]}-v{GRAPH_VERSION}"
    if _is_sound(folder):
        return folder
    with staged_folder(folder, replace=True) as staging:
        _export(base_folder, staging / GRAPH_FILE)
        write_json(
            staging / GRAPH_MANIFEST,
            {
                "graph_version": GRAPH_VERSION,
                "weights_sha256": weights_sha256,
                "sha256": sha256_file(staging / GRAPH_FILE),
            },
        )
    return folder


def _is_sound(folder: Path) -> bool:
    try:
        manifest = read_json(folder / GRAPH_MANIFEST)
        verify(folder, {GRAPH_FILE: manifest["sha256"]})
    except (IntegrityError, LookupError, TypeError):
        return False
    return True


def _export(base_folder: Path, destination: Path) -> None:
    check_exporter("exporting a base")
    import onnx
    import torch

    encoder = _load(base_folder)
    model = _pooled(encoder)
    vocabulary = int(encoder.config.vocab_size)
    batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens")
    shapes = {"input_ids": {0: batch, 1: tokens}, "attention_mask": {0: batch, 1: tokens}}
    with Quiet():
        program = torch.onnx.export(
            model,
            tuple(torch.from_numpy(array) for array in probe_batch(2, 9, 4, vocabulary)),
            input_names=["input_ids", "attention_mask"],
            output_names=["pooled"],
            dynamic_shapes=shapes,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    onnx.save(without_traces(program.model_proto), str(destination))
    _compare(model, destination, vocabulary, longest_row(encoder.config))


def check_exporter(why: str) -> None:
    """Raise MissingExtraError where a part of torch's exporter is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401  (torch.onnx needs it and says so less clearly)
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("train", f"{why} ({error.name} is missing)") from None


def _load(base_folder: Path) -> Any:
    import torch
    from transformers import AutoModel
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    try:
        return AutoModel.from_pretrained(
            base_folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
        ).eval()
    except (OSError, ValueError, KeyError) as error:
        raise SourceError(f"transformers cannot load this base: {error}", where=str(base_folder)) from None


def _pooled(encoder: Any) -> Any:
    """Return the module whose output is the masked mean of every hidden state of an encoder, (N, H, D)."""
    import torch

    class Pooled(torch.nn.Module):  # type: ignore[misc]  # torch's types are not followed
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            states = self.encoder(
                input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True
            ).hidden_states
            mask = attention_mask.unsqueeze(-1).to(states[0].dtype)  # (N, T, 1)
            count = mask.sum(dim=1)  # (N, 1)
            return torch.stack([(state * mask).sum(dim=1) / count for state in states], dim=1)

    return Pooled().eval()


def without_traces(proto: Any) -> Any:
    """Drop what the exporter notes of this machine: stack traces with paths, doc strings, inferred shapes."""
    del proto.metadata_props[:]
    proto.doc_string = ""
    graph = proto.graph
    graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.value_info[:]
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in [*graph.input, *graph.output, *graph.initializer]:
        value.doc_string = ""
        del value.metadata_props[:]
    for function in proto.functions:
        function.doc_string = ""
        del function.metadata_props[:]
        del function.value_info[:]
        for node in function.node:
            node.doc_string = ""
            del node.metadata_props[:]
    return proto


def longest_row(config: Any) -> int:
    """Return how many tokens the base surely takes; some count their positions from 2 on."""
    return max(1, int(getattr(config, "max_position_embeddings", 512)) - 2)


def _compare(model: Any, graph_path: Path, vocabulary: int, longest: int) -> None:
    import torch

    graph = Graph(graph_path, threads=1)
    for n, wanted, padding in CHECKED_SHAPES:
        tokens = min(wanted, longest)
        padding = min(padding, tokens - 1)
        ids, mask = probe_batch(n, tokens, padding, vocabulary)
        with torch.inference_mode():
            expected = model(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
        drift = float(np.abs(normalised(graph.run(ids, mask)) - normalised(expected)).max())
        if not drift <= TOLERANCE:
            raise IntegrityError(
                f"the exported graph differs from torch by {drift:.2g} at batch {n} x {tokens} tokens "
                f"with {padding} of padding; {TOLERANCE:g} is allowed",
                remedy="report this base with the versions of torch and onnxscript",
            )


def probe_batch(n: int, tokens: int, padding: int, vocabulary: int) -> tuple[Any, Any]:
    """Return deterministic token ids (N, T) and a mask whose last row has that much padding."""
    digest = hashlib.sha256(f"{n}x{tokens}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    ids = rng.integers(0, vocabulary, size=(n, tokens), dtype=np.int64)
    mask = np.ones((n, tokens), dtype=np.int64)
    if padding:
        mask[-1, tokens - padding :] = 0
    return ids, mask


class Quiet:
    """Keep the exporter's own chatter off the terminal; errors still raise."""

    def __enter__(self) -> Iterator[None] | None:
        import logging
        import warnings

        self._catch = warnings.catch_warnings()
        self._catch.__enter__()
        warnings.simplefilter("ignore")
        self._loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch")]
        self._levels = [logger.level for logger in self._loggers]
        for logger in self._loggers:
            logger.setLevel(logging.ERROR)
        return None

    def __exit__(self, *exc: object) -> None:
        self._catch.__exit__(None, None, None)
        for logger, level in zip(self._loggers, self._levels, strict=True):
            logger.setLevel(level)
