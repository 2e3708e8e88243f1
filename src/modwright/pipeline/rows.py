"""From a dataset's frames to the arrays that training and evaluation take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modwright.data import dataset as folder
from modwright.data.assemble import label_column
from modwright.data.columnar import pl
from modwright.data.dataset import Dataset
from modwright.data.options import TRAIN
from modwright.errors import DataError, SchemaError
from modwright.schema import FloatArray, Schema, TargetKind
from modwright.training.rows import TrainingRows

_SUM_TOLERANCE = 0.01
#: Columns of a frame that are no values to group rows by.
_NOT_FURTHER = frozenset({"id", "text", "messages", "weight", "group"})


class Columns(Mapping[str, list[Any]]):
    """The further columns of a split's frame by name, each read when it is asked for: (N,) values, None where empty.

    `source` is one of them, and so are labels that the dataset has and the model does not, as ``target/label``.
    """

    def __init__(self, frame: pl.DataFrame, model: Schema) -> None:
        own = {label_column(target, label) for target in model for label in target.labels}
        self._frame = frame
        self._names = [name for name in frame.columns if name not in _NOT_FURTHER | own]

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self._names:
            raise KeyError(name)
        return self._frame.get_column(name).to_list()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def rows_of(frame: pl.DataFrame, schema: Schema) -> TrainingRows:
    """Return a split's rows under its own schema."""
    return TrainingRows(
        inputs=folder.inputs(frame),
        labels={target.name: folder.labels(frame, target) for target in schema},
        weights=folder.weights(frame),
        groups=folder.groups(frame),
    )


def training_split(dataset: Dataset) -> str:
    """Return the split that is trained on: `train`, or the only one.

    Raises:
        DataError: several splits and none is called `train`.
    """
    if TRAIN in dataset.splits:
        return TRAIN
    if len(dataset.splits) == 1:
        return next(iter(dataset.splits))
    raise DataError(
        f"the dataset has the splits {', '.join(dataset.splits)} and none is called '{TRAIN}'",
        remedy="import the training rows as SRC, the others as --split NAME=SRC",
    )


@dataclass(frozen=True, slots=True)
class Aligned:
    """A split's rows under a model's schema.

    Attributes:
        rows: with the model's labels, in its order.
        foreign: the dataset's labels that the model does not have.
        absent: the model's labels that the dataset does not have.
    """

    rows: TrainingRows
    foreign: tuple[str, ...]
    absent: tuple[str, ...]


def aligned_rows(frame: pl.DataFrame, own: Schema, model: Schema) -> Aligned:
    """Return a split's rows with labels in the model's order; what the dataset does not say is unknown.

    Exactly one class of a single-label target holds, so where the dataset's own sum to 1 the others do not hold.

    Raises:
        SchemaError: no target in common, or one of another kind.
    """
    common = [target for target in model if target.name in own.names]
    if not common:
        raise SchemaError(
            f"the dataset has the targets {', '.join(own.names)}, the model {', '.join(model.names)}",
            remedy="import the data with --target as the model names it",
        )
    labels: dict[str, FloatArray] = {}
    absent: list[str] = []
    foreign = [
        f"{name}/{label}"
        for name in own.names
        if name not in model.names
        for label in own.target(name).labels
    ]
    for target in model:
        labels[target.name] = np.full((len(frame), len(target.labels)), np.nan)
        if target not in common:
            continue
        theirs = own.target(target.name)
        if theirs.kind is not target.kind:
            raise SchemaError(
                f"is {theirs.kind} in the dataset and {target.kind} in the model",
                where=f"target '{target.name}'",
            )
        values = folder.labels(frame, theirs)
        for label in theirs.labels:
            if label in target.labels:
                labels[target.name][:, target.index(label)] = values[:, theirs.index(label)]
            else:
                foreign.append(f"{target.name}/{label}")
        missing = [place for place, label in enumerate(target.labels) if label not in theirs.labels]
        absent += [f"{target.name}/{target.labels[place]}" for place in missing]
        if missing and target.kind is TargetKind.SINGLE_LABEL:
            decided = np.abs(values.sum(axis=1) - 1.0) < _SUM_TOLERANCE  # never where a part is unknown
            labels[target.name][np.ix_(decided, missing)] = 0.0
    rows = TrainingRows(folder.inputs(frame), labels, folder.weights(frame), folder.groups(frame))
    return Aligned(rows, tuple(foreign), tuple(absent))
