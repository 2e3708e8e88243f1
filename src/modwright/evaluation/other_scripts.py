"""False alarms on harmless sentences in other languages and scripts than the model may have learnt from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from modwright.evaluation.agreement import proportion
from modwright.evaluation.resampling import Interval
from modwright.evaluation.scored import Scorer
from modwright.evaluation.thresholds import OperatingPoint, flags
from modwright.schema import Schema, text_input

_FILE = "benign.json"


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """What a model says of harmless sentences of one language.

    Attributes:
        language: with its script, such as ``Russian (Cyrillic)``.
        flagged: share of the sentences that any label of the target is flagged for, with a Wilson interval.
        labels: flagged label to the number of sentences, those that are flagged at all.
    """

    language: str
    target: str
    flagged: Interval
    labels: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return everything but language and target."""
        return {"flagged": self.flagged.to_json(), "labels": dict(self.labels)}


def benign_sentences() -> dict[str, tuple[str, ...]]:
    """Return language to the harmless sentences that come with modwright, the same ones in each."""
    text = (resources.files("modwright.evaluation") / _FILE).read_text("utf-8")
    return {language: tuple(sentences) for language, sentences in json.loads(text).items()}


def measure_false_alarms(schema: Schema, point: OperatingPoint, scorer: Scorer) -> tuple[FalseAlarms, ...]:
    """Score the shipped sentences; one result per language and target, target by target.

    A target that gives every text one of its labels has no false alarms, and is left out.

    Args:
        point: the operating point at which labels are flagged.
        scorer: of the model, calibrated.
    """
    targets = [target for target in schema if target.asks_for_flag]
    if not targets:
        return ()
    sentences = benign_sentences()
    inputs = [text_input(text) for texts in sentences.values() for text in texts]
    scores = scorer(inputs)
    found = []
    for target in targets:
        flagged = flags(target, scores[target.name], point.thresholds[target.name])
        begin = 0
        for language, texts in sentences.items():
            mine = flagged[begin : begin + len(texts)]
            begin += len(texts)
            counts = {label: int(mine[:, target.index(label)].sum()) for label in target.flaggable}
            labels = {label: count for label, count in counts.items() if count}
            any_label = np.asarray(mine.any(axis=1), dtype=np.bool_)
            found.append(FalseAlarms(language, target.name, proportion(any_label), labels))
    return tuple(found)
