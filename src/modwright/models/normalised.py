"""A classifier behind a normaliser: it reads normalised inputs, and its spans are those of the text as it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from modwright.errors import UsageError
from modwright.models.normalise import Normaliser
from modwright.schema import Classifier, Input, Schema, Scores


@dataclass(frozen=True, slots=True)
class NormalisedClassifier:
    """See `modwright.schema.Classifier` for the contract; every family is wrapped alike.

    Attributes:
        inner: trained on inputs that the same normaliser had gone over.
        normaliser: with at least one step.
    """

    inner: Classifier
    normaliser: Normaliser

    @property
    def schema(self) -> Schema:
        """Return the targets, in the order of the scores."""
        return self.inner.schema

    def predict_proba(self, inputs: Sequence[Input]) -> Scores:
        """Score whole documents, before calibration; spans are characters of the last turn as it came."""
        lasts = [self.normaliser.aligned(value[-1].content) for value in inputs]
        read = [
            (
                *self.normaliser.inputs([value[:-1]])[0],
                replace(value[-1], content=last.text),
            )
            for value, last in zip(inputs, lasts, strict=True)
        ]
        scores = self.inner.predict_proba(read)
        spans = {}
        for name, found in scores.spans.items():
            spans[name] = found.copy()
            for place, last in enumerate(lasts):
                if last.begins is not None:
                    spans[name][place] = last.original(found[place])
        return Scores(scores.values, scores.windows, spans)

    def save(self, folder: Path) -> None:
        """Write the classifier as it is, and `model/normalise.json`."""
        self.inner.save(folder)
        self.normaliser.save(folder)

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> NoReturn:
        """Refuse: which family is behind it stands in the artifact; see `modwright.models.registry`."""
        raise UsageError("is loaded with its family", where=str(folder), remedy="use load_classifier")


def normalised(classifier: Classifier, normaliser: Normaliser) -> Classifier:
    """Return a classifier behind a normaliser; itself where that has no steps."""
    return NormalisedClassifier(classifier, normaliser) if normaliser.steps else classifier
