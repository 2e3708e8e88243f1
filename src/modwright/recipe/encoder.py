"""The recipe of the family `encoder`: a fine-tuned encoder with one head per target on a shared trunk."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from modwright.recipe.strict import Strict
from modwright.recipe.tuned import CommonTunedRecipe, TunedBaseRecipe


class TrunkRecipe(TunedBaseRecipe):
    """The pretrained encoder, how its token states become one, and what of it stays as it is."""

    pooling: Literal["mean", "cls"]
    dropout: float = Field(ge=0, lt=1)
    attention_dropout: float = Field(ge=0, lt=1)
    freeze_layers: int = Field(ge=0)


class HeadsRecipe(Strict):
    """How the heads begin."""

    init: Literal["probe", "random"]
    probe_c: float = Field(gt=0)


class EncoderRecipe(CommonTunedRecipe):
    """A resolved recipe of the family `encoder`: every value stated."""

    family: Literal["encoder"]
    base: TrunkRecipe
    heads: HeadsRecipe
