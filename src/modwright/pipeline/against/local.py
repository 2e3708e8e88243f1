"""What is compared with on this machine: another artifact, and who always answers the base rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from modwright.errors import UsageError
from modwright.evaluation.thresholds import flags
from modwright.pipeline.against.answers import AnswerProgress, Answers, everything
from modwright.schema import BoolArray, FloatArray, Input, Schema, Target, TargetKind
from modwright.serving.engine import DEFAULT_OPERATING_POINT, Engine
from modwright.training.rows import TrainingRows

CHUNK = 256


class ArtifactOther:
    """Another trained model, flagging at its own default operating point; labels are matched by name."""

    remote = False

    def __init__(self, name: str, engine: Engine, schema: Schema) -> None:
        self.name = name
        self.what = f"artifact {engine.id[:16]}"
        self.notes: tuple[str, ...] = ()
        self._engine = engine
        self._schema = schema
        if not any(values.any() for values in self._covered().values()):
            raise UsageError(
                "has no label in common with the model that is evaluated",
                where=name,
                remedy=f"its targets are {', '.join(engine.schema.names)}, ours {', '.join(schema.names)}",
            )

    def answer(self, inputs: Sequence[Input], progress: AnswerProgress | None = None) -> Answers:
        """Score and flag inputs."""
        parts = []
        for begin in range(0, len(inputs), CHUNK):
            parts.append(self._engine.calibrated(inputs[begin : begin + CHUNK]).values)
            if progress is not None:
                progress(min(begin + CHUNK, len(inputs)), len(inputs))
        theirs = {
            target.name: np.concatenate([part[target.name] for part in parts])
            for target in self._engine.schema
        }
        point = self._engine.operating_point(DEFAULT_OPERATING_POINT)
        flagged = {
            target.name: flags(target, theirs[target.name], point.thresholds[target.name])
            for target in self._engine.schema
        }
        scores = {target.name: self._ours(target, theirs, np.nan, len(inputs)) for target in self._schema}
        own_flags = {
            target.name: self._ours(target, flagged, 0.0, len(inputs)).astype(np.bool_)
            for target in self._schema
        }
        return Answers(own_flags, scores, self._covered(), [None] * len(inputs))

    def close(self) -> None:
        """Nothing is held open."""

    def _covered(self) -> dict[str, BoolArray]:
        theirs = self._engine.schema
        return {
            target.name: np.array([_place(theirs, target, label) is not None for label in target.labels])
            for target in self._schema
        }

    def _ours(
        self, target: Target, theirs: Mapping[str, FloatArray | BoolArray], missing: float, rows: int
    ) -> FloatArray:
        """Return (N, L) of their values in our order."""
        found = np.full((rows, len(target.labels)), missing)
        for place, label in enumerate(target.labels):
            their_place = _place(self._engine.schema, target, label)
            if their_place is not None:
                found[:, place] = theirs[target.name][:, their_place]
        return found


def _place(theirs: Schema, target: Target, label: str) -> int | None:
    """Return where another schema has a label of a target of the same name and kind."""
    for other in theirs:
        if other.name == target.name and other.kind is target.kind and label in other.labels:
            return int(other.index(label))
    return None


class Majority:
    """Who has looked at no text: scores are the training rows' base rates, flags what most of them have."""

    name = "majority"
    what = "the training rows' most frequent answer, for every text"
    remote = False

    def __init__(self, schema: Schema, training: TrainingRows) -> None:
        self.notes: tuple[str, ...] = ()
        self._schema = schema
        self._rates = {target.name: base_rates(target, training) for target in schema}

    def answer(self, inputs: Sequence[Input], progress: AnswerProgress | None = None) -> Answers:
        """Give every input the same answer."""
        scores = {name: np.tile(rates, (len(inputs), 1)) for name, rates in self._rates.items()}
        halves = {target.name: dict.fromkeys(target.labels, 0.5) for target in self._schema}
        flagged = {
            target.name: flags(target, scores[target.name], halves[target.name]) for target in self._schema
        }
        return Answers(flagged, scores, everything(self._schema), [None] * len(inputs))

    def close(self) -> None:
        """Nothing is held open."""


def base_rates(target: Target, training: TrainingRows) -> FloatArray:
    """Return (L,) how often each label holds in the training rows, weighted; 0 for one that is never known."""
    labels = training.labels[target.name]
    if target.kind is TargetKind.SINGLE_LABEL:
        labels = np.where(np.isnan(labels).any(axis=1, keepdims=True), np.nan, labels)
    weights = np.where(np.isnan(labels), 0.0, training.weights[:, None])
    total = weights.sum(axis=0)
    held = (weights * np.nan_to_num(labels)).sum(axis=0)
    return np.asarray(np.divide(held, total, out=np.zeros(len(total)), where=total > 0), dtype=np.float64)
