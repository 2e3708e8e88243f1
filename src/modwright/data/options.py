"""What an import is told: where the rows lie, how their bytes are read, which columns mean what."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modwright.data.sampling import Sampling
from modwright.errors import UsageError, nearest
from modwright.schema import MODERATION_TARGET, Schema, TargetKind

TRAIN = "train"
DEFAULT_MAX_RECORD_BYTES = 1 << 20
FORMATS = ("csv", "tsv", "jsonl", "parquet")
DEFAULT_FRACTIONS = "train=0.8,test=0.2"
DEFAULT_NEAR = 0.8
_SPLIT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")


def check_split_name(name: str) -> None:
    """Raise UsageError unless a split's name can be a file's, in its own folder."""
    if not _SPLIT_NAME.match(name):
        raise UsageError(f"split name is {name!r}", remedy="use letters, digits, '_', '-' and '.'")


def check_file_name(name: str) -> None:
    """Raise UsageError for the name of a file or folder that is no text: no message and no dataset could hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = name.encode(errors="backslashreplace").decode()
        raise UsageError("the name is not UTF-8", where=shown, remedy="rename it") from None


_NAMED_DELIMITERS = {"\\t": "\t", "tab": "\t"}

#: Called with a file's name, the bytes read so far and its size.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Reading:
    """How the bytes of a file become rows.

    Attributes:
        delimiter: one ASCII character; None takes ',' for .csv and tab for .tsv.
        quoted: whether '"' quotes fields as RFC 4180 says; False takes quotes as plain characters.
        header: whether the first record names the columns; else they are column_1, column_2, …
        encoding: a Python codec name.
        skip_lines: physical lines before the header to leave out.
        max_record_bytes: a larger record is an error.
        format: csv, tsv, jsonl or parquet, whatever the name says; None goes by the name's ending.
        max_rows: reading may stop after so many rows; None reads all.
    """

    delimiter: str | None = None
    quoted: bool = True
    header: bool = True
    encoding: str = "utf-8"
    skip_lines: int = 0
    max_record_bytes: int = DEFAULT_MAX_RECORD_BYTES
    format: str | None = None
    max_rows: int | None = None

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise UsageError(
                f"--format is {self.format!r}, expected {', '.join(FORMATS)}",
                remedy=nearest(self.format, FORMATS),
            )
        if self.delimiter is None:
            return
        delimiter = _NAMED_DELIMITERS.get(self.delimiter, self.delimiter)
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
            raise UsageError(
                f"--delimiter is {self.delimiter!r}, expected one ASCII character",
                remedy="for a tab give --delimiter tab",
            )
        object.__setattr__(self, "delimiter", delimiter)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an export wrote down, so that reading its files gives the very dataset again.

    Attributes:
        schema: targets and labels in order, also those no row is positive for.
        columns: split to the other columns in order: name, its name in the file, its type.
        safe: the label that stands in lists where nothing holds, and is none of the schema's.
        group: the column that holds the rows' groups; None where they follow from the conversations.
    """

    schema: Schema
    columns: Mapping[str, tuple[tuple[str, str, str], ...]] = field(default_factory=dict)
    safe: str | None = None
    group: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        columns = {split: [list(column) for column in kept] for split, kept in self.columns.items()}
        stated = {"schema": self.schema.to_json(), "columns": columns, "safe": self.safe}
        return stated | ({"group": self.group} if self.group else {})


@dataclass(frozen=True, slots=True)
class Meaning:
    """Which columns or keys mean what; None takes the key of that very name where it exists.

    Attributes:
        text, prompt, response, messages, id, weight: names of columns or keys.
        labels: columns that hold 0/1, a struct of them or a list of labels; or one column that holds a class.
        scores: columns that hold a score.
        target: the target that `labels` and `scores` answer.
        threshold: the expression that turns scores into 0/1; None keeps them as soft labels.
        kind: forces the target's kind.
        negative: labels that say "nothing wrong"; empty takes `safe` where it occurs.
        declared: target to labels, in the order the schema shall have.
        renames: old label to new one; several old ones with one new name merge by their maximum, and are
            unknown where one of them is and none of the others holds. An old name is `label` or `target/label`.
        drops: labels to leave out, named as in `renames`.
        openai: whether conversations without `labels` end in an assistant's message that is the label, or a
            JSON list of labels, as in OpenAI's fine-tuning files.
        recorded: the schema and columns an earlier export wrote down; they hold instead of what the files show.
    """

    text: str | None = None
    prompt: str | None = None
    response: str | None = None
    messages: str | None = None
    id: str | None = None
    weight: str | None = None
    labels: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    target: str = MODERATION_TARGET
    threshold: str | None = None
    kind: TargetKind | None = None
    negative: tuple[str, ...] = ()
    declared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)
    drops: tuple[str, ...] = ()
    openai: bool = False
    recorded: Recorded | None = None

    def __post_init__(self) -> None:
        if self.kind is not None:
            object.__setattr__(self, "kind", TargetKind(self.kind))
        if self.recorded is not None and len(self.recorded.schema.targets) == 1:
            object.__setattr__(self, "target", self.recorded.schema.targets[0].name)
        self._refuse_contradictions()

    def _refuse_contradictions(self) -> None:
        if (self.prompt is None) != (self.response is None):
            raise UsageError("--prompt and --response go together, found only one of them")
        if self.text is not None and self.prompt is not None:
            raise UsageError("found both --text and --prompt/--response", remedy="give one or the other")
        if self.messages is not None and self.prompt is not None:
            raise UsageError("found both --messages and --prompt/--response", remedy="give one or the other")
        if self.openai and self.columns:
            raise UsageError(
                "--openai takes labels from the messages", remedy="leave out --label and --score"
            )
        if self.recorded is not None and (self.declared or self.negative or self.kind):
            raise UsageError(
                "--schema says all about the labels already",
                remedy="leave out --declare, --negative and --kind",
            )
        both = [name for name in self.drops if name in self.renames]
        if both:
            raise UsageError(f"label '{both[0]}' is both renamed and dropped", remedy="do one or the other")
        if any(not new.strip() for new in self.renames.values()):
            raise UsageError("--rename gives an empty name", remedy="write OLD=NEW")
        if self.threshold is not None and not self.scores:
            raise UsageError("--threshold needs at least one --score column", remedy="give --score COL")
        self._refuse_two_roles()

    def _refuse_two_roles(self) -> None:
        """Raise UsageError for a column that is given two meanings: it would be used for one of them only."""
        roles = [(name, "--label") for name in self.labels] + [(name, "--score") for name in self.scores]
        for option in ("text", "prompt", "response", "messages", "id", "weight"):
            roles += [(name, f"--{option}") for name in [getattr(self, option)] if name is not None]
        first: dict[str, str] = {}
        for name, option in roles:
            if name in first:
                raise UsageError(
                    f"column '{name}' is given to {first[name]} and {option}",
                    remedy="give it to one; a copy of the column may have the other meaning",
                )
            first[name] = option

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the label and score columns."""
        return (*self.labels, *self.scores)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Everything `import_dataset` needs.

    Attributes:
        sources: files of the split `train`.
        out: folder of the dataset.
        splits: pairs of a split's name and a file.
        replace: whether another dataset in `out` may be replaced.
        sampling: split to the sample that is taken of its rows; of the others all are taken.
    """

    sources: tuple[str, ...]
    out: Path
    splits: tuple[tuple[str, str], ...] = ()
    reading: Reading = field(default_factory=Reading)
    meaning: Meaning = field(default_factory=Meaning)
    replace: bool = False
    sampling: Mapping[str, Sampling] = field(default_factory=dict)

    def files(self) -> list[tuple[str, str]]:
        """Return pairs of split and file, training files first.

        Raises:
            UsageError: no file, a file twice, or a split name that cannot be a file's name.
        """
        pairs = [(TRAIN, source) for source in self.sources] + list(self.splits)
        pairs.sort(key=lambda pair: pair[0] != TRAIN)
        if not pairs:
            raise UsageError("found no file to import", remedy="name one, or give --split NAME=FILE")
        check_file_name(str(self.out))
        seen: set[str] = set()
        for split, source in pairs:
            check_split_name(split)
            check_file_name(source)
            path = os.path.realpath(source)  # a link to itself is told by who reads it
            if path in seen:
                address = "://" in source and not source.startswith(("hf://", "s3://"))
                shown = f"an address of the split '{split}'" if address else source  # it may hold a password
                raise UsageError("is given twice", where=shown, remedy="name each file once")
            seen.add(path)
        return pairs
