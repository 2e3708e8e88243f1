"""The `[data]` section: where rows come from, what their columns mean, how they are split and curated.

The column mapping holds for every source; what is left out of it is found as `modwright data import` finds it. The
parameters of a step belong to the step: `modwright.data.curate` holds them to its own, and an unknown one is an
error that names the nearest.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, model_validator

from modwright.recipe.strict import Strict

_Name = Annotated[str, Field(min_length=1)]
_Share = Annotated[float, Field(gt=0, lt=1)]


class ColumnMapping(Strict):
    """Which columns mean what, and how the bytes are read. `rename` maps old labels to new; several to one merge."""

    text: _Name | None = None
    prompt: _Name | None = None
    response: _Name | None = None
    messages: _Name | None = None
    id: _Name | None = None
    weight: _Name | None = None
    labels: tuple[_Name, ...] = ()
    scores: tuple[_Name, ...] = ()
    threshold: _Name | None = None
    target: _Name | None = None
    kind: Literal["multi_label", "single_label"] | None = None
    negative: tuple[_Name, ...] = ()
    declare: dict[_Name, tuple[_Name, ...]] = Field(default_factory=dict)
    rename: dict[_Name, _Name] = Field(default_factory=dict)
    drop: tuple[_Name, ...] = ()
    openai: bool = False
    format: Literal["csv", "tsv", "jsonl", "parquet"] | None = None
    delimiter: _Name | None = None
    quote: Literal["double", "none"] | None = None
    header: bool | None = None
    encoding: _Name | None = None
    skip_lines: Annotated[int, Field(ge=0)] | None = None
    max_record_bytes: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_input(self) -> ColumnMapping:
        if (self.prompt is None) != (self.response is None):
            raise ValueError("prompt and response go together, found only one of them")
        ways = [self.text, self.prompt, self.messages]
        if sum(way is not None for way in ways) > 1:
            raise ValueError("found several of text, prompt/response and messages, expected one")
        return self


class SourceSection(Strict):
    """One source: a path, glob, address or hub data set, and what is taken from it."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    source: _Name = Field(alias="from")
    split: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
    shuffle_seed: int | None = Field(default=None, ge=0, lt=2**32)
    shuffle_buffer: int | None = Field(default=None, ge=1)
    take: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _buffer_needs_seed(self) -> SourceSection:
        if self.shuffle_buffer is not None and self.shuffle_seed is None:
            raise ValueError("shuffle_buffer needs a shuffle_seed")
        return self


class SplitSection(Strict):
    """How the rows of `train` are dealt into parts; splits that the sources give are kept."""

    fractions: dict[_Name, _Share] = Field(min_length=2)
    seed: int = Field(ge=0, lt=2**32)
    group: _Name | None = None
    near: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> SplitSection:
        if abs(sum(self.fractions.values()) - 1.0) > 1e-6:
            raise ValueError(f"the fractions sum to {sum(self.fractions.values()):g}, expected 1")
        return self


class StepSection(BaseModel):
    """One curation step by name; every other key is a parameter of that step."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    step: _Name
    splits: Literal["all"] | Annotated[list[_Name], Field(min_length=1)] | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the parameters the step is given."""
        return dict(self.model_extra or {})


class DataSection(ColumnMapping):
    """Everything that decides a dataset."""

    seed: int = Field(default=0, ge=0, lt=2**32)
    sources: Annotated[list[SourceSection], Field(min_length=1)]
    split: SplitSection | None = None
    steps: tuple[StepSection, ...] = ()


class DataRecipe(Strict):
    """A file that holds a `[data]` section alone."""

    data: DataSection

    def to_toml(self) -> str:
        """Return the resolved recipe as TOML."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True, by_alias=True))
