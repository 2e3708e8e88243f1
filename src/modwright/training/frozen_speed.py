"""What training a frozen family will take: tokens counted, embedding and heads measured on a part of the rows."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence

import numpy as np

from modwright.models.embedding_cache import EmbeddingCache
from modwright.models.features import Featuriser, FrozenBase, context_text
from modwright.recipe import FrozenRecipe
from modwright.schema import Input, Schema
from modwright.training.estimate import Estimate, Span
from modwright.training.events import Event, Stage
from modwright.training.frozen import featuriser_of, fit
from modwright.training.peak import forget_peak, peak_memory
from modwright.training.rows import TrainingRows

_EMBEDDED_TEXTS = 64
_HEAD_ROWS = 240
#: What comes after training: calibration, the artifact, the reload in a fresh process.
_FINISH = Span(1.0, 6.0, 60.0)
_FASTER, _SLOWER = 0.5, 2.5
_HIDDEN_BYTES, _FLOAT_BYTES = 4, 8
#: Of features and kernel values at once, while heads are fitted.
_WORKING_COPIES = 3


def estimate_frozen(
    recipe: FrozenRecipe,
    schema: Schema,
    rows: TrainingRows,
    bases: Sequence[FrozenBase],
    caches: Sequence[EmbeddingCache] | None,
    *,
    others: Sequence[TrainingRows],
    artifact_bytes: int,
) -> Generator[Event, None, Estimate]:
    """Count and probe, yielding events; nothing is kept, not even embeddings.

    Args:
        recipe, schema, rows, bases, caches: as `frozen.fit` takes them.
        others: rows of the other splits, which are embedded and scored, too.
        artifact_bytes: of the bases that the artifact holds.

    Raises:
        DataError: as `frozen.fit`.
    """
    forget_peak()
    yield Stage("count tokens")
    featuriser = featuriser_of(recipe, rows.inputs, bases)
    texts = list(dict.fromkeys(text for some in (rows, *others) for text in _texts(featuriser, some.inputs)))
    lengths = [np.asarray(base.tokenizer.lengths(texts), dtype=np.int64) for base in bases]
    yield Stage("probe")
    embedding_s = 0.0
    for number, base in enumerate(bases):
        known = caches[number].get(texts) if caches is not None else {}
        missing = [row for row in range(len(texts)) if row not in known]
        embedding_s += _token_seconds(base, texts, recipe) * float(lengths[number][missing].sum())
    heads_s = _head_seconds(recipe, schema, rows, bases)
    likely = embedding_s + heads_s
    peak = peak_memory()
    number_features = len(rows.inputs) * (sum(base.width for base in bases) + recipe.head.max_landmarks)
    tokens = int(sum(length.sum() for length in lengths))
    return Estimate(
        family=recipe.family,
        rows=len(rows.inputs),
        runs=1,
        epochs=None,
        steps=recipe.training.training_steps,
        exact=False,
        tokens=tokens,
        padded_tokens=tokens,  # batches are of one length, or nearly
        looks=0,
        seconds=Span(
            likely * _FASTER + _FINISH.low, likely + _FINISH.likely, likely * _SLOWER + heads_s + _FINISH.high
        ),
        memory_bytes=None if peak is None else peak + _WORKING_COPIES * _FLOAT_BYTES * number_features,
        disk_bytes=artifact_bytes + len(texts) * sum(base.width for base in bases) * _HIDDEN_BYTES,
    )


def _texts(featuriser: Featuriser, inputs: Sequence[Input]) -> list[str]:
    """Return what is embedded of inputs: every window of the last turn and, where it counts, of the context."""
    whole = [value[-1].content for value in inputs]
    if featuriser.uses_context:
        whole += [context_text(value) for value in inputs]
    windows = featuriser.rule.cut(whole, [base.tokenizer for base in featuriser.bases])
    return [text[begin:end] for text, spans in zip(whole, windows, strict=True) for begin, end in spans]


def _token_seconds(base: FrozenBase, texts: Sequence[str], recipe: FrozenRecipe) -> float:
    """Return the seconds per token of embedding some texts, evenly taken by length."""
    by_length = sorted(texts, key=len)
    some = by_length[:: max(1, len(by_length) // _EMBEDDED_TEXTS)]
    tokens = sum(base.tokenizer.lengths(some))
    base.embed(some[:2], max_batch_tokens=recipe.embedding.max_batch_tokens)
    began = time.perf_counter()
    base.embed(some, max_batch_tokens=recipe.embedding.max_batch_tokens)
    return (time.perf_counter() - began) / max(1, tokens)


def _head_seconds(
    recipe: FrozenRecipe, schema: Schema, rows: TrainingRows, bases: Sequence[FrozenBase]
) -> float:
    """Return the seconds of choosing and fitting heads, from a fit on a part of the rows."""
    number = len(rows.inputs)
    some = np.sort(np.random.default_rng(recipe.seed).permutation(number)[:_HEAD_ROWS])
    spent, embedded = 0.0, False
    began = time.perf_counter()
    for event in fit(recipe, schema, rows.take(some), bases):
        if isinstance(event, Stage) and event.name == "embed" and event.total and event.done == event.total:
            began, embedded = time.perf_counter(), True
        spent = time.perf_counter() - began
    landmarks = recipe.head.max_landmarks
    grown = min(number, landmarks) / min(len(some), landmarks)
    return spent * (number / len(some)) * grown if embedded else spent
