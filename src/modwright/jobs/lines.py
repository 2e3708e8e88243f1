"""What a trainer tells its worker, one JSON line each: `{"line": "step", ...}`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from modwright.errors import IntegrityError
from modwright.storage.job_rows import Level, NewCheckpoint, NewEvent


@dataclass(frozen=True)
class Line:
    """The root of all lines."""

    KIND: ClassVar[str] = ""

    def to_text(self) -> str:
        """Return the line, without its end."""
        return json.dumps({"line": self.KIND, **asdict(self)}, ensure_ascii=True, allow_nan=False)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_text` wrote."""
        return cls(**{field.name: data[field.name] for field in fields(cls) if field.name in data})


@dataclass(frozen=True)
class Note(Line):
    """Something that people may want to know."""

    KIND: ClassVar[str] = "note"
    name: str
    message: str
    level: str = Level.INFO
    data: Mapping[str, Any] | None = None

    def event(self) -> NewEvent:
        """Return it as an event of the job."""
        return NewEvent(self.name, self.message, Level(self.level), self.data)


@dataclass(frozen=True)
class TrainingStep(Line):
    """A step of the run whose model remains."""

    KIND: ClassVar[str] = "step"
    number: int
    train_loss: float
    valid_loss: float | None = None
    learning_rate: float | None = None
    tokens: int | None = None

    @classmethod
    def of(cls, step: Any) -> Self:
        """Return a trainer's `Step`."""
        return cls(
            int(step.number),
            float(step.train_loss),
            _finite(step.valid_loss),
            _finite(step.learning_rate),
            int(step.tokens) or None,
        )

    def checkpoint(self) -> NewCheckpoint:
        """Return it as a checkpoint of the job."""
        return NewCheckpoint(self.number, self.train_loss, self.valid_loss, self.learning_rate, self.tokens)


@dataclass(frozen=True)
class TrackedRun(Line):
    """A tracker shows the run whose model remains: the run's name there, and its address where it has one."""

    KIND: ClassVar[str] = "tracked"
    tracker: str
    name: str
    url: str | None = None

    def result(self) -> dict[str, str | None]:
        """Return what the job's result keeps of it."""
        return {f"{self.tracker}_name": self.name, f"{self.tracker}_url": self.url}


@dataclass(frozen=True)
class Validated(Line):
    """Validation is done."""

    KIND: ClassVar[str] = "validated"
    result: Mapping[str, Any]


@dataclass(frozen=True)
class Trained(Line):
    """Training is done: where the artifact lies, and what it is."""

    KIND: ClassVar[str] = "trained"
    folder: str
    artifact_id: str
    root: str
    targets: Any
    trained_tokens: int | None
    steps: int


@dataclass(frozen=True)
class Failed(Line):
    """The phase failed.

    Attributes:
        problems: lines of the data that are wrong: message, file, line, field, remedy.
        retry: whether trying again may help.
        of_input: whether what the job's owner gave is wrong.
    """

    KIND: ClassVar[str] = "failed"
    code: str
    message: str
    where: str | None = None
    remedy: str | None = None
    problems: tuple[Mapping[str, Any], ...] = ()
    retry: bool = False
    of_input: bool = False

    def error(self) -> dict[str, Any]:
        """Return what the job keeps of it."""
        told = {"code": self.code, "message": self.message, "where": self.where, "remedy": self.remedy}
        return told | ({"problems": [dict(one) for one in self.problems]} if self.problems else {})


_KINDS = {kind.KIND: kind for kind in (Note, TrainingStep, TrackedRun, Validated, Trained, Failed)}


def read_line(text: str) -> Line:
    """Read a line; raises IntegrityError for what no trainer of this version writes."""
    try:
        data = json.loads(text)
        return _KINDS[data["line"]].from_data(data)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"the trainer said what nobody understands ({type(error).__name__})") from None


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
