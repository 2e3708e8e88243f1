"""The recipe of a model that was trained elsewhere: how its inputs are made and its scores read. Nothing is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from modwright.recipe.common import OneBaseRecipe
from modwright.recipe.strict import Strict

#: Stands for a template: prompt and response go to the tokenizer as two.
AS_PAIR = "tokenizer"


class InputRecipe(Strict):
    """How a prompt and its response become one text."""

    pair: str

    @field_validator("pair")
    @classmethod
    def _is_template(cls, pair: str) -> str:
        if pair != AS_PAIR and (pair.count("{response}") != 1 or pair.count("{prompt}") > 1):
            raise ValueError(
                f"expected '{AS_PAIR}', or a template with {{response}} and at most one {{prompt}}"
            )
        return pair


class ImportWindowRecipe(Strict):
    """How long texts are cut into windows; nothing is dropped."""

    max_tokens: int = Field(ge=8)
    overlap: float = Field(ge=0, le=0.9)
    edges: list[Annotated[float, Field(gt=0, lt=1)]]
    single_label: Literal["mean", "worst"]
    context_share: float = Field(ge=0, lt=1)


class DecisionRecipe(Strict):
    """From which score on a label is flagged."""

    threshold: float = Field(gt=0, lt=1)


class ServingRecipe(Strict):
    """How rows are batched."""

    max_batch_tokens: int = Field(ge=16)


class ImportRecipe(OneBaseRecipe):
    """A resolved recipe of an import: every value stated."""

    family: Literal["imported"]
    input: InputRecipe
    window: ImportWindowRecipe
    decision: DecisionRecipe
    serving: ServingRecipe
