"""The sections that turn a model's raw scores into decisions: calibration, deployment, operating points, review."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from modwright.recipe.strict import Strict

#: The operating point that answers where none is named.
DEFAULT_POINT = "default"
#: Sections that may be changed without training again: what `modwright decide` takes.
DECISION_SECTIONS = ("calibration", "deployment", "operating_points", "review")

PointName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
_Rate = Annotated[float, Field(gt=0, lt=1)]


class CalibrationRecipe(Strict):
    """How raw scores become probabilities."""

    method: Literal["auto", "none", "temperature", "platt", "isotonic"]
    platt_from: int = Field(ge=1)
    isotonic_from: int = Field(ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> CalibrationRecipe:
        if self.platt_from > self.isotonic_from:
            raise ValueError(f"platt_from {self.platt_from} is above isotonic_from {self.isotonic_from}")
        return self


class DeploymentRecipe(Strict):
    """What the traffic is like that the model will meet: share of texts that a label holds for, by label."""

    prevalence: dict[Annotated[str, Field(min_length=1)], _Rate]


class OperatingPointRecipe(Strict):
    """What the thresholds of one operating point are chosen for; the aims are those of `evaluation.objectives`."""

    aim: Literal["f_beta", "precision", "recall", "false_positive_rate", "cost"]
    value: float = Field(ge=0)

    @model_validator(mode="after")
    def _in_range(self) -> OperatingPointRecipe:
        if self.aim in ("precision", "recall") and not 0 < self.value <= 1:
            raise ValueError(f"value is {self.value:g}, expected above 0 and at most 1 for {self.aim}")
        if self.aim == "false_positive_rate" and not self.value < 1:
            raise ValueError(f"value is {self.value:g}, expected below 1 for {self.aim}")
        if self.aim in ("f_beta", "cost") and not self.value > 0:
            raise ValueError(f"value is {self.value:g}, expected above 0 for {self.aim}")
        return self


class ReviewRecipe(Strict):
    """Which texts go to a person: what is promised of those that do not."""

    misses: _Rate
    wrong_actions: _Rate
    too_few: Literal["leave_out", "review"]
