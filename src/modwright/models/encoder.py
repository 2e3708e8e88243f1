"""The `encoder` family: one fine-tuned graph that gives the logits of every target's labels. Needs no torch.

An artifact of it holds, beside what every artifact holds:

    model/config.json, model/model.safetensors   the encoder, as transformers' AutoModel reads it
    model/heads.safetensors                      per target `weight` (L, D) and `bias` (L,), where the heads are linear
    model/encoder.json                           the layout: columns of the logits, windows, how rows are batched
    tokenizer/tokenizer.json
    serving/classifier.onnx                      encoder and heads in one graph, weights included

Scores come of the graph and the tokenizer alone. So a classifier that was trained elsewhere is brought in by the same
files: `model/` as it is, a graph as `modwright.models.runtime.LogitsGraph` describes it, whatever its own head, and a
layout by `write_layout`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from modwright.artifact import MODEL, SERVING, TOKENIZER
from modwright.errors import ArtifactError
from modwright.files import link_or_copy, read_json, write_json
from modwright.models.encoder_inputs import InputRule, TokenRows
from modwright.models.heads import probabilities
from modwright.models.joined_inputs import JoinedRule
from modwright.models.reading import reading_model
from modwright.models.runtime import LogitsGraph, length_batches
from modwright.models.tokens import TOKENIZER_FILE, Tokenizer
from modwright.models.windows import SingleLabelRule, WindowRule, combine
from modwright.recipe import AS_PAIR
from modwright.schema import Float32Array, FloatArray, Input, Schema, Scores, check_keys

LAYOUT_FILE = "encoder.json"
CLASSIFIER_FILE = "classifier.onnx"
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
HEADS_FILE = "heads.safetensors"
_PARTS = (MODEL, TOKENIZER, SERVING)
_LARGE = (".onnx", ".safetensors")


@dataclass(frozen=True, slots=True)
class EncoderClassifier:
    """A tokenizer and a graph; see `modwright.schema.Classifier` for the contract.

    Attributes:
        schema: targets in the order of the logits.
        tokenizer: of the base.
        graph: gives logits (N, sum of L).
        rule: inputs to rows of tokens.
        max_batch_tokens: handed to the graph at once.
        folder: whose `model/`, `tokenizer/` and `serving/` are this model.
        kept: holds the folder in being, where it is a temporary one.
    """

    schema: Schema
    tokenizer: Tokenizer
    graph: LogitsGraph
    rule: InputRule
    max_batch_tokens: int
    folder: Path
    kept: object = field(default=None, repr=False, compare=False)

    def predict_proba(self, inputs: Sequence[Input]) -> Scores:
        """Score whole documents, before calibration."""
        rows = self.rule.encode(inputs, self.tokenizer)
        values, deciding = combined(self.schema, self._logits(rows), rows, self.rule.window.single_label)
        return Scores(values, rows.counts, {name: rows.spans[windows] for name, windows in deciding.items()})

    def _logits(self, rows: TokenRows) -> Float32Array:
        """Return (W, sum of L); rows of one length go together, so that nothing is padded."""
        result = np.zeros((len(rows.ends), self.graph.labels), dtype=np.float32)
        batches = length_batches(rows.lengths.tolist(), self.max_batch_tokens)
        tokens = [(ids, types) for ids, _, types in map(rows.batch, batches)]
        for batch, logits in zip(batches, self.graph.run_each(tokens), strict=True):
            result[batch] = logits
        return result

    def save(self, folder: Path) -> None:
        """Write model, tokenizer and graph below an artifact folder."""
        for part in _PARTS:
            (folder / part).mkdir(parents=True, exist_ok=True)
            for source in sorted((self.folder / part).iterdir()):
                # Weights may share their bytes with other folders; what a person might edit has its own.
                place = link_or_copy if source.suffix in _LARGE else shutil.copyfile
                place(source, folder / part / source.name)

    @classmethod
    def load(
        cls, folder: Path, schema: Schema, *, threads: int = 0, bulk: bool = False, kept: object = None
    ) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtifactError: a part is missing, malformed, or does not fit the schema or the other parts.
        """
        with reading_model(folder):
            rule, max_batch_tokens = read_layout(folder / MODEL / LAYOUT_FILE, schema)
            tokenizer = Tokenizer(folder / TOKENIZER / TOKENIZER_FILE, literal=True)
            path = folder / SERVING / CLASSIFIER_FILE
            graph = LogitsGraph(path, threads=threads, bulk=bulk)
        labels = len(columns(schema))
        if graph.labels != labels:
            raise ArtifactError(
                f"the graph gives {graph.labels} logits, the schema has {labels} labels", where=str(path)
            )
        return cls(schema, tokenizer, graph, rule, max_batch_tokens, folder, kept)


def columns(schema: Schema) -> list[list[str]]:
    """Return the target and label of every logit, in order: target after target, each in label order."""
    return [[target.name, label] for target in schema for label in target.labels]


def label_names(schema: Schema) -> list[str]:
    """Return what a config's `id2label` says of every logit: the label, of several targets `target/label`."""
    alone = len(schema.targets) == 1
    return [label if alone else f"{target}/{label}" for target, label in columns(schema)]


def combined(
    schema: Schema, logits: Float32Array, rows: TokenRows, single_label: SingleLabelRule
) -> tuple[dict[str, FloatArray], dict[str, Any]]:
    """Return, of logits (W, sum of L), documents' probabilities per target (N, L) and the windows that decided (N, L)."""
    values: dict[str, FloatArray] = {}
    deciding: dict[str, Any] = {}
    begin = 0
    for target in schema:
        end = begin + len(target.labels)
        if len(rows.starts):
            scores = probabilities(logits[:, begin:end].astype(np.float64), target.kind)
            values[target.name], deciding[target.name] = combine(target, scores, rows.starts, single_label)
        else:
            values[target.name] = np.zeros((0, end - begin))
            deciding[target.name] = np.zeros((0, end - begin), dtype=np.int64)
        begin = end
    return values, deciding


def write_layout(
    folder: Path, schema: Schema, rule: InputRule, max_batch_tokens: int, *, file: str = LAYOUT_FILE
) -> None:
    """Write `encoder.json`, or a file of another name, into an artifact folder's `model/`, which is made."""
    (folder / MODEL).mkdir(parents=True, exist_ok=True)
    write_json(
        folder / MODEL / file,
        {
            "columns": columns(schema),
            "window": rule.window.to_json(),
            "context_share": rule.context_share,
            "pair": rule.pair if isinstance(rule, JoinedRule) else AS_PAIR,
            "max_batch_tokens": max_batch_tokens,
        },
    )


def read_layout(path: Path, schema: Schema) -> tuple[InputRule, int]:
    """Return what `write_layout` wrote: inputs to rows, and the tokens of a batch.

    Raises:
        ArtifactError: the logits are not the schema's labels in its order.
        SchemaError, LookupError, TypeError, ValueError: it is malformed.
    """
    layout: Mapping[str, Any] = read_json(path)
    check_keys(layout, {"columns", "window", "context_share", "pair", "max_batch_tokens"}, str(path))
    window = WindowRule.from_json(layout["window"], f"{path}, window")
    if layout["columns"] != columns(schema):
        raise ArtifactError(
            f"the logits are {layout['columns']}, the schema's labels {columns(schema)}",
            where=str(path),
            remedy="the order of labels is part of a model; train again",
        )
    share, pair = float(layout["context_share"]), str(layout["pair"])
    inputs = InputRule(window, share) if pair == AS_PAIR else JoinedRule(window, share, pair)
    return inputs, int(layout["max_batch_tokens"])
