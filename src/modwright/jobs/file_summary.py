"""What the check of an uploaded file found: a summary that is stored with it, or what is wrong, line by line.

Nothing here reads data: a server knows these words, a process of its own does the reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from modwright.errors import DataError
from modwright.schema import TargetKind


@dataclass(frozen=True, slots=True)
class FoundTarget:
    """A target that a file's rows speak of.

    Attributes:
        kind: what the form of its labels shows; None where they were all objects (soft labels).
        labels: in order of first sight.
    """

    kind: TargetKind | None
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One thing that is wrong in a file: found and expected, the 1-based line and the key path where known."""

    message: str
    line: int | None = None
    field: str | None = None
    remedy: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the problem as JSON-ready data."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the problem in one line: place, what was found and what was expected."""
        line = [] if self.line is None else [f"line {self.line}"]
        place = [*line, *([] if self.field is None else [f"field '{self.field}'"])]
        return ": ".join([", ".join(place), self.message] if place else [self.message])


@dataclass(frozen=True, slots=True)
class FileSummary:
    """What a file holds.

    Attributes:
        targets: name to what the rows say of it, in order of first sight.
        lines: records, the wrong ones among them.
        skipped: records that are wrong and were tolerated; training leaves them out.
        characters: of all texts and messages that are read, the labels' not counted.
        openai: whether the last assistant message is the label, as in OpenAI's fine-tuning files.
        notes: what was accepted and may surprise.
        problems: the first of those that were tolerated.
    """

    targets: Mapping[str, FoundTarget]
    lines: int
    skipped: int
    characters: int
    openai: bool = False
    notes: tuple[str, ...] = ()
    problems: tuple[FileProblem, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON-ready data."""
        targets = {
            name: {"kind": found.kind and str(found.kind), "labels": list(found.labels)}
            for name, found in self.targets.items()
        }
        problems = {"problems": [problem.to_json() for problem in self.problems]} if self.problems else {}
        return {
            "targets": targets,
            "lines": self.lines,
            "skipped": self.skipped,
            "characters": self.characters,
            "openai": self.openai,
            "notes": list(self.notes),
            **problems,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild a summary from `to_json` data."""
        targets = {
            name: FoundTarget(found["kind"] and TargetKind(found["kind"]), tuple(found["labels"]))
            for name, found in data["targets"].items()
        }
        counts = {key: data[key] for key in ("lines", "skipped", "characters", "openai")}
        problems = tuple(FileProblem(**problem) for problem in data.get("problems", ()))
        return cls(targets=targets, notes=tuple(data["notes"]), problems=problems, **counts)


class FileProblemsError(DataError):
    """An uploaded file is no training data.

    Attributes:
        problems: at least one, at most 100, in the order of the lines.
        total: how many there are.
    """

    def __init__(self, name: str, problems: tuple[FileProblem, ...], total: int) -> None:
        self.problems, self.total = problems, total
        first = problems[0]
        more = f" (and {total - 1:,} more)" if total > 1 else ""
        super().__init__(
            first.message + more, file=name, line=first.line, field=first.field, remedy=first.remedy
        )
