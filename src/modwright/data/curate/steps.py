"""What a curation step is: a frozen dataclass of parameters, and a pure decision about rows or labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from modwright.data.curate.part import Part
from modwright.errors import MissingExtraError, UsageError, nearest
from modwright.schema import BoolArray, FloatArray, IntArray, Schema

#: Returns the (N,) numbers of tokens of N texts; comes from a model's tokenizer.
CountTokens = Callable[[Sequence[str]], IntArray]
Label = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Context:
    """What a step is told beside its rows.

    Attributes:
        schema: targets and labels; their order is the order of `Part.values`.
        random: the only source of chance, made from the seed, the step's place and the split's name.
        count_tokens: for steps that measure in tokens.
    """

    schema: Schema
    random: np.random.Generator
    count_tokens: CountTokens | None = None

    @property
    def labels(self) -> list[Label]:
        """Return pairs of target and label, one for each column of values."""
        return [(target.name, label) for target in self.schema.targets for label in target.labels]

    def flaggable(self, target: str | None = None) -> IntArray:
        """Return the columns of labels that may be flagged, of one target or of all."""
        if target is not None:
            self.schema.target(target)
        may = {(one.name, label) for one in self.schema.targets for label in one.flaggable}
        columns = [
            place
            for place, (name, label) in enumerate(self.labels)
            if (name, label) in may and target in (None, name)
        ]
        return np.array(columns, dtype=np.int64)

    def positive(self, values: FloatArray) -> BoolArray:
        """Return where a label holds; unknown does not."""
        with np.errstate(invalid="ignore"):
            held: BoolArray = values > self.schema.positive_above
        return held

    def tokens(self) -> CountTokens:
        """Return the function that counts tokens; raises UsageError where none was given."""
        if self.count_tokens is None:
            raise UsageError(
                "lengths in tokens need a tokenizer, found none",
                remedy="measure in characters or words, or pass count_tokens",
            )
        return self.count_tokens


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows of a part stay.

    Attributes:
        kept: (K,) positions in the part, in their new order.
        why: reason to number of rows that it dropped; they sum to N - K.
        values: (K, L) new labels; None leaves them.
        weights: (K,) new weights; None leaves them.
        details: more for the log, JSON-ready.
    """

    kept: IntArray
    why: dict[str, int]
    values: FloatArray | None = None
    weights: FloatArray | None = None
    details: dict[str, Any] = field(default_factory=dict)


@runtime_checkable
class RowStep(Protocol):
    """A step that chooses rows, split by split."""

    name: ClassVar[str]
    random: ClassVar[bool]

    def choose(self, part: Part, context: Context) -> Choice:
        """Return the rows of a part (N at least 1) that stay; nothing that is given is changed."""
        ...


@runtime_checkable
class LabelStep(Protocol):
    """A step that takes labels out of the schema, for all splits at once."""

    name: ClassVar[str]
    random: ClassVar[bool]

    def removed(self, parts: Mapping[str, Part], context: Context) -> tuple[list[Label], dict[str, Any]]:
        """Return the labels that go, and more for the log."""
        ...


Step = RowStep | LabelStep


def keep_where(keep: BoolArray, reason: str) -> Choice:
    """Return the choice of the rows where a mask holds."""
    dropped = int(len(keep) - np.count_nonzero(keep))
    return Choice(np.flatnonzero(keep).astype(np.int64), {reason: dropped} if dropped else {})


def column_of(label: str, context: Context) -> int:
    """Return the column of `label` or `target/label`; raises UsageError that names the nearest."""
    whole = [f"{target}/{name}" for target, name in context.labels]
    if label in whole:
        return whole.index(label)
    found = [place for place, (_, name) in enumerate(context.labels) if name == label]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"the label '{label}' is one of several targets", remedy=f"write {whole[found[0]]} or the like"
        )
    raise UsageError(
        f"there is no label '{label}'", remedy=nearest(label, [*whole, *(name for _, name in context.labels)])
    )


def missing(package: str) -> MissingExtraError:
    """Return the error for a package of the extra `data` that is not there."""
    return MissingExtraError("data", f"this step ({package})")
