"""What a run will do, known before it starts: steps, the items of each, when it looks and when it writes. No torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from modwright.recipe import BatchRecipe, OptimizerRecipe, TunedRecipe
from modwright.schema import IntArray
from modwright.training.batching import epoch_steps, steps_per_epoch


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    Attributes:
        seed: of the order of items, dropout and whatever else is drawn.
        lengths: (M,) tokens of each item, padding left out.
        batches: what a step sees, and how much of it at once.
        optimizer: AdamW and its schedule.
        steps: that the schedule covers.
        ends: the step after which the run ends, at most `steps`.
        precision: "auto", "float32" or "bfloat16".
        every: "epoch", or the steps between two looks.
        patience: looks without a better one after which the run ends; 0 never.
        keep: whether the weights of the best look or of the last step remain.
        checkpoint_steps: steps between two checkpoints.
    """

    seed: int
    lengths: IntArray
    batches: BatchRecipe
    optimizer: OptimizerRecipe
    steps: int
    ends: int
    precision: Literal["auto", "float32", "bfloat16"]
    every: Literal["epoch"] | int
    patience: int
    keep: Literal["best", "last"]
    checkpoint_steps: int

    @property
    def steps_per_epoch(self) -> int:
        """Return the steps in which every item is seen once, at least 1."""
        return max(1, steps_per_epoch(len(self.lengths), self.batches.rows))

    def epoch(self, number: int) -> list[IntArray]:
        """Return the items of every step of an epoch, from 0."""
        return epoch_steps(
            self.lengths, rows=self.batches.rows, pool=self.batches.pool, seed=self.seed, epoch=number
        )

    def epochs_at(self, step: int) -> float:
        """Return how often all items have been seen after a step, in parts."""
        return step / self.steps_per_epoch

    def looks_at(self, step: int) -> bool:
        """Return whether held-out rows are scored after this step: at the set times, before the first, after the last."""
        every = self.steps_per_epoch if self.every == "epoch" else self.every
        return step % every == 0 or step == self.ends

    def writes_at(self, step: int) -> bool:
        """Return whether a checkpoint is written after this step, looks aside."""
        return step % self.checkpoint_steps == 0 or step == self.ends

    def ending(self, step: int) -> Plan:
        """Return the same run, schedule and all, ended after an earlier step, whose last weights remain."""
        return replace(self, ends=min(max(step, 0), self.steps), keep="last", patience=0)


def plan_of(recipe: TunedRecipe, lengths: IntArray) -> Plan:
    """Return the plan of one run of a recipe over M items of these lengths (M,)."""
    training, validation = recipe.training, recipe.validation
    steps = training.epochs * steps_per_epoch(len(lengths), recipe.batches.rows)
    if training.training_steps is not None:
        steps = min(steps, training.training_steps)
    return Plan(
        seed=recipe.seed,
        lengths=lengths,
        batches=recipe.batches,
        optimizer=recipe.optimizer,
        steps=steps,
        ends=steps,
        precision=training.precision,
        every=validation.every,
        patience=validation.patience,
        keep=validation.keep,
        checkpoint_steps=recipe.checkpoints.every_steps,
    )
