"""What the recipes of fine-tuned models share, whatever is fine-tuned: the loop, and what it learns from."""

from __future__ import annotations

from pydantic import Field

from modwright.recipe.common import NamedBaseRecipe, OneBaseRecipe
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


class TunedBaseRecipe(NamedBaseRecipe):
    """A pretrained model that is fine-tuned, and whether its word embeddings stay as they are."""

    freeze_embeddings: bool


class CommonTunedRecipe(OneBaseRecipe):
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
