"""Sections that recipes of several families share, as strict models. Their values and reasons stand in recipes/*.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from modwright.recipe.strict import Strict


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


class NormaliseRecipe(Strict):
    """Which disguises of a text are undone before anything reads it; an empty list undoes none."""

    steps: list[Literal["invisible", "compatibility", "lookalikes", "spacing", "leetspeak", "repeats"]]

    @field_validator("steps")
    @classmethod
    def _each_once(cls, steps: list[str]) -> list[str]:
        for step in steps:
            if steps.count(step) > 1:
                raise ValueError(f"the step '{step}' is named twice")
        return steps


class EvaluationRecipe(Strict):
    """How the finished model is measured."""

    resamples: int = Field(ge=0)


ClassWeights = Literal["none", "balanced"] | dict[str, Annotated[float, Field(gt=0)]]


class LossRecipe(Strict):
    """What every target's loss is made of, unless its own section says otherwise."""

    soft_labels: bool
    smoothing: float = Field(ge=0, lt=0.5)
    class_weights: ClassWeights


class TargetRecipe(Strict):
    """What one target does otherwise than `[loss]` says, and how much its loss counts beside the others'."""

    weight: float | None = Field(default=None, ge=0)
    loss: Literal["binary", "categorical"] | None = None
    class_weights: ClassWeights | None = None


class OptimizerRecipe(Strict):
    """AdamW, its groups and its schedule."""

    learning_rate: float = Field(gt=0)
    head_learning_rate: float = Field(gt=0)
    layer_decay: float = Field(gt=0, le=1)
    weight_decay: float = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    schedule: Literal["linear", "cosine", "constant"]
    warmup: float = Field(ge=0, lt=1)


class BatchRecipe(Strict):
    """What one optimizer step sees, and how much of it at once."""

    rows: int = Field(ge=1)
    max_tokens: int = Field(ge=16)
    pool: int = Field(ge=1)


class LoopRecipe(Strict):
    """How long a fine-tuned model is trained, and in what arithmetic."""

    epochs: int = Field(ge=1)
    training_steps: int | None = Field(default=None, ge=1)
    precision: Literal["auto", "float32", "bfloat16"]
    gradient_checkpointing: bool


class ValidationRecipe(Strict):
    """Which rows a model is chosen, calibrated and thresholded on, and how often it is looked at."""

    method: Literal["folds", "holdout"]
    folds: int = Field(ge=2, le=20)
    share: float = Field(gt=0, lt=1)
    every: Literal["epoch"] | Annotated[int, Field(ge=1)]
    metric: str = Field(min_length=1)
    patience: int = Field(ge=0)
    keep: Literal["best", "last"]


class CheckpointRecipe(Strict):
    """How often the state of a run is written down, and how many of those are kept."""

    every_steps: int = Field(ge=1)
    keep_last: int = Field(ge=1)
    keep_best: int = Field(ge=0)


class TrackersRecipe(Strict):
    """Who else is told of every step: one line each. `events.jsonl` and the loss plot are always written."""

    wandb: str | None = None
    wandb_mode: Literal["offline", "online"]
    tensorboard: bool
