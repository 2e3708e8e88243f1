"""The recipe of the family `frozen`: embeddings of frozen encoders, and a head."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from modwright.recipe.common import CommonRecipe
from modwright.recipe.parts import WindowRecipe
from modwright.recipe.strict import Strict


class BaseRecipe(Strict):
    """One frozen base and the hidden states read from it."""

    name: str = Field(min_length=1)
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


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


class FrozenRecipe(CommonRecipe):
    """A resolved recipe of the family `frozen`: every value stated."""

    family: Literal["frozen"]
    bases: Annotated[list[BaseRecipe], Field(min_length=1)]
    window: WindowRecipe
    embedding: EmbeddingRecipe
    head: HeadRecipe
    training: TrainingRecipe

    @property
    def base_names(self) -> tuple[str, ...]:
        """Return the names of the bases, in order."""
        return tuple(base.name for base in self.bases)

    def with_base_names(self, names: tuple[str, ...]) -> FrozenRecipe:
        """Return the recipe with its bases called otherwise."""
        pairs = zip(self.bases, names, strict=True)
        return self.model_copy(
            update={"bases": [base.model_copy(update={"name": name}) for base, name in pairs]}
        )

    @model_validator(mode="after")
    def _each_base_once(self) -> FrozenRecipe:
        names = [base.name for base in self.bases]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the base '{name}' is named twice; list all its layers under one")
        return self
