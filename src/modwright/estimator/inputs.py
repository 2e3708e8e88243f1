"""What scikit-learn hands over as X and y, read into inputs and labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modwright.errors import SchemaError, UsageError
from modwright.schema import (
    FloatArray,
    Input,
    Message,
    Role,
    Schema,
    Target,
    TargetKind,
    pair_input,
    text_input,
)

_ITEMS = "texts, (prompt, response) pairs, or lists of {'role', 'content'}"
_WHERE = "y"


def read_inputs(X: Any) -> list[Input]:
    """Return N inputs from a list, array, series or data frame of texts, pairs or conversations.

    Raises:
        UsageError: X or one of its rows is none of these; the row is named.
    """
    rows = X.to_numpy() if hasattr(X, "to_numpy") else X
    if isinstance(rows, np.ndarray):
        if rows.ndim == 2 and rows.shape[1] == 1:
            rows = rows[:, 0]
        rows = rows.tolist()
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Sequence):
        raise UsageError(f"X is {type(X).__name__}, expected N {_ITEMS}", remedy="give a list, even of one")
    return [_input(value, number) for number, value in enumerate(rows)]


def _input(value: Any, number: int) -> Input:
    if isinstance(value, str):
        return text_input(value)
    if isinstance(value, Sequence | np.ndarray) and len(value):
        if len(value) == 2 and all(isinstance(part, str) for part in value):
            return pair_input(str(value[0]), str(value[1]))
        if all(isinstance(turn, Message) for turn in value):
            return tuple(value)
        if all(isinstance(turn, Mapping) and set(turn) == {"role", "content"} for turn in value):
            return tuple(_message(turn, number) for turn in value)
    raise UsageError(f"found {type(value).__name__}, expected {_ITEMS}", where=f"X, row {number}")


def _message(turn: Mapping[str, Any], number: int) -> Message:
    if turn["role"] not in set(Role) or not isinstance(turn["content"], str):
        raise UsageError(
            f"a turn has the role {turn['role']!r} and content of type {type(turn['content']).__name__}",
            where=f"X, row {number}",
            remedy=f"roles are {', '.join(Role)}, content is text",
        )
    return Message(Role(turn["role"]), turn["content"])


def group_keys(inputs: Sequence[Input]) -> list[str]:
    """Return (N,) keys: equal texts share one, and so do conversations with the same turns before the last."""
    return [_key(value[:-1] or value) for value in inputs]


def _key(turns: Input) -> str:
    normalised = [[turn.role, " ".join(turn.content.casefold().split())] for turn in turns]
    return hashlib.sha256(json.dumps(normalised).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Answers:
    """What y says.

    Attributes:
        target: the question that is asked of every text.
        labels: (N, L) values in 0..1, NaN unknown.
        classes: (C,) the values of a 1-D y in ascending order; None where y is a matrix.
    """

    target: Target
    labels: FloatArray
    classes: Any

    @property
    def schema(self) -> Schema:
        """Return the schema of the one target."""
        return Schema((self.target,))


def read_answers(
    y: Any, *, name: str, kind: str | None, labels: Sequence[str] | None, negative: Sequence[str] | None
) -> Answers:
    """Return what y says: a class per row, or a matrix (N, L) of what holds.

    Args:
        y: classes (N,), or values in 0..1, (N, L), NaN unknown; a data frame names its labels itself.
        name: of the target.
        kind: of the target: None is single_label for classes and multi_label for a matrix.
        labels: names of a matrix' columns; None takes a data frame's, else label_0, label_1, …
        negative: labels that say "nothing wrong"; None takes `safe`, else the lower of two classes.

    Raises:
        UsageError: y is neither, or the other arguments do not fit it.
        SchemaError: labels contradict each other.
    """
    columns = getattr(y, "columns", None)
    values = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
    if values.ndim == 2:
        named = (
            labels
            if labels is not None
            else [str(column) for column in columns]
            if columns is not None
            else None
        )
        return _matrix(values, name, kind, named, negative)
    if values.ndim != 1:
        raise UsageError(f"has the shape {values.shape}, expected (N,) or (N, L)", where=_WHERE)
    if labels is not None:
        raise UsageError("labels name the columns of a matrix, and y is not one", remedy="leave them out")
    return _classes(values, name, kind, negative)


def _matrix(
    values: Any, name: str, kind: str | None, labels: Sequence[str] | None, negative: Sequence[str] | None
) -> Answers:
    try:
        found = values.astype(np.float64)
    except (TypeError, ValueError):
        raise UsageError("is a matrix of other things than numbers", where=_WHERE) from None
    if ((found < 0) | (found > 1)).any():
        raise UsageError("has values outside 0..1", where=_WHERE, remedy="give 0, 1, shares, or NaN")
    names = (
        tuple(labels) if labels is not None else tuple(f"label_{place}" for place in range(found.shape[1]))
    )
    if len(names) != found.shape[1]:
        raise UsageError(f"has {found.shape[1]} columns, and {len(names)} labels are named", where=_WHERE)
    target = Target.create(name, _kind(kind, TargetKind.MULTI_LABEL), names, negative)
    return Answers(target, found, None)


def _classes(values: Any, name: str, kind: str | None, negative: Sequence[str] | None) -> Answers:
    if values.dtype.kind == "f" and not (np.isfinite(values) & (values == np.round(values))).all():
        raise UsageError(
            "holds fractions or NaN, expected a class per row",
            where=_WHERE,
            remedy="for shares of annotators give a matrix, such as y.reshape(-1, 1)",
        )
    try:
        classes, codes = np.unique(values, return_inverse=True)
    except TypeError:
        raise UsageError("mixes classes of several types", where=_WHERE) from None
    if len(classes) < 2:
        raise UsageError(f"has the one class {classes.tolist()}, expected at least two", where=_WHERE)
    names = tuple(str(value) for value in classes.tolist())
    if _kind(kind, TargetKind.SINGLE_LABEL) is TargetKind.MULTI_LABEL:
        if len(classes) != 2:
            raise UsageError(
                f"has {len(classes)} classes, which exclude each other", where="kind", remedy="leave it out"
            )
        target = Target.create(name, TargetKind.MULTI_LABEL, names[1:], negative or ())
        return Answers(target, codes.astype(np.float64)[:, None], classes)
    if negative is None and len(names) == 2 and "safe" not in names:
        negative = names[:1]
    target = Target.create(name, TargetKind.SINGLE_LABEL, names, negative)
    return Answers(target, np.eye(len(names))[codes], classes)


def _kind(kind: str | None, default: TargetKind) -> TargetKind:
    try:
        return default if kind is None else TargetKind(kind)
    except ValueError:
        raise SchemaError(f"kind is {kind!r}", remedy=f"one of {', '.join(TargetKind)}") from None
