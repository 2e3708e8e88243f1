"""Runs exported graphs on ONNX Runtime, without torch or padding, so batch mates change nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from modwright.errors import ArtifactError, MissingExtraError
from modwright.schema import Float32Array

GRAPH_FILE = "encoder.onnx"
GRAPH_MANIFEST = "graph.json"
Int64Array = NDArray[np.int64]
Batch = TypeVar("Batch")


def usable_cores() -> int:
    """Return how many cores this process may use (affinity limits count where the system tells)."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


class Graph:
    """One exported encoder.

    Args:
        path: the .onnx file.
        threads: to use; 0 takes every usable core.
        bulk: the threads run one batch each, side by side: more texts a second. Without, they share one batch, so that
            a single text is answered sooner. A row's bits are the same either way.

    Raises:
        ArtifactError: the file is not a graph with the expected inputs and output.
    """

    def __init__(self, path: Path, *, threads: int = 0, bulk: bool = False) -> None:
        self._session, self._abreast = _session(path, threads, bulk)
        names = [value.name for value in self._session.get_inputs()]
        try:
            _, hidden_states, width = self._session.get_outputs()[0].shape
            self.hidden_states, self.width = int(hidden_states), int(width)
        except (ValueError, TypeError) as error:
            raise ArtifactError(f"the graph's output is no (N, H, D): {error}", where=str(path)) from None
        if names != ["input_ids", "attention_mask"]:
            raise ArtifactError(f"the graph's inputs are {names}", where=str(path))

    def run(self, input_ids: Int64Array, attention_mask: Int64Array) -> Float32Array:
        """Run one batch: ids and mask (N, T) to pooled hidden states (N, H, D)."""
        (pooled,) = self._session.run(["pooled"], {"input_ids": input_ids, "attention_mask": attention_mask})
        return np.asarray(pooled, dtype=np.float32)

    def run_each(self, batches: Sequence[Int64Array]) -> Iterator[Float32Array]:
        """Run batches of ids (N, T) without padding, yielding their pooled hidden states (N, H, D) in order."""
        return _each(self._run_whole, batches, self._abreast)

    def _run_whole(self, input_ids: Int64Array) -> Float32Array:
        return self.run(input_ids, np.ones_like(input_ids))


class LogitsGraph:
    """One exported classifier, whatever its head: token ids in, the logits of all labels out.

    Its inputs are `input_ids`, `attention_mask` and, where the model has them, `token_type_ids`, all (N, T) int64; its
    output is `logits`, (N, L) float32.

    Args:
        path: the .onnx file.
        threads, bulk: as of `Graph`.

    Raises:
        ArtifactError: the file is not a graph with these inputs and that output.
    """

    def __init__(self, path: Path, *, threads: int = 0, bulk: bool = False) -> None:
        self._session, self._abreast = _session(path, threads, bulk)
        names = [value.name for value in self._session.get_inputs()]
        outputs = {value.name: value.shape for value in self._session.get_outputs()}
        self.takes_types = names[2:] == ["token_type_ids"]
        if names[:2] != ["input_ids", "attention_mask"] or len(names) > 2 + self.takes_types:
            raise ArtifactError(f"the graph's inputs are {names}", where=str(path))
        shape = outputs.get("logits", ())
        if len(shape) != 2 or not isinstance(shape[1], int):
            raise ArtifactError(f"the graph has no output 'logits' (N, L): {outputs}", where=str(path))
        self.labels = shape[1]

    def run(self, input_ids: Int64Array, attention_mask: Int64Array, types: Int64Array) -> Float32Array:
        """Run one batch: ids, mask and types (N, T) to logits (N, L); types are left out where the model has none."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self.takes_types:
            given["token_type_ids"] = types
        (logits,) = self._session.run(["logits"], given)
        return np.asarray(logits, dtype=np.float32)

    def run_each(self, batches: Sequence[tuple[Int64Array, Int64Array]]) -> Iterator[Float32Array]:
        """Run batches of ids and types (N, T) without padding, yielding their logits (N, L) in order."""
        return _each(self._run_whole, batches, self._abreast)

    def _run_whole(self, batch: tuple[Int64Array, Int64Array]) -> Float32Array:
        ids, types = batch
        return self.run(ids, np.ones_like(ids), types)


def _session(path: Path, threads: int, bulk: bool) -> tuple[Any, int]:
    """Return an ONNX Runtime session and how many batches it is to run side by side."""
    try:
        import onnxruntime as ort
    except ImportError:
        raise MissingExtraError("serve", "running a model") from None
    options = ort.SessionOptions()
    threads = threads or usable_cores()
    options.intra_op_num_threads = 1 if bulk else threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin between runs take the cores from whoever shares the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ArtifactError(f"ONNX Runtime cannot load this graph: {error}", where=str(path)) from None
    return session, threads if bulk else 1


def _each(
    run: Callable[[Batch], Float32Array], batches: Sequence[Batch], abreast: int
) -> Iterator[Float32Array]:
    if abreast == 1 or len(batches) == 1:
        yield from map(run, batches)
        return
    with ThreadPoolExecutor(abreast) as pool:
        yield from pool.map(run, batches)


def normalised(pooled: Float32Array) -> Float32Array:
    """Return pooled hidden states (N, H, D) with every state brought to length 1."""
    norms = np.linalg.norm(pooled, axis=2, keepdims=True)
    return np.asarray(pooled / np.maximum(norms, 1e-12))


def length_batches(lengths: Sequence[int], max_batch_tokens: int) -> list[list[int]]:
    """Group row numbers into batches of one length, at most `max_batch_tokens` tokens each (or one row).

    Rows of one batch share their length, so nothing is padded and a row's result does not depend on its
    mates.
    """
    order = sorted(range(len(lengths)), key=lambda row: (lengths[row], row))
    batches: list[list[int]] = []
    for row in order:
        length = max(1, lengths[row])
        room = max(1, max_batch_tokens // length)
        if batches and lengths[batches[-1][0]] == lengths[row] and len(batches[-1]) < room:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
