"""A classifier without a model: it looks for words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from modwright.errors import UsageError
from modwright.models.windows import SingleLabelRule, combine
from modwright.schema import Input, Schema, Scores, Target, TargetKind
from modwright.testing.words import LABEL_WORDS, TINY_SCHEMA


@dataclass(slots=True)
class WordClassifier:
    """A deterministic classifier that scores windows of `window_chars` characters by their words.

    A label scores 0.9 where one of its words occurs and 0.1 elsewhere; a negative label, and the label of a
    single-label target that has no words, is the opposite of the others. `batches` keeps the sizes of its
    calls.
    """

    schema: Schema = TINY_SCHEMA
    words: Mapping[str, Sequence[str]] = field(default_factory=lambda: _words_of_labels())
    window_chars: int = 100
    batches: list[int] = field(default_factory=list)

    def predict_proba(self, inputs: Sequence[Input]) -> Scores:
        """Score inputs; see `modwright.schema.Classifier`."""
        self.batches.append(len(inputs))
        size = self.window_chars
        lengths = np.array([len(value[-1].content) for value in inputs], dtype=np.int64)
        windows = np.maximum(1, -(-lengths // size))
        starts = np.cumsum(windows) - windows
        values, spans = {}, {}
        for target in self.schema.targets:
            values[target.name] = np.zeros((len(inputs), len(target.labels)))
            spans[target.name] = np.zeros((len(inputs), len(target.labels), 2), dtype=np.int64)
            scores = [
                self._score(target, value[-1].content[at * size : (at + 1) * size])
                for value, number in zip(inputs, windows, strict=True)
                for at in range(number)
            ]
            if not scores:
                continue
            values[target.name], deciding = combine(target, np.asarray(scores), starts, SingleLabelRule.WORST)
            begins = (deciding - starts[:, None]) * size
            spans[target.name] = np.stack([begins, np.minimum(begins + size, lengths[:, None])], axis=2)
        return Scores(values, windows, spans)

    def _score(self, target: Target, text: str) -> list[float]:
        found = set(re.findall(r"\w+", text.lower()))
        told = {
            place: 0.9 if found & set(self.words.get(target.labels[place], ())) else 0.1
            for place in _told(target)
        }
        rest = 1.0 - max(told.values())
        scores = [told.get(place, rest) for place in range(len(target.labels))]
        if target.kind is TargetKind.SINGLE_LABEL:
            return [score / sum(scores) for score in scores]
        return scores

    def save(self, folder: Path) -> None:
        """Refuse: there is nothing to save."""
        raise UsageError("a WordClassifier cannot be saved", where=str(folder))

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        """Refuse: there is nothing to load."""
        raise UsageError("a WordClassifier cannot be loaded", where=str(folder))


def _told(target: Target) -> list[int]:
    """Return the places of the labels that words decide."""
    return [target.index(label) for label in target.flaggable or target.labels]


def _words_of_labels() -> dict[str, Sequence[str]]:
    return {**LABEL_WORDS, "rude": [word for group in LABEL_WORDS.values() for word in group]}
