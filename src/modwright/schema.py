"""The vocabulary everyone speaks: targets, labels, messages, examples, scores and the Classifier protocol.

No file or network is touched here and nothing but numpy is imported. Letters for shapes, here and everywhere:
N inputs, L labels of one target, W windows, T tokens, D features.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from modwright.errors import SchemaError, nearest

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

#: Labels that say "nothing wrong", unless the schema names others.
DEFAULT_NEGATIVE_LABELS = ("safe",)
#: A soft label counts as positive for F1 and AUC when it is above this.
POSITIVE_ABOVE = 0.5
#: The target that `/v1/moderations` answers from when a model has several.
MODERATION_TARGET = "moderation"
#: A number of a file that is larger is no float.
_LARGEST = float(np.finfo(np.float64).max)


class TargetKind(StrEnum):
    """How the labels of one target relate to each other."""

    MULTI_LABEL = "multi_label"  # labels hold independently: sigmoid
    SINGLE_LABEL = "single_label"  # exactly one label holds: softmax


@dataclass(frozen=True, slots=True)
class Target:
    """One question asked of a text.

    Attributes:
        name: such as ``moderation``.
        kind: whether the labels hold independently or exclude each other.
        labels: the possible answers; their order is the order of every score array.
        negative_labels: those that say "nothing wrong": kept in scores, left out of flags and macro metrics.

    Raises:
        SchemaError: no label, a label twice, a negative label that is none, a name with '/' or empty.
    """

    name: str
    kind: TargetKind
    labels: tuple[str, ...]
    negative_labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        where = f"target '{self.name}'"
        if not self.name.strip() or "/" in self.name:
            raise SchemaError(
                f"target name {self.name!r} is empty or holds '/'", remedy="use letters, digits, '_' and '-'"
            )
        if not self.labels:
            raise SchemaError("has no labels", where=where, remedy="declare them, or give data that has some")
        seen: set[str] = set()
        for label in self.labels:
            if not label.strip():
                raise SchemaError(f"has the empty label {label!r}", where=where)
            if label in seen:
                raise SchemaError(f"names the label '{label}' twice", where=where)
            seen.add(label)
        for label in self.negative_labels:
            if label not in seen:
                raise SchemaError(
                    f"negative label '{label}' is not a label", where=where, remedy=nearest(label, seen)
                )
        if self.kind is TargetKind.SINGLE_LABEL and len(self.labels) < 2:
            raise SchemaError(
                f"is single_label with the one label '{self.labels[0]}'",
                where=where,
                remedy="it needs at least two",
            )

    @classmethod
    def create(
        cls, name: str, kind: TargetKind, labels: Iterable[str], negative: Iterable[str] | None = None
    ) -> Self:
        """Build a target; without ``negative`` the default negative labels that occur are taken."""
        labels = tuple(labels)
        if negative is None:
            negative = tuple(label for label in DEFAULT_NEGATIVE_LABELS if label in labels)
        return cls(name, TargetKind(kind), labels, tuple(negative))

    @property
    def flaggable(self) -> tuple[str, ...]:
        """Return the labels that may be flagged: all but the negative ones, in order."""
        return tuple(label for label in self.labels if label not in self.negative_labels)

    @property
    def asks_for_flag(self) -> bool:
        """Return whether "is anything flagged" is a question: not where exactly one of several labels always is."""
        return bool(self.flaggable) and (self.kind is TargetKind.MULTI_LABEL or bool(self.negative_labels))

    def index(self, label: str) -> int:
        """Return the label's place in score arrays; raises SchemaError for an unknown one."""
        try:
            return self.labels.index(label)
        except ValueError:
            raise SchemaError(
                f"unknown label '{label}'", where=f"target '{self.name}'", remedy=nearest(label, self.labels)
            ) from None

    def to_json(self) -> dict[str, Any]:
        """Return the target as JSON-ready data."""
        return {
            "name": self.name,
            "kind": str(self.kind),
            "labels": list(self.labels),
            "negative_labels": list(self.negative_labels),
        }


