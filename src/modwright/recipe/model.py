"""A training recipe: one class per family, told apart by `family`."""

from __future__ import annotations

from modwright.recipe.causal import CausalRecipe
from modwright.recipe.encoder import EncoderRecipe
from modwright.recipe.frozen import FrozenRecipe
from modwright.recipe.imported import ImportRecipe

Recipe = FrozenRecipe | EncoderRecipe | CausalRecipe
#: The recipes whose model is fine-tuned step by step.
TunedRecipe = EncoderRecipe | CausalRecipe
#: What an artifact may hold: also the recipe of a model that was brought in.
KeptRecipe = Recipe | ImportRecipe
FAMILIES: dict[str, type[FrozenRecipe] | type[EncoderRecipe] | type[CausalRecipe]] = {
    "frozen": FrozenRecipe,
    "encoder": EncoderRecipe,
    "causal": CausalRecipe,
}
