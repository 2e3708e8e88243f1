"""Labelled inputs as every trainer takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modwright.schema import FloatArray, Input, IntArray


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Labelled inputs.

    Attributes:
        inputs: N of them.
        labels: target to (N, L) values in 0..1, NaN unknown.
        weights: (N,) of the rows.
        groups: (N,) rows that share a key are never on both sides of a fold.
    """

    inputs: Sequence[Input]
    labels: Mapping[str, FloatArray]
    weights: FloatArray
    groups: Sequence[str]

    def take(self, rows: IntArray) -> TrainingRows:
        """Return some of the rows, in that order."""
        return TrainingRows(
            [self.inputs[row] for row in rows],
            {name: values[rows] for name, values in self.labels.items()},
            self.weights[rows],
            [self.groups[row] for row in rows],
        )
