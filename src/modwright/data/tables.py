"""What the readers hand on: the rows of one file, before and after their columns were given a meaning."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from modwright.data.columnar import pl
from modwright.schema import BoolArray, FloatArray, IntArray, TargetKind

#: The columns every split frame begins with, in this order.
INPUT_COLUMNS = ("id", "text", "messages", "weight", "group", "source")
MESSAGES_TYPE = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


@dataclass(frozen=True, slots=True)
class Claim:
    """What one file says about one target.

    Attributes:
        kind: what the form of its values shows; None where they were all objects or unknown.
        kind_line: line of the first value that shows it.
        labels: the labels in order of first sight, with the line.
        values: (N, Lf) in 0..1, NaN unknown, 0 for labels that a closed-world row leaves out.
        closed: (N,) rows in list or string form, or of label columns: what they do not name does not hold.
        objects: (N,) rows in object form: what they do not name is unknown.
        raw: labels whose values are scores that still wait for the threshold.
        declared: labels that were named (columns of their own) rather than met.
    """

    kind: TargetKind | None
    kind_line: int
    labels: dict[str, int]
    values: FloatArray
    closed: BoolArray
    objects: BoolArray
    raw: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FileRows:
    """The rows of one file.

    Attributes:
        name: the file as the user gave it.
        lines: (N,) 1-based line of each row; in Parquet, the row's number.
        inputs: id (null where none is given), text, messages, weight.
        columns: every other key or column, plain types, in the file's order.
        claims: what rows in record form (a `labels` key) say, by target.
        nested: label columns that hold objects or lists, and what they say.
        notes: what was accepted and may surprise.
    """

    name: str
    lines: IntArray
    inputs: pl.DataFrame
    columns: pl.DataFrame
    claims: dict[str, Claim] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    nested: dict[str, Claim] = field(default_factory=dict)
    stated: bool = False

    def line(self, row: int) -> int:
        """Return the line of a row."""
        return int(self.lines[row])

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True, slots=True)
class RawTable:
    """A table as it stands in a file: its columns have names but no meaning yet."""

    name: str
    lines: IntArray
    frame: pl.DataFrame
    notes: tuple[str, ...] = ()


def no_lines() -> IntArray:
    """Return an empty array of lines."""
    return np.zeros(0, dtype=np.int64)
