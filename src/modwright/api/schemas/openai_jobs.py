"""The body that creates a job in OpenAI's shape."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from modwright.api.schemas.jobs import MAX_STEPS, FileId, Name, Ours, suffix_of
from modwright.api.schemas.native import Strict
from modwright.errors import RequestError, UnprocessableError
from modwright.jobs.service import JobOrder
from modwright.jobs.specs import Hyperparameters, Integration, JobSpec, TrainingFile

MAX_SUFFIX = 64
#: What `learning_rate_multiplier` multiplies.
BASE_LEARNING_RATE = 1e-4
_SEED = Annotated[int, Field(strict=True, ge=0, lt=2**32)]


def _auto(kind: str, **limits: float) -> Any:
    """Return what reads `auto` as None, with the schema that says so."""
    schema = {"anyOf": [{"const": "auto"}, {"type": kind, **limits}, {"type": "null"}]}
    return (BeforeValidator(lambda value: None if value == "auto" else value), WithJsonSchema(schema))


class OpenAIHyperparameters(Strict):
    """What the training is asked for; `auto` leaves it to the recipe."""

    n_epochs: Annotated[
        float | None,
        Field(strict=True, gt=0, le=10_000),
        *_auto("number", exclusiveMinimum=0, maximum=10_000),
    ] = None
    batch_size: Annotated[
        int | None, Field(strict=True, ge=1, le=MAX_STEPS), *_auto("integer", minimum=1, maximum=MAX_STEPS)
    ] = None
    learning_rate_multiplier: Annotated[
        float | None, Field(strict=True, ge=1e-4, le=1e4), *_auto("number", minimum=1e-4, maximum=1e4)
    ] = Field(default=None, description=f"Times {BASE_LEARNING_RATE:g} is the learning rate.")


class Supervised(Strict):
    """The one method there is."""

    hyperparameters: OpenAIHyperparameters | None = None


class Method(Strict):
    """How a model is trained."""

    type: str
    supervised: Supervised | None = None
    dpo: Any = Field(default=None, description="Not supported.")
    reinforcement: Any = Field(default=None, description="Not supported.")


class Wandb(Strict):
    """A project of Weights & Biases; the server's own key is used."""

    project: Name
    name: Name | None = None
    entity: Name | None = None
    tags: Annotated[list[Name], Field(max_length=50)] | None = None


class OpenAIIntegration(Strict):
    """A tracker of experiments."""

    type: Literal["wandb"]
    wandb: Wandb


class OpenAIJobRequest(Ours):
    """Body of `POST /v1/fine_tuning/jobs` in OpenAI's shape: told by its `training_file`."""

    model: Name
    training_file: FileId
    validation_file: FileId | None = None
    suffix: str | None = Field(
        default=None, description=f"At most {MAX_SUFFIX} characters of the model's name."
    )
    seed: _SEED | None = None
    metadata: Annotated[dict[str, Any], Field(max_length=16)] | None = None
    hyperparameters: OpenAIHyperparameters | None = None
    method: Method | None = None
    integrations: Annotated[list[OpenAIIntegration], Field(max_length=1)] | None = None

    @field_validator("suffix")
    @classmethod
    def _short_suffix(cls, value: str | None) -> str | None:
        return suffix_of(value, MAX_SUFFIX)

    @field_validator("metadata")
    @classmethod
    def _short_metadata(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        for key, item in (value or {}).items():
            if not isinstance(item, str) or len(key) > 64 or len(item) > 512:
                raise PydanticCustomError(
                    "metadata",
                    "'{key}' is not a text of at most 512 characters under a key of at most 64",
                    {"key": key[:64]},
                )
        return value

    def order(self) -> JobOrder:
        """Return what is asked for; raises UnprocessableError, RequestError for what cannot be meant."""
        spec = JobSpec(
            model=self.model,
            training_files=(TrainingFile(self.training_file),),
            validation_files=() if self.validation_file is None else (self.validation_file,),
            hyperparameters=self._asked(),
            suffix=self.suffix,
            integrations=tuple(_integration(item.wandb) for item in self.integrations or []),
            recipe=self.recipe,
            overrides=self.overrides,
            metadata=self.metadata or {},
        )
        return JobOrder(spec)

    def _asked(self) -> Hyperparameters:
        old, new = self.hyperparameters, None
        if self.method is not None:
            new = _supervised(self.method).hyperparameters
        if old is not None and new is not None and old != new:
            raise RequestError(
                "says otherwise than method.supervised.hyperparameters",
                where="hyperparameters",
                remedy="give one of them",
            )
        asked = new or old or OpenAIHyperparameters()
        multiplier = asked.learning_rate_multiplier
        return Hyperparameters(
            epochs=asked.n_epochs,
            batch_size=asked.batch_size,
            learning_rate=None if multiplier is None else float(f"{multiplier * BASE_LEARNING_RATE:.12g}"),
            seed=self.seed,
        )


def _supervised(method: Method) -> Supervised:
    if method.type != "supervised" or method.dpo is not None or method.reinforcement is not None:
        raise UnprocessableError(
            f"the method '{method.type[:100]}' is none of this server's",
            where="method.type",
            remedy="classifiers are trained supervised",
        )
    return method.supervised or Supervised()


def _integration(wandb: Wandb) -> Integration:
    return Integration(wandb.project, name=wandb.name, entity=wandb.entity, tags=tuple(wandb.tags or ()))
