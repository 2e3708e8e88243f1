"""What a fine-tuned family gives to the loop: items with lengths, their loss, and scores of documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from modwright.schema import Classifier, FloatArray, Input, IntArray
from modwright.training.rows import TrainingRows


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Weights that share a peak learning rate and a decay."""

    parameters: list[Any]
    learning_rate: float
    weight_decay: float


class Task(Protocol):
    """One model being trained on M items; an item is a window (encoder) or a prompt (causal).

    Every random draw of a task comes of torch's global generator, so that a checkpoint can hold its state.
    """

    @property
    def model(self) -> Any:
        """Return the torch module whose trainable weights are the run's state."""
        ...

    @property
    def lengths(self) -> IntArray:
        """Return (M,) tokens of each item, padding left out."""
        ...

    def weight(self, items: IntArray) -> float:
        """Return what the losses of some items are divided by: the sum of their weights, known labels only."""
        ...

    def loss(self, items: IntArray) -> Any:
        """Return the weighted SUM of the items' losses, a scalar tensor with gradient; the loop divides by the weight."""
        ...

    def groups(self) -> list[ParameterGroup]:
        """Return the trainable weights; every one in exactly one group."""
        ...

    def scores(self, inputs: Sequence[Input], *, exact: bool) -> Mapping[str, FloatArray]:
        """Return target to (N, L) raw document probabilities by the weights as they are.

        With `exact` in the arithmetic of serving (float32); without, as fast as the machine can.
        """
        ...


class TunedFamily(Protocol):
    """What turns rows into a task and a trained task into a classifier."""

    def task(self, rows: TrainingRows, seed: int) -> Task:
        """Return a fresh model over training rows; the same rows and seed give the same weights."""
        ...

    def classifier(self, task: Task) -> Classifier:
        """Return the trained model as what is saved and served."""
        ...
