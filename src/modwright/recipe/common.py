"""What every training recipe has, whatever its family."""

from __future__ import annotations

from typing import Any, Self

import tomli_w
from pydantic import Field, field_validator

from modwright.recipe.data import DataSection
from modwright.recipe.decisions import (
    DEFAULT_POINT,
    CalibrationRecipe,
    DeploymentRecipe,
    OperatingPointRecipe,
    PointName,
    ReviewRecipe,
)
from modwright.recipe.parts import EvaluationRecipe, NormaliseRecipe
from modwright.recipe.strict import Strict

#: Sections that change neither the model nor what it answers: where rows come from, who watches, what is kept meanwhile,
#: and how many processes share the work.
NOT_DECIDING = frozenset({"data", "trackers", "checkpoints", "shards"})


class CommonRecipe(Strict):
    """The keys of every family."""

    family: str
    seed: int = Field(ge=0, lt=2**32)
    normalise: NormaliseRecipe
    calibration: CalibrationRecipe
    deployment: DeploymentRecipe
    operating_points: dict[PointName, OperatingPointRecipe]
    review: ReviewRecipe
    evaluation: EvaluationRecipe
    data: DataSection | None = None

    @field_validator("operating_points")
    @classmethod
    def _has_default(cls, points: dict[str, OperatingPointRecipe]) -> dict[str, OperatingPointRecipe]:
        if DEFAULT_POINT not in points:
            raise ValueError(f"none is called '{DEFAULT_POINT}', which answers where no name is given")
        return points

    def to_toml(self) -> str:
        """Return the resolved recipe as TOML."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    def deciding(self) -> dict[str, Any]:
        """Return what decides the model, JSON-ready: what a recipe's hash is taken of."""
        return self.model_dump(mode="json", exclude=set(NOT_DECIDING))


class NamedBaseRecipe(Strict):
    """A model that exists already: a name of the catalog, a hub id or a folder."""

    name: str = Field(min_length=1)


class OneBaseRecipe(CommonRecipe):
    """The keys of every family whose model begins as one other."""

    base: NamedBaseRecipe

    @property
    def base_names(self) -> tuple[str, ...]:
        """Return the name of the one base."""
        return (self.base.name,)

    def with_base_names(self, names: tuple[str, ...]) -> Self:
        """Return the recipe with its base called otherwise."""
        (name,) = names
        return self.model_copy(update={"base": self.base.model_copy(update={"name": name})})
