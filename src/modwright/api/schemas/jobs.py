"""The body that creates a job, in Mistral's shape, with our own keys `recipe` and `overrides`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, Tag, field_validator
from pydantic_core import PydanticCustomError

from modwright.api.schemas.native import Strict, by_shape
from modwright.errors import UnprocessableError, nearest
from modwright.jobs.naming import slug
from modwright.jobs.service import JobOrder
from modwright.jobs.specs import (
    Hyperparameters,
    Integration,
    JobSpec,
    LossFunction,
    TargetSpec,
    TrainingFile,
)

#: Longest suffix of a model's name in Mistral's API.
MAX_SUFFIX = 18
MAX_FILES = 1_000
MAX_STEPS = 10_000_000
_MAX_LABELS = 10_000
_JOB_TYPES = ("classifier", "completion")

Name = Annotated[str, Field(min_length=1, max_length=500)]
FileId = Annotated[str, Field(min_length=1, max_length=200)]
# Strict: true is no 1, and "200" is no 200.
Count = Annotated[int, Field(strict=True, ge=1, le=MAX_STEPS)]
Weight = Annotated[float, Field(strict=True, ge=0, le=1e6, allow_inf_nan=False)]


def _sealed(value: Any) -> Any:
    """Check a key without ever showing it."""
    if isinstance(value, str) and re.fullmatch(r"[!-~]{1,500}", value):
        return value
    raise PydanticCustomError("api_key", "expected 1 to 500 visible ASCII characters without a space")


class JobFile(Strict):
    """An uploaded file, and what its rows weigh in the loss."""

    file_id: FileId
    weight: Annotated[float, Field(strict=True, gt=0, le=1e6, allow_inf_nan=False)] = 1.0


class JobHyperparameters(Strict):
    """What the training is asked for; what is left out, the recipe says."""

    training_steps: Count | None = None
    learning_rate: Annotated[float, Field(strict=True, ge=1e-8, le=1)] | None = Field(
        default=None, description="The peak of the schedule."
    )
    weight_decay: Annotated[float, Field(strict=True, ge=0, le=1)] | None = None
    warmup_fraction: Annotated[float, Field(strict=True, ge=0, le=1)] | None = None
    epochs: Annotated[float, Field(strict=True, gt=0, le=10_000)] | None = None
    seq_len: Annotated[int, Field(strict=True, ge=100, le=1_000_000)] | None = Field(
        default=None, description="Most tokens of a window; longer texts are read in several."
    )
    batch_size: Count | None = Field(default=None, description="Rows of a step.")
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] | None = None
    fim_ratio: Any = Field(default=None, description="Of completion models; taken, not used.")

    def asked(self) -> Hyperparameters:
        """Return the values as a spec holds them."""
        return Hyperparameters(**self.model_dump(exclude={"fim_ratio"}))


class JobIntegration(Strict):
    """Weights & Biases is told of every step; the key is sealed and never shown again."""

    type: Literal["wandb"] = "wandb"
    project: Name
    api_key: Annotated[SecretStr, BeforeValidator(_sealed)] | None = None
    name: Name | None = None
    run_name: Name | None = None


class JobTarget(Strict):
    """A declared target: its labels in order, and what its loss weighs beside the others'."""

    name: Name
    labels: Annotated[list[Name], Field(min_length=1, max_length=_MAX_LABELS, fail_fast=True)]
    weight: Weight = 1.0
    loss_function: Literal["single_class", "multi_class"] | None = Field(
        default=None, description="single_class: exactly one label holds; null: as the data show."
    )

    def spec(self) -> TargetSpec:
        """Return the target as a spec holds it."""
        loss = None if self.loss_function is None else LossFunction(self.loss_function)
        return TargetSpec(self.name, tuple(self.labels), self.weight, loss)


_File = Annotated[
    Annotated[FileId, Tag("<text>")] | Annotated[JobFile, Tag("<object>")],
    by_shape("a file's id or an object with file_id"),
]


