"""Texts to features through frozen bases: cut into windows, embedded once each, the context beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modwright.models.embedding_cache import EmbeddingCache
from modwright.models.runtime import GRAPH_FILE, Graph, length_batches, normalised
from modwright.models.tokens import TOKENIZER_FILE, Tokenizer
from modwright.models.windows import WindowRule
from modwright.schema import Float32Array, Input, IntArray

#: Called with (texts done, texts in all) while texts are embedded.
Progress = Callable[[int, int], None]


class FrozenBase:
    """One frozen encoder: its tokenizer, its graph and the hidden states that are read.

    Args:
        name: as in the catalog; also the folder's name inside an artifact.
        graph_folder: holds encoder.onnx.
        tokenizer_folder: holds tokenizer.json.
        layers: numbers of the hidden states whose means are the features, the embedding layer being 0.
        max_tokens: the longest text the base takes, special tokens included.
        threads: of the graph; 0 takes every usable core.
        bulk: the threads work on several batches at once instead of sharing one.
    """

    def __init__(
        self,
        *,
        name: str,
        graph_folder: Path,
        tokenizer_folder: Path,
        layers: Sequence[int],
        max_tokens: int,
        threads: int = 0,
        bulk: bool = False,
    ) -> None:
        self.name = name
        self.graph_path = graph_folder / GRAPH_FILE
        self.tokenizer_path = tokenizer_folder / TOKENIZER_FILE
        self.graph = Graph(self.graph_path, threads=threads, bulk=bulk)
        self.tokenizer = Tokenizer(self.tokenizer_path, literal=True)
        self.layers = tuple(layers)
        self.max_tokens = max_tokens

    @property
    def width(self) -> int:
        """Return D, the number of features of one text."""
        return len(self.layers) * int(self.graph.width)

    def embed(
        self,
        texts: Sequence[str],
        *,
        max_batch_tokens: int,
        cache: EmbeddingCache | None = None,
        progress: Progress | None = None,
    ) -> Float32Array:
        """Return (N, D): per layer the mean over tokens, brought to length 1.

        With a cache only new texts are computed, and each batch is at least two rows, because that makes a
        row's bits independent of its mates: a run that was killed and started again ends in the same
        artifact.
        """
        result = np.zeros((len(texts), self.width), dtype=np.float32)
        known = cache.get(texts) if cache is not None else {}
        missing = [row for row in range(len(texts)) if row not in known]
        for row, values in known.items():
            result[row] = values
        if missing:
            fresh = self._compute(
                [texts[row] for row in missing], max_batch_tokens, cache is not None, progress
            )
            result[missing] = fresh
            if cache is not None:
                cache.put([texts[row] for row in missing], fresh)
        return result

    def _compute(
        self, texts: Sequence[str], max_batch_tokens: int, in_pairs: bool, progress: Progress | None
    ) -> Float32Array:
        ids = self.tokenizer.ids(texts)
        result = np.zeros((len(texts), self.width), dtype=np.float32)
        batches = length_batches([len(row) for row in ids], max_batch_tokens)
        tokens = [
            np.asarray([ids[row] for row in (batch * 2 if in_pairs and len(batch) == 1 else batch)], np.int64)
            for batch in batches
        ]
        done = 0
        for batch, pooled in zip(batches, self.graph.run_each(tokens), strict=True):
            states = normalised(pooled[: len(batch), self.layers, :])  # (B, layers, D)
            result[batch] = states.reshape(len(batch), -1)
            done += len(batch)
            if progress is not None:
                progress(done, len(texts))
        return result


@dataclass(frozen=True, slots=True)
class Features:
    """Features of N inputs, one row per window.

    Attributes:
        rows: (W, D) float32.
        starts: (N,) where each input's windows begin.
        spans: (W, 2) characters [from, to) of the last turn.
    """

    rows: Float32Array
    starts: IntArray
    spans: IntArray

    @property
    def counts(self) -> IntArray:
        """Return (N,) the number of windows of each input."""
        return np.diff(np.append(self.starts, len(self.rows)))


def context_text(value: Input) -> str:
    """Return the turns before the last as one text; empty where there are none."""
    return "\n".join(message.content for message in value[:-1])


class Featuriser:
    """Turns inputs into features: per base and layer the window's embedding, then, if used, the context's."""

    def __init__(
        self, bases: Sequence[FrozenBase], rule: WindowRule, *, uses_context: bool, max_batch_tokens: int
    ) -> None:
        self.bases = tuple(bases)
        self.rule = rule
        self.uses_context = uses_context
        self.max_batch_tokens = max_batch_tokens

    def __call__(
        self,
        inputs: Sequence[Input],
        *,
        caches: Sequence[EmbeddingCache] | None = None,
        progress: Progress | None = None,
    ) -> Features:
        """Return the features of inputs; nothing is cut: every word of the last turn lies in some window."""
        tokenizers = [base.tokenizer for base in self.bases]
        lasts = [value[-1].content for value in inputs]
        windows = self.rule.cut(lasts, tokenizers)
        texts = [text[begin:end] for text, spans in zip(lasts, windows, strict=True) for begin, end in spans]
        counts = np.asarray([len(spans) for spans in windows], dtype=np.int64)
        contexts = [context_text(value) if self.uses_context else "" for value in inputs]
        context_windows = self.rule.cut(contexts, tokenizers) if self.uses_context else []
        context_texts = [
            text[begin:end]
            for text, spans in zip(contexts, context_windows, strict=False)
            if text
            for begin, end in spans
        ]
        unique = list(dict.fromkeys([*texts, *context_texts]))
        place = {text: row for row, text in enumerate(unique)}
        embedded = self._embed(unique, caches, progress)
        rows = [embedded[[place[text] for text in texts]]]
        if self.uses_context:
            rows.append(np.repeat(self._contexts(contexts, context_windows, embedded, place), counts, axis=0))
        scale = np.float32(1.0 / np.sqrt(sum(len(base.layers) for base in self.bases)))
        starts = (np.cumsum(counts) - counts).astype(np.int64)
        spans = np.asarray([span for document in windows for span in document], dtype=np.int64).reshape(-1, 2)
        return Features(np.concatenate(rows, axis=1) * scale, starts, spans)

    def _embed(
        self, texts: Sequence[str], caches: Sequence[EmbeddingCache] | None, progress: Progress | None
    ) -> Float32Array:
        parts = []
        for number, base in enumerate(self.bases):
            step = _shifted(progress, number * len(texts), len(self.bases) * len(texts))
            cache = caches[number] if caches is not None else None
            parts.append(
                base.embed(texts, max_batch_tokens=self.max_batch_tokens, cache=cache, progress=step)
            )
        return np.concatenate(parts, axis=1)

    def _contexts(
        self,
        contexts: Sequence[str],
        windows: Sequence[Sequence[tuple[int, int]]],
        embedded: Float32Array,
        place: dict[str, int],
    ) -> Float32Array:
        result = np.zeros((len(contexts), embedded.shape[1]), dtype=np.float32)
        for row, (text, spans) in enumerate(zip(contexts, windows, strict=True)):
            if text:  # a long context is the mean of all its windows; no context is zeros
                result[row] = embedded[[place[text[begin:end]] for begin, end in spans]].mean(axis=0)
        return result


def _shifted(progress: Progress | None, offset: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, _: progress(offset + done, total)
