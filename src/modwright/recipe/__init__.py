"""Recipes: everything that decides a training run or a dataset, as a commented TOML file.

A training recipe names each key itself, or says `extends = "fast"` and only what differs; no default is stated
elsewhere. A data recipe is a `[data]` section, alone or in a training recipe. On the command line a recipe is a
path or a shipped name, and `key.of.table=value` overrides one value; the value is read as TOML, or as a string.
"""

from modwright.recipe.data import (
    ColumnMapping,
    DataRecipe,
    DataSection,
    SourceSection,
    SplitSection,
    StepSection,
)
from modwright.recipe.loading import load_data_recipe, load_recipe, shipped_data_recipes, shipped_recipes
from modwright.recipe.model import (
    BaseRecipe,
    EmbeddingRecipe,
    EvaluationRecipe,
    HeadRecipe,
    Recipe,
    TrainingRecipe,
    WindowRecipe,
)

__all__ = [
    "BaseRecipe",
    "ColumnMapping",
    "DataRecipe",
    "DataSection",
    "EmbeddingRecipe",
    "EvaluationRecipe",
    "HeadRecipe",
    "Recipe",
    "SourceSection",
    "SplitSection",
    "StepSection",
    "TrainingRecipe",
    "WindowRecipe",
    "load_data_recipe",
    "load_recipe",
    "shipped_data_recipes",
    "shipped_recipes",
]
