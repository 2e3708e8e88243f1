"""What the recipes of fine-tuned models share, whatever is fine-tuned: the loop, and what it learns from."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from modwright.recipe.common import CommonRecipe
from modwright.recipe.parts import (
    BatchRecipe,
    CheckpointRecipe,
    LoopRecipe,
    LossRecipe,
    OptimizerRecipe,
    TargetRecipe,
    TrackersRecipe,
    ValidationRecipe,
    WindowRecipe,
)
from modwright.recipe.strict import Strict


class TunedBaseRecipe(Strict):
    """A pretrained model that is fine-tuned, and whether its word embeddings stay as they are."""

    name: str = Field(min_length=1)
    freeze_embeddings: bool


class CommonTunedRecipe(CommonRecipe):
    """The keys of every family that is fine-tuned step by step."""

    base: TunedBaseRecipe
    window: WindowRecipe
    loss: LossRecipe
    targets: dict[str, TargetRecipe] = Field(default_factory=dict)
    optimizer: OptimizerRecipe
    batches: BatchRecipe
    training: LoopRecipe
    validation: ValidationRecipe
    checkpoints: CheckpointRecipe
    trackers: TrackersRecipe

    @property
    def base_names(self) -> tuple[str, ...]:
        """Return the name of the one base."""
        return (self.base.name,)

    def with_base_names(self, names: tuple[str, ...]) -> Self:
        """Return the recipe with its base called otherwise."""
        (name,) = names
        return self.model_copy(update={"base": self.base.model_copy(update={"name": name})})
