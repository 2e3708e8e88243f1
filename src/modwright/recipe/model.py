"""The sections of a training recipe, as strict models. Their values and reasons stand in recipes/fast.toml."""

from __future__ import annotations

from typing import Annotated, Literal

import tomli_w
from pydantic import Field, model_validator

from modwright.recipe.data import DataSection
from modwright.recipe.strict import Strict


class BaseRecipe(Strict):
    """One frozen base and the hidden states read from it."""

    name: str = Field(min_length=1)
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class WindowRecipe(Strict):
    """How long texts are cut into windows; nothing is dropped."""

    quantile: float = Field(gt=0, le=1)
    min_tokens: int = Field(ge=8)
    max_tokens: int = Field(ge=8)
    overlap: float = Field(ge=0, le=0.9)
    edges: list[Annotated[float, Field(gt=0, lt=1)]]
    single_label: Literal["mean", "worst"]
    rounds: int = Field(ge=1, le=5)

    @model_validator(mode="after")
    def _ordered(self) -> WindowRecipe:
        if self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens {self.min_tokens} is above max_tokens {self.max_tokens}")
        return self


class EmbeddingRecipe(Strict):
    """How embeddings are computed."""

    max_batch_tokens: int = Field(ge=16)
    cache: bool


class HeadRecipe(Strict):
    """Which heads are tried, and how they are compared out of fold."""

    kinds: Annotated[list[Literal["linear", "rbf"]], Field(min_length=1)]
    c: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    gamma: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    max_landmarks: int = Field(ge=10)
    folds: int = Field(ge=2, le=20)
    selection_rows: int = Field(ge=50)


class TrainingRecipe(Strict):
    """The final fit."""

    training_steps: int = Field(ge=1)
    learning_rate: float | None = None


class EvaluationRecipe(Strict):
    """How the finished model is measured."""

    resamples: int = Field(ge=0)


class Recipe(Strict):
    """A resolved recipe: every value stated."""

    family: Literal["frozen"]
    seed: int = Field(ge=0, lt=2**32)
    bases: Annotated[list[BaseRecipe], Field(min_length=1)]
    window: WindowRecipe
    embedding: EmbeddingRecipe
    head: HeadRecipe
    training: TrainingRecipe
    evaluation: EvaluationRecipe
    data: DataSection | None = None

    @model_validator(mode="after")
    def _each_base_once(self) -> Recipe:
        names = [base.name for base in self.bases]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the base '{name}' is named twice; list all its layers under one")
        return self

    def to_toml(self) -> str:
        """Return the resolved recipe as TOML."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))
