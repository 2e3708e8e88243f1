"""A split that has been scored: what slices, bias, robustness and comparisons are measured on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modwright.errors import UsageError, nearest
from modwright.evaluation.thresholds import OperatingPoint, flags
from modwright.schema import BoolArray, FloatArray, Input, Schema

#: Scores inputs: (N inputs) -> target to (N, L) calibrated scores. What robustness and explanations call again.
Scorer = Callable[[Sequence[Input]], Mapping[str, FloatArray]]


@dataclass(frozen=True, slots=True)
class ScoredSplit:
    """The labelled rows of one split and what a model says of them, in the model's label order.

    Attributes:
        name: of the split.
        schema: the model's.
        inputs: N of them.
        labels: target to (N, L) in 0..1, NaN unknown.
        weights: (N,) of the rows; metrics count every row once.
        groups: (N,) rows of one group are resampled together.
        ids: (N,) of the rows, as the dataset names them.
        scores: target to (N, L) calibrated probabilities.
        point: the operating point that `flagged` was made at.
        flagged: target to (N, L).
        columns: the dataset's other columns by name, (N,) values each, None where empty.

    Raises:
        UsageError: parts of different numbers of rows.
    """

    name: str
    schema: Schema
    inputs: Sequence[Input]
    labels: Mapping[str, FloatArray]
    weights: FloatArray
    groups: Sequence[str]
    ids: Sequence[str]
    scores: Mapping[str, FloatArray]
    point: OperatingPoint
    flagged: Mapping[str, BoolArray]
    columns: Mapping[str, Sequence[Any]]

    def __post_init__(self) -> None:
        rows = len(self.inputs)
        sizes = {"weights": len(self.weights), "groups": len(self.groups), "ids": len(self.ids)}
        for word, arrays in (("labels", self.labels), ("scores", self.scores), ("flagged", self.flagged)):
            sizes |= {f"{word} of '{target.name}'": len(arrays[target.name]) for target in self.schema}
        for word, size in sizes.items():
            if size != rows:
                raise UsageError(f"{word}: {size} for {rows} inputs", where=f"split '{self.name}'")

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def texts(self) -> list[str]:
        """Return the (N,) judged texts: the last turn of each input."""
        return [turns[-1].content for turns in self.inputs]

    def column(self, name: str) -> Sequence[Any]:
        """Return the (N,) values of a column of the dataset, None where empty.

        Raises:
            UsageError: there is no such column; names the nearest.
        """
        if name not in self.columns:
            raise UsageError(
                f"the split '{self.name}' has no column '{name}'",
                remedy=nearest(name, self.columns) if self.columns else "the dataset has no further columns",
            )
        return self.columns[name]

    def positives(self, target: str, label: str) -> tuple[BoolArray, BoolArray]:
        """Return which rows are known for a label and which of all rows are positive, both (N,)."""
        found = self.schema.target(target)
        values = self.labels[target]
        if found.kind == "single_label":
            values = np.where(np.isnan(values).any(axis=1, keepdims=True), np.nan, values)
        column = values[:, found.index(label)]
        known = ~np.isnan(column)
        return known, np.asarray(known & (np.nan_to_num(column) > self.schema.positive_above), dtype=np.bool_)

    def rescored(self, scores: Mapping[str, FloatArray]) -> ScoredSplit:
        """Return the split with other scores, target to (N, L), flagged at the same operating point."""
        return scored_split(
            self.name,
            self.schema,
            self.inputs,
            self.labels,
            scores,
            self.point,
            weights=self.weights,
            groups=self.groups,
            ids=self.ids,
            columns=self.columns,
        )


def scored_split(
    name: str,
    schema: Schema,
    inputs: Sequence[Input],
    labels: Mapping[str, FloatArray],
    scores: Mapping[str, FloatArray],
    point: OperatingPoint,
    *,
    weights: FloatArray | None = None,
    groups: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> ScoredSplit:
    """Return a scored split, flagged at an operating point.

    What is not given: every row weighs 1, is a group of its own and is called by its place, from 1 on.
    """
    rows = len(inputs)
    places = [str(place) for place in range(1, rows + 1)]
    flagged = {
        target.name: flags(target, scores[target.name], point.thresholds[target.name]) for target in schema
    }
    return ScoredSplit(
        name=name,
        schema=schema,
        inputs=inputs,
        labels=labels,
        weights=np.ones(rows) if weights is None else weights,
        groups=places if groups is None else groups,
        ids=places if ids is None else ids,
        scores=scores,
        point=point,
        flagged=flagged,
        columns={} if columns is None else columns,
    )
