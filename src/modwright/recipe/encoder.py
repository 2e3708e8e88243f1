"""The recipe of the family `encoder`: a fine-tuned encoder with one head per target on a shared trunk."""

from __future__ import annotations

from typing import Literal

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


class TrunkRecipe(Strict):
    """The pretrained encoder, how its token states become one, and what of it stays as it is."""

    name: str = Field(min_length=1)
    pooling: Literal["mean", "cls"]
    dropout: float = Field(ge=0, lt=1)
    attention_dropout: float = Field(ge=0, lt=1)
    freeze_embeddings: bool
    freeze_layers: int = Field(ge=0)


class HeadsRecipe(Strict):
    """How the heads begin."""

    init: Literal["probe", "random"]
    probe_c: float = Field(gt=0)


class EncoderRecipe(CommonRecipe):
    """A resolved recipe of the family `encoder`: every value stated."""

    family: Literal["encoder"]
    base: TrunkRecipe
    window: WindowRecipe
    heads: HeadsRecipe
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

    def with_base_names(self, names: tuple[str, ...]) -> EncoderRecipe:
        """Return the recipe with its base called otherwise."""
        (name,) = names
        return self.model_copy(update={"base": self.base.model_copy(update={"name": name})})