def suffix_of(value: str | None, longest: int) -> str | None:
    """Check a suffix: its length, and that a name can be made of it; raises PydanticCustomError."""
    if value is None:
        return None
    if len(value) > longest:
        raise PydanticCustomError(
            "suffix",
            "has {found} characters, at most {longest} are taken",
            {"found": len(value), "longest": longest},
        )
    if not slug(value):
        raise PydanticCustomError("suffix", "holds no ASCII letter or digit to make a name of")
    return value


class Ours(Strict):
    """Keys of our own that either shape of a job takes."""

    recipe: Name | None = Field(
        default=None, description="A shipped recipe that trains instead of the one `model` stands for."
    )
    overrides: Annotated[dict[str, Any], Field(max_length=200)] = Field(
        default_factory=dict, description="Dotted keys of the recipe to values, such as `head.folds`."
    )


class JobRequest(Ours):
    """Body of `POST /v1/fine_tuning/jobs`."""

    model: Name = Field(description="A hosted model's name, a recipe or a base.")
    training_files: Annotated[list[_File], Field(max_length=MAX_FILES, fail_fast=True)] = Field(
        default_factory=list, description="At least one; an id, or an object with `file_id` and `weight`."
    )
    validation_files: Annotated[list[FileId], Field(max_length=MAX_FILES, fail_fast=True)] | None = None
    hyperparameters: JobHyperparameters = JobHyperparameters()
    suffix: str | None = Field(
        default=None, description=f"At most {MAX_SUFFIX} characters of the model's name."
    )
    integrations: Annotated[list[JobIntegration], Field(max_length=1)] | None = None
    auto_start: Annotated[bool, Field(strict=True)] | None = Field(
        default=None, description="Absent or true: training follows validation; false: it waits for `start`."
    )
    invalid_sample_skip_percentage: Annotated[float, Field(strict=True, ge=0, le=0.5)] = Field(
        default=0.0, description="Share of wrong lines that is left out instead of failing the job."
    )
    job_type: str | None = Field(default=None, description="classifier")
    classifier_targets: Annotated[list[JobTarget], Field(max_length=1_000)] | None = None
    repositories: Annotated[list[Any], Field(max_length=MAX_FILES)] | None = Field(
        default=None, description="Not supported: upload the files."
    )

    @field_validator("job_type")
    @classmethod
    def _known_type(cls, value: str | None) -> str | None:
        if value is not None and value not in _JOB_TYPES:
            raise PydanticCustomError(
                "job_type", "is no type of job ({hint})", {"hint": nearest(value[:100], _JOB_TYPES)}
            )
        return value

    @field_validator("suffix")
    @classmethod
    def _short_suffix(cls, value: str | None) -> str | None:
        return suffix_of(value, MAX_SUFFIX)

    def order(self) -> JobOrder:
        """Return what is asked for; raises UnprocessableError for what this server does not train."""
        if self.job_type == "completion":
            raise UnprocessableError(
                "Model not available for this type of fine-tuning (completion).",
                where="job_type",
                remedy="this server trains classifiers: classifier",
            )
        if self.repositories:
            raise UnprocessableError(
                "repositories are not read", where="repositories", remedy="upload the rows as files"
            )
        trackers = self.integrations or []
        keys = {
            str(item.type): item.api_key.get_secret_value() for item in trackers if item.api_key is not None
        }
        return JobOrder(self._spec(), auto_start=self.auto_start is not False, keys=keys)

    def _spec(self) -> JobSpec:
        targets = self.classifier_targets
        files = [item if isinstance(item, JobFile) else JobFile(file_id=item) for item in self.training_files]
        return JobSpec(
            model=self.model,
            training_files=tuple(TrainingFile(item.file_id, item.weight) for item in files),
            validation_files=tuple(self.validation_files or ()),
            hyperparameters=self.hyperparameters.asked(),
            targets=tuple(item.spec() for item in targets) if targets else None,
            invalid_sample_skip_percentage=self.invalid_sample_skip_percentage,
            suffix=self.suffix,
            integrations=tuple(
                Integration(item.project, name=item.name, run_name=item.run_name)
                for item in self.integrations or []
            ),
            recipe=self.recipe,
            overrides=self.overrides,
        )
