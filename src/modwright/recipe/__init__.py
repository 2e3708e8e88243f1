"""Recipes: everything that decides a training run or a dataset, as a commented TOML file.

A training recipe names each key itself, or says `extends = "fast"` and only what differs; no default is stated
elsewhere. A data recipe is a `[data]` section, alone or in a training recipe. On the command line a recipe is a
path or a shipped name, and `key.of.table=value` overrides one value; the value is read as TOML, or as a string.
"""

from modwright.recipe.causal import (
    AdapterRecipe,
    AnswerRecipe,
    CausalRecipe,
    PromptRecipe,
    ShardsRecipe,
)
from modwright.recipe.common import CommonRecipe
from modwright.recipe.data import (
    ColumnMapping,
    DataRecipe,
    DataSection,
    SourceSection,
    SplitSection,
    StepSection,
)
from modwright.recipe.decisions import (
    DECISION_SECTIONS,
    DEFAULT_POINT,
    CalibrationRecipe,
    DeploymentRecipe,
    OperatingPointRecipe,
    ReviewRecipe,
)
from modwright.recipe.encoder import EncoderRecipe, HeadsRecipe, TrunkRecipe
from modwright.recipe.frozen import BaseRecipe, EmbeddingRecipe, FrozenRecipe, HeadRecipe, TrainingRecipe
from modwright.recipe.grid import expand, varied
from modwright.recipe.imported import AS_PAIR, ImportRecipe
from modwright.recipe.loading import (
    load_data_recipe,
    load_import_recipe,
    load_kept_recipe,
    load_recipe,
    override_value,
    shipped_data_recipes,
    shipped_recipes,
)
from modwright.recipe.model import FAMILIES, KeptRecipe, Recipe, TunedRecipe
from modwright.recipe.parts import (
    BatchRecipe,
    CheckpointRecipe,
    ClassWeights,
    EvaluationRecipe,
    LoopRecipe,
    LossRecipe,
    NormaliseRecipe,
    OptimizerRecipe,
    TargetRecipe,
    TrackersRecipe,
    ValidationRecipe,
    WindowRecipe,
)

__all__ = [
    "AS_PAIR",
    "DECISION_SECTIONS",
    "DEFAULT_POINT",
    "FAMILIES",
    "AdapterRecipe",
    "AnswerRecipe",
    "BaseRecipe",
    "BatchRecipe",
    "CalibrationRecipe",
    "CausalRecipe",
    "CheckpointRecipe",
    "ClassWeights",
    "ColumnMapping",
    "CommonRecipe",
    "DataRecipe",
    "DataSection",
    "DeploymentRecipe",
    "EmbeddingRecipe",
    "EncoderRecipe",
    "EvaluationRecipe",
    "FrozenRecipe",
    "HeadRecipe",
    "HeadsRecipe",
    "ImportRecipe",
    "KeptRecipe",
    "LoopRecipe",
    "LossRecipe",
    "NormaliseRecipe",
    "OperatingPointRecipe",
    "OptimizerRecipe",
    "PromptRecipe",
    "Recipe",
    "ReviewRecipe",
    "ShardsRecipe",
    "SourceSection",
    "SplitSection",
    "StepSection",
    "TargetRecipe",
    "TrackersRecipe",
    "TrainingRecipe",
    "TrunkRecipe",
    "TunedRecipe",
    "ValidationRecipe",
    "WindowRecipe",
    "expand",
    "load_data_recipe",
    "load_import_recipe",
    "load_kept_recipe",
    "load_recipe",
    "override_value",
    "shipped_data_recipes",
    "shipped_recipes",
    "varied",
]
