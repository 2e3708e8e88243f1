"""What a job was asked to do: one canonical description, whatever dialect it came in.

A spec is JSON-ready and holds no secret; it is stored with the job and read by the worker. Names and meanings are
those of Mistral's fine-tuning jobs, with our own `recipe` and `overrides` beside them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

from modwright.schema import TargetKind


class LossFunction(StrEnum):
    """How the labels of a target relate to each other, in the words of the wire."""

    SINGLE_CLASS = "single_class"  # exactly one label holds
    MULTI_CLASS = "multi_class"  # labels hold independently

    @classmethod
    def of(cls, kind: TargetKind) -> Self:
        """Return the wire's word for a kind of target."""
        return cls.SINGLE_CLASS if kind is TargetKind.SINGLE_LABEL else cls.MULTI_CLASS

    @property
    def kind(self) -> TargetKind:
        """Return the kind of target this says."""
        return TargetKind.SINGLE_LABEL if self is LossFunction.SINGLE_CLASS else TargetKind.MULTI_LABEL


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """An uploaded file to train on; ``weight`` multiplies the weights of its rows in the loss."""

    file_id: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What was asked for; None leaves it to the recipe.

    Attributes:
        training_steps: steps of the whole training, at least 1.
        epochs: how often all rows are seen.
        learning_rate: the peak of the schedule.
        warmup_fraction: share of the steps before that peak.
        seq_len: most tokens of a window.
        batch_size: rows of a step.
    """

    training_steps: int | None = None
    epochs: float | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    warmup_fraction: float | None = None
    seq_len: int | None = None
    batch_size: int | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """A declared target; ``weight`` multiplies its loss beside the other targets', no loss function is inferred."""

    name: str
    labels: tuple[str, ...]
    weight: float = 1.0
    loss_function: LossFunction | None = None


@dataclass(frozen=True, slots=True)
class Integration:
    """A tracker of experiments that is told of the run; its key is kept apart, sealed."""

    project: str
    type: str = "wandb"
    name: str | None = None
    run_name: str | None = None
    entity: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job to train one classifier.

    Attributes:
        model: as asked: a hosted name, a recipe or a base; `naming.choose` says what it trains.
        training_files: at least one.
        validation_files: ids; their rows become the split `validation`. Without one the recipe carves it.
        targets: declared ones with the labels in order; None collects them from the files.
        invalid_sample_skip_percentage: share of bad lines that is left out instead of failing, 0 to 0.5.
        suffix: part of the finished model's name.
        recipe: a shipped recipe that trains instead of the one ``model`` stands for.
        overrides: dotted keys of the recipe to values, laid over everything else.
        metadata: of the user; stored and given back.
    """

    model: str
    training_files: tuple[TrainingFile, ...]
    validation_files: tuple[str, ...] = ()
    hyperparameters: Hyperparameters = Hyperparameters()
    targets: tuple[TargetSpec, ...] | None = None
    invalid_sample_skip_percentage: float = 0.0
    suffix: str | None = None
    integrations: tuple[Integration, ...] = ()
    recipe: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def file_ids(self) -> tuple[str, ...]:
        """Return every file the job reads: training files, then validation files."""
        return (*(file.file_id for file in self.training_files), *self.validation_files)

    def twin(self) -> str:
        """Return the hash of what makes a job: all but who watches it and what the user notes beside it."""
        told = self.to_json()
        for key in ("integrations", "metadata"):
            del told[key]
        canonical = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the spec as data for `from_json`; tuples are lists."""
        data: dict[str, Any] = json.loads(json.dumps(asdict(self) | {"overrides": dict(self.overrides)}))
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; keys that are not there have their defaults."""
        targets = data.get("targets")
        return cls(
            **{key: data[key] for key in _PLAIN if key in data},
            training_files=tuple(TrainingFile(**item) for item in data["training_files"]),
            validation_files=tuple(data.get("validation_files", ())),
            hyperparameters=_read(Hyperparameters, data.get("hyperparameters", {})),
            targets=None if targets is None else tuple(_target(item) for item in targets),
            integrations=tuple(_integration(item) for item in data.get("integrations", ())),
        )


_PLAIN = ("model", "invalid_sample_skip_percentage", "suffix", "recipe", "overrides", "metadata")


def _read(kind: type[Hyperparameters], data: Mapping[str, Any]) -> Hyperparameters:
    known = {item.name for item in fields(kind)}
    return kind(**{key: value for key, value in data.items() if key in known})


def _target(data: Mapping[str, Any]) -> TargetSpec:
    loss = data.get("loss_function")
    return TargetSpec(
        data["name"],
        tuple(data["labels"]),
        data.get("weight", 1.0),
        None if loss is None else LossFunction(loss),
    )


def _integration(data: Mapping[str, Any]) -> Integration:
    return Integration(**{**data, "tags": tuple(data.get("tags", ()))})
