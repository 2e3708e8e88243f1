"""Labelled sets whose decisions are measured: read, cut to size, and scored by a `fast` model trained on part of them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from common import RESULTS, data_file, silent
from modwright.data.options import ImportOptions, Meaning, Reading
from modwright.pipeline.bases import open_bases
from modwright.recipe import FrozenRecipe
from modwright.schema import FloatArray, IntArray, Schema, Target, TargetKind, text_input
from modwright.settings import load_settings
from modwright.training.events import follow
from modwright.training.fitted import Fitted
from modwright.training.frozen import fit
from modwright.training.rows import TrainingRows

SEED = 11
#: Rows that are read of a set, and how many of them a model is trained on.
ROWS = {"davidson": (4500, 1500), "civil_comments": (3000, 1200), "ethos": (998, 398)}
_CIVIL = ("insult", "obscene", "identity_attack", "threat")
_DAVIDSON = ("hate", "offensive", "neither")


@dataclass(frozen=True, slots=True)
class Scored:
    """A trained model and the raw scores of all rows: `unseen` of those it was trained on, out of fold.

    Attributes:
        trained, rest: rows it was trained on, and the others.
        scores: (N, L) raw scores; of trained rows out of fold.
    """

    trained: IntArray
    rest: IntArray
    scores: FloatArray


def read_set(name: str) -> tuple[Schema, TrainingRows]:
    """Return the first rows of a set in an order that is always the same; labels are 0 or 1."""
    schema, rows = shuffled(name, ROWS[name][0])
    if name == "civil_comments":
        labels = {target: (values > 0.5).astype(float) for target, values in rows.labels.items()}
        rows = TrainingRows(rows.inputs, labels, rows.weights, rows.groups)
    return schema, rows


def shuffled(name: str, number: int) -> tuple[Schema, TrainingRows]:
    """Return so many rows of a set in an order that is always the same, labels as the file gives them."""
    schema, rows = _READERS[name]()
    return schema, rows.take(np.random.default_rng(SEED).permutation(len(rows.inputs))[:number])


def scored(recipe: FrozenRecipe, schema: Schema, rows: TrainingRows, trained: IntArray) -> Scored:
    """Train on some rows, without calibration, and score all."""
    opened = open_bases(recipe, load_settings(), on_event=silent)
    caches = [one.cache for one in opened]
    bases = [one.base for one in opened]
    fitted: Fitted = follow(fit(recipe, schema, rows.take(trained), bases, caches=caches), silent)
    (target,) = schema.targets
    rest = np.setdiff1d(np.arange(len(rows.inputs)), trained)
    classifier: Any = fitted.classifier
    features = classifier.featuriser(rows.take(rest).inputs, caches=caches)
    scores = np.zeros((len(rows.inputs), len(target.labels)))
    scores[trained] = fitted.unseen.scores[target.name]
    scores[rest] = classifier.score_features(features).values[target.name]
    return Scored(trained, rest, scores)


def as_binary(name: str, schema: Schema, rows: TrainingRows) -> tuple[Schema, TrainingRows]:
    """Return a set as one yes or no: harmful in any way that it knows."""
    (given,) = schema.targets
    values = rows.labels[given.name][:, [given.index(label) for label in given.flaggable]].max(axis=1)
    target = Target.create("moderation", TargetKind.MULTI_LABEL, ["harmful"])
    labels = {target.name: values[:, None]}
    return Schema((target,)), TrainingRows(rows.inputs, labels, rows.weights, rows.groups)


def _davidson() -> tuple[Schema, TrainingRows]:
    with data_file("davidson/labeled_data.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    target = Target.create("speech", TargetKind.SINGLE_LABEL, _DAVIDSON, negative=["neither"])
    values = np.eye(len(_DAVIDSON))[[int(row["class"]) for row in rows]]
    return Schema((target,)), _rows(target, [row["tweet"] for row in rows], values)


def _civil_comments() -> tuple[Schema, TrainingRows]:
    with data_file("civil_comments/scores.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    target = Target.create("moderation", TargetKind.MULTI_LABEL, _CIVIL)
    values = np.array([[float(row[label]) for label in _CIVIL] for row in rows])
    return Schema((target,)), _rows(target, [row["text"] for row in rows], values)


def _ethos() -> tuple[Schema, TrainingRows]:
    from modwright.data.importing import load_dataset
    from modwright.pipeline.rows import rows_of

    options = ImportOptions(
        sources=(str(data_file("ethos/binary.csv")),),
        out=RESULTS / "unused",
        reading=Reading(delimiter=";"),
        meaning=Meaning(text="comment", scores=("isHate",), threshold=">= median"),
    )
    dataset = load_dataset(options).dataset
    return dataset.schema, rows_of(dataset.splits["train"], dataset.schema)


def _rows(target: Target, texts: list[str], values: FloatArray) -> TrainingRows:
    return TrainingRows(
        [text_input(text) for text in texts], {target.name: values}, np.ones(len(texts)), texts
    )


_READERS: Mapping[str, Callable[[], tuple[Schema, TrainingRows]]] = {
    "davidson": _davidson,
    "civil_comments": _civil_comments,
    "ethos": _ethos,
}
