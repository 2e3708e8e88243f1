"""What an export is told, and what it made."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class ExportFormat(StrEnum):
    """The formats there are."""

    FACTORY = "factory"  # Classifier Factory JSONL: text or messages, labels by target
    OPENAI = "openai"  # chat fine-tuning JSONL: the last assistant message is the label
    CSV = "csv"  # one column per target and label
    PARQUET = "parquet"  # the same columns, typed

    @property
    def suffix(self) -> str:
        """Return the ending of its files."""
        return {"csv": ".csv", "parquet": ".parquet"}.get(self, ".jsonl")


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Everything `export_dataset` needs beside the dataset.

    Attributes:
        format: the format.
        out: a folder, or the one file where its name ends as the format's files do.
        splits: those to write; none are all.
        safe: the label that is written where a multi_label target holds nothing (JSONL formats).
        target: the one target that OpenAI's form can carry.
        threshold: the expression that turns soft labels into 0/1 for OpenAI's form.
        drop_unknown: whether OpenAI's form leaves out rows whose labels are not all known.
        replace: whether an earlier export in `out` may be replaced.
    """

    format: ExportFormat
    out: Path
    splits: tuple[str, ...] = ()
    safe: str | None = None
    target: str | None = None
    threshold: str | None = None
    drop_unknown: bool = False
    replace: bool = False

    @property
    def one_file(self) -> bool:
        """Say whether `out` names a file."""
        return self.out.suffix.lower() == self.format.suffix and not self.out.is_dir()


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What was written.

    Attributes:
        out: the folder or file.
        format: the format.
        id: the dataset's id.
        files: split to file, rows and bytes.
        notes: what the format does not carry, and other surprises.
        back: the command that imports it again.
    """

    out: str
    format: str
    id: str
    files: dict[str, dict[str, Any]]
    notes: tuple[str, ...]
    back: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return dataclasses.asdict(self)
