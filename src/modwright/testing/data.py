"""Tiny labelled data: texts whose labels follow from single words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modwright.schema import FloatArray, text_input
from modwright.testing.words import LABEL_WORDS, MODERATION, NEUTRAL_WORDS, TINY_SCHEMA, TONE

if TYPE_CHECKING:
    from modwright.data.dataset import Dataset
    from modwright.training.rows import TrainingRows


def tiny_texts(number: int, *, seed: int = 0, words: int = 6) -> list[str]:
    """Return mild texts of at most that many words; about a third each holds an insult or a threat word."""
    rng = np.random.default_rng(seed)
    texts = []
    for _ in range(number):
        chosen = [str(word) for word in rng.choice(NEUTRAL_WORDS, size=int(rng.integers(2, words)))]
        for group in LABEL_WORDS.values():
            if rng.random() < 1 / 3:
                chosen.insert(int(rng.integers(0, len(chosen) + 1)), str(rng.choice(group)))
        texts.append(" ".join(chosen))
    return texts


def tiny_labels(texts: Sequence[str]) -> dict[str, FloatArray]:
    """Return the labels of texts under `TINY_SCHEMA`: target to (N, L), from the words alone."""
    held = {
        label: np.array([float(any(word in text.split() for word in group)) for text in texts])
        for label, group in LABEL_WORDS.items()
    }
    safe = 1.0 - np.maximum(held["insult"], held["threat"])
    return {
        MODERATION.name: np.stack([held["insult"], held["threat"], safe], axis=1),
        TONE.name: np.stack([safe, 1.0 - safe], axis=1),
    }


def tiny_rows(number: int = 120, *, seed: int = 0) -> TrainingRows:
    """Return labelled texts as a trainer takes them; equal texts share a group."""
    from modwright.training.rows import TrainingRows

    texts = tiny_texts(number, seed=seed)
    return TrainingRows([text_input(text) for text in texts], tiny_labels(texts), np.ones(number), texts)


def tiny_records(number: int = 120, *, seed: int = 0) -> list[dict[str, Any]]:
    """Return labelled texts as records of a JSONL file: ``text`` and ``labels`` of both targets."""
    texts = tiny_texts(number, seed=seed)
    moderation, tone = (tiny_labels(texts)[target.name] for target in TINY_SCHEMA.targets)
    return [
        {
            "text": text,
            "labels": {
                MODERATION.name: [
                    label for label, value in zip(MODERATION.labels, moderation[row], strict=True) if value
                ],
                TONE.name: TONE.labels[int(tone[row].argmax())],
            },
        }
        for row, text in enumerate(texts)
    ]


def tiny_dataset(number: int = 120, *, seed: int = 0, held_out: int = 40) -> Dataset:
    """Return a dataset of ``train`` (that many rows), ``validation`` and ``test`` (`held_out` rows each)."""
    from modwright.data.dataset import make_dataset

    sizes = {"train": number, "validation": held_out, "test": held_out}
    splits = {name: _frame(name, size, seed + part) for part, (name, size) in enumerate(sizes.items())}
    return make_dataset(TINY_SCHEMA, splits, {"sources": [], "steps": []})


def _frame(split: str, number: int, seed: int) -> Any:
    from modwright.data.columnar import pl
    from modwright.data.tables import MESSAGES_TYPE

    texts = tiny_texts(number, seed=seed * 1000 + 7)
    nothing = [None] * number
    columns = {
        "id": pl.Series([f"{split}-{row}" for row in range(number)], dtype=pl.String),
        "text": pl.Series(texts, dtype=pl.String),
        "messages": pl.Series(nothing, dtype=MESSAGES_TYPE),
        "weight": pl.Series([1.0] * number, dtype=pl.Float64),
        "group": pl.Series(nothing, dtype=pl.String),
        "source": pl.Series([f"tiny:{row + 1}" for row in range(number)], dtype=pl.String),
    }
    labels = tiny_labels(texts)
    for target in TINY_SCHEMA.targets:
        for place, label in enumerate(target.labels):
            columns[f"{target.name}/{label}"] = pl.Series(labels[target.name][:, place], dtype=pl.Float64)
    return pl.DataFrame(columns)