@dataclass(frozen=True, slots=True)
class Schema:
    """The targets of a dataset or model, in order, and the rule that turns soft labels into positives."""

    targets: tuple[Target, ...]
    positive_above: float = POSITIVE_ABOVE

    def __post_init__(self) -> None:
        if not self.targets:
            raise SchemaError("the schema has no targets")
        names = [target.name for target in self.targets]
        for name in names:
            if names.count(name) > 1:
                raise SchemaError(f"target '{name}' is declared twice")

    def __iter__(self) -> Any:
        return iter(self.targets)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the target names in order."""
        return tuple(target.name for target in self.targets)

    def target(self, name: str) -> Target:
        """Return the target of that name; raises SchemaError naming the nearest one."""
        for target in self.targets:
            if target.name == name:
                return target
        raise SchemaError(f"unknown target '{name}'", remedy=nearest(name, self.names))

    @property
    def moderation_target(self) -> Target | None:
        """Return the target `/v1/moderations` answers from: `moderation`, else the only one, else None."""
        for target in self.targets:
            if target.name == MODERATION_TARGET:
                return target
        return self.targets[0] if len(self.targets) == 1 else None

    def to_json(self) -> dict[str, Any]:
        """Return the schema as JSON-ready data."""
        return {
            "targets": [target.to_json() for target in self.targets],
            "positive_above": self.positive_above,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild a schema from `to_json` data; raises SchemaError for unknown or missing keys."""
        check_keys(data, {"targets", "positive_above"}, "schema")
        targets = []
        for item in data["targets"]:
            check_keys(item, {"name", "kind", "labels", "negative_labels"}, "schema.targets")
            try:
                kind = TargetKind(item["kind"])
            except ValueError:
                raise SchemaError(
                    f"kind is {item['kind']!r}",
                    where=f"target '{item['name']}'",
                    remedy="multi_label or single_label",
                ) from None
            targets.append(Target(item["name"], kind, tuple(item["labels"]), tuple(item["negative_labels"])))
        return cls(tuple(targets), float(data["positive_above"]))


def check_keys(data: Mapping[str, Any], expected: set[str], where: str) -> None:
    """Raise SchemaError unless the keys are exactly the expected ones; an unknown key names the nearest."""
    for key in data:
        if key not in expected:
            raise SchemaError(f"unknown key '{key}'", where=where, remedy=nearest(key, expected))
    for key in sorted(expected - set(data)):
        raise SchemaError(f"key '{key}' is missing", where=where)


def checked_number(value: Any, name: str, where: str) -> float:
    """Return a finite number as a float; raises SchemaError for anything else, a number beyond every float included."""
    if type(value) in (int, float) and abs(value) <= _LARGEST:
        return float(value)
    raise SchemaError(f"{name} is {_told(value)}, expected a finite number", where=where)


def checked_count(value: Any, name: str, where: str) -> int:
    """Return a whole number of 0 or more; raises SchemaError for anything else."""
    if type(value) is int and 0 <= value <= _LARGEST:
        return value
    raise SchemaError(f"{name} is {_told(value)}, expected a whole number of 0 or more", where=where)


def _told(value: Any) -> str:
    if type(value) is int and abs(value) > _LARGEST:
        return "a number beyond every float"
    return repr(value)[:60]


class Role(StrEnum):
    """Who speaks in a conversation."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


#: What is judged: the last turn, in the context of the ones before it. A text is one user message.
Input = tuple[Message, ...]


def text_input(text: str) -> Input:
    """Return a plain text as an input."""
    return (Message(Role.USER, text),)


def pair_input(prompt: str, response: str) -> Input:
    """Return a prompt/response pair as an input whose response is judged."""
    return (Message(Role.USER, prompt), Message(Role.ASSISTANT, response))


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of N inputs.

    Attributes:
        values: target name to (N, L) probabilities in label order, float64, in 0..1.
        windows: (N,) number of windows each last turn was scored in, at least 1.
        spans: target name to (N, L, 2) character spans [from, to) in the last turn: the window that decided
            the label.
    """

    values: dict[str, FloatArray]
    windows: IntArray
    spans: dict[str, IntArray]


class Classifier(Protocol):
    """A trained model: what every family gives, and all that serving and evaluation know of one.

    An unfitted classifier cannot exist: one comes from a trainer or from `load`.
    """

    @property
    def schema(self) -> Schema:
        """Return the targets, in the order of the scores."""
        ...

    def predict_proba(self, inputs: Sequence[Input]) -> Scores:
        """Score inputs, whole documents, before calibration; order and batch mates change nothing (1e-6)."""
        ...

    def save(self, folder: Path) -> None:
        """Write `model/`, `tokenizer/` and `serving/` below the folder."""
        ...

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        """Read what `save` wrote; raises ArtifactError and never improvises a missing part."""
        ...
