"""The `frozen` family: embeddings of frozen encoders and a trained head per target. Needs no torch."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from modwright.artifact import MODEL, SERVING, TOKENIZER
from modwright.errors import ArtifactError
from modwright.files import link_or_copy, read_json, write_json
from modwright.models.features import Features, Featuriser, FrozenBase
from modwright.models.heads import Head, HeadKind, probabilities
from modwright.models.reading import reading_model
from modwright.models.runtime import GRAPH_FILE
from modwright.models.tokens import TOKENIZER_FILE
from modwright.models.windows import WindowRule, combine
from modwright.schema import Input, IntArray, Schema, Scores, check_keys

HEADS_FILE = "heads.safetensors"
LAYOUT_FILE = "frozen.json"
_LANDMARKS = "landmarks"


@dataclass(frozen=True, slots=True)
class FrozenClassifier:
    """A featuriser and a head per target; see `modwright.schema.Classifier` for the contract.

    Attributes:
        schema: targets in the order of the scores.
        featuriser: texts to (W, D).
        heads: target name to its head.
        landmarks: (M, D) rows that kernel heads compare with; (0, D) where every head is linear.
    """

    schema: Schema
    featuriser: Featuriser
    heads: Mapping[str, Head]
    landmarks: NDArray[np.float32]

    def predict_proba(self, inputs: Sequence[Input]) -> Scores:
        """Score whole documents, before calibration."""
        if not inputs:
            return _no_scores(self.schema)
        return self.score_features(self.featuriser(inputs))

    def score_features(self, features: Features) -> Scores:
        """Score documents whose features are there already, as `featuriser` gives them."""
        values, spans = {}, {}
        for target in self.schema:
            logits = self.heads[target.name].logits(features.rows, self.landmarks)
            scores, deciding = combine(
                target, probabilities(logits, target.kind), features.starts, self.featuriser.rule.single_label
            )
            values[target.name] = scores
            spans[target.name] = features.spans[deciding]  # (N, L, 2)
        return Scores(values, features.counts, spans)

    def save(self, folder: Path) -> None:
        """Write heads, layout, graphs and tokenizers below an artifact folder."""
        (folder / MODEL).mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Any] = {_LANDMARKS: np.ascontiguousarray(self.landmarks)}
        for name, head in self.heads.items():
            tensors |= {key: np.ascontiguousarray(value) for key, value in head.to_tensors(name).items()}
        save_file(tensors, folder / MODEL / HEADS_FILE)
        write_json(folder / MODEL / LAYOUT_FILE, self._layout())
        for base in self.featuriser.bases:
            link_or_copy(base.graph_path, folder / SERVING / base.name / GRAPH_FILE)
            (folder / TOKENIZER / base.name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(base.tokenizer_path, folder / TOKENIZER / base.name / TOKENIZER_FILE)

    def _layout(self) -> dict[str, Any]:
        return {
            "bases": [
                {"name": base.name, "layers": list(base.layers), "max_tokens": base.max_tokens}
                for base in self.featuriser.bases
            ],
            "window": self.featuriser.rule.to_json(),
            "uses_context": self.featuriser.uses_context,
            "max_batch_tokens": self.featuriser.max_batch_tokens,
            "heads": {
                name: {"kind": str(head.kind), "gamma": head.gamma} for name, head in self.heads.items()
            },
        }

    @classmethod
    def load(cls, folder: Path, schema: Schema, *, threads: int = 0, bulk: bool = False) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtifactError: a part is missing, malformed, or does not fit the schema or the other parts.
        """
        path = folder / MODEL / LAYOUT_FILE
        with reading_model(folder, SafetensorError):
            layout = read_json(path)
            featuriser = _featuriser(folder, layout, threads, bulk)
            tensors = load_file(folder / MODEL / HEADS_FILE)
            width = sum(base.width for base in featuriser.bases) * (2 if featuriser.uses_context else 1)
            landmarks = _tensor(tensors, _LANDMARKS, (None, width))
            check_keys(layout["heads"], set(schema.names), f"{path}, heads")
            heads = {
                target.name: _head(
                    tensors,
                    target.name,
                    layout["heads"][target.name],
                    len(target.labels),
                    width,
                    len(landmarks),
                )
                for target in schema
            }
        return cls(schema, featuriser, heads, landmarks)


def _featuriser(folder: Path, layout: Mapping[str, Any], threads: int, bulk: bool) -> Featuriser:
    where = str(folder / MODEL / LAYOUT_FILE)
    check_keys(layout, {"bases", "window", "uses_context", "max_batch_tokens", "heads"}, where)
    return Featuriser(
        [_base(folder, base, threads, bulk) for base in layout["bases"]],
        WindowRule.from_json(layout["window"], f"{where}, window"),
        uses_context=bool(layout["uses_context"]),
        max_batch_tokens=int(layout["max_batch_tokens"]),
    )


def _base(folder: Path, layout: Mapping[str, Any], threads: int, bulk: bool) -> FrozenBase:
    check_keys(layout, {"name", "layers", "max_tokens"}, f"{LAYOUT_FILE}, bases")
    name = layout["name"]
    if Path(name).name != name:
        raise ArtifactError(f"the base's name {name!r} is no name of a folder", where=LAYOUT_FILE)
    base = FrozenBase(
        name=name,
        graph_folder=folder / SERVING / name,
        tokenizer_folder=folder / TOKENIZER / name,
        layers=layout["layers"],
        max_tokens=int(layout["max_tokens"]),
        threads=threads,
        bulk=bulk,
    )
    for layer in base.layers:
        if type(layer) is not int or not 0 <= layer < base.graph.hidden_states:
            raise ArtifactError(
                f"layer {layer!r} of '{name}' does not exist; it has {base.graph.hidden_states}",
                where=LAYOUT_FILE,
            )
    return base


def _head(
    tensors: Mapping[str, Any], name: str, layout: Mapping[str, Any], labels: int, width: int, landmarks: int
) -> Head:
    check_keys(layout, {"kind", "gamma"}, f"{LAYOUT_FILE}, heads.{name}")
    kind = HeadKind(layout["kind"])
    rows = width if kind is HeadKind.LINEAR else landmarks
    return Head(
        kind=kind,
        weights=_tensor(tensors, f"{name}.weights", (rows, labels)),
        bias=_tensor(tensors, f"{name}.bias", (labels,)),
        gamma=float(layout["gamma"]),
    )


def _tensor(tensors: Mapping[str, Any], name: str, shape: tuple[int | None, ...]) -> Any:
    if name not in tensors:
        raise ArtifactError(f"the tensor '{name}' is missing", where=HEADS_FILE)
    found = tensors[name].shape
    if len(found) != len(shape) or any(
        want is not None and have != want for have, want in zip(found, shape, strict=True)
    ):
        raise ArtifactError(
            f"the tensor '{name}' has the shape {found}, the schema wants {shape}", where=HEADS_FILE
        )
    return tensors[name]


def _no_scores(schema: Schema) -> Scores:
    windows: IntArray = np.zeros(0, dtype=np.int64)
    values = {target.name: np.zeros((0, len(target.labels))) for target in schema}
    spans = {target.name: np.zeros((0, len(target.labels), 2), dtype=np.int64) for target in schema}
    return Scores(values, windows, spans)
