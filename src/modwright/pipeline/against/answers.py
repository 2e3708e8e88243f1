"""What another model answers, in the order of our own labels; no answer is a failure of a kind, never a guess."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from modwright.evaluation.comparison import Judged
from modwright.schema import BoolArray, FloatArray, Input, IntArray, Schema, Target, TargetKind

#: Told rows answered and rows in all.
AnswerProgress = Callable[[int, int], None]


class Failure(StrEnum):
    """Why there is no answer for a row."""

    UNPARSABLE = "unparsable"
    REFUSED = "refused"
    CUT_OFF = "cut off"
    TIMED_OUT = "timed out"
    TOO_LONG = "too long"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """What is said of one row: target to label to score, and target to the labels that are flagged.

    A label without a score was not judged. A model that only says yes or no scores 1 and 0.
    """

    scores: Mapping[str, Mapping[str, float]]
    flags: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Answers:
    """What another model says of N rows.

    Attributes:
        flags: target to (N, L); False where it failed.
        scores: target to (N, L) probabilities, NaN where it failed or does not know the label; None for a model that
            only says yes or no.
        covered: target to (L,) the labels it judged in every row that it answered.
        failures: (N,) None where it answered.
        choices: single-label target to (N,) the place of the label it names, -1 for none of ours; None where the scores
            say it.
    """

    flags: Mapping[str, BoolArray]
    scores: Mapping[str, FloatArray] | None
    covered: Mapping[str, BoolArray]
    failures: Sequence[Failure | None]
    choices: Mapping[str, IntArray] | None = None

    @property
    def failed(self) -> BoolArray:
        """Return which rows it gave no answer for, (N,)."""
        return np.array([failure is not None for failure in self.failures], dtype=np.bool_)

    @property
    def counted(self) -> dict[str, int]:
        """Return how many rows failed in which way, the most frequent first."""
        found = Counter(failure for failure in self.failures if failure is not None)
        return {str(kind): number for kind, number in found.most_common()}

    def judged(self, name: str) -> Judged:
        """Return the answers as one side of a comparison."""
        return Judged(name, self.flags, self.scores, self.covered, self.failed, self.choices)


@dataclass(frozen=True, slots=True)
class Speed:
    """How long some texts took.

    Attributes:
        in_turns: whether both models were measured on the same texts, chunk by chunk, in the same run.
    """

    texts: int
    seconds: float
    in_turns: bool

    @property
    def texts_per_s(self) -> float | None:
        """Return texts per second; None where no time was seen to pass."""
        return self.texts / self.seconds if self.seconds > 0 else None


class Other(Protocol):
    """A model to compare with.

    Attributes:
        name: what the report calls it.
        what: what it is, in a few words.
        remote: asked over HTTP: each row once, since that may cost money.
        notes: what a reader must know of it.
    """

    name: str
    what: str
    remote: bool
    notes: tuple[str, ...]

    def answer(self, inputs: Sequence[Input], progress: AnswerProgress | None = None) -> Answers:
        """Judge inputs; raises only where no row at all can be answered."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


def everything(schema: Schema) -> dict[str, BoolArray]:
    """Return target to (L,) of all labels."""
    return {target.name: np.ones(len(target.labels), dtype=np.bool_) for target in schema}


def gathered(schema: Schema, rows: Sequence[RowAnswer | Failure], *, probabilities: bool) -> Answers:
    """Put the answers of single rows together.

    A label is covered where most of the rows that were answered have its score; an answer that lacks one of them is
    no whole answer, and counts as unparsable.

    Args:
        rows: N of them; names that the schema does not have are left out.
        probabilities: whether the scores are such, or only yes and no.
    """
    covered = {target.name: _covered(target, rows) for target in schema}
    rows = [Failure.UNPARSABLE if _lacks(schema, covered, row) else row for row in rows]
    scores, flags, choices = {}, {}, {}
    for target in schema:
        shape = (len(rows), len(target.labels))
        scores[target.name] = np.array([_scores(target, row) for row in rows]).reshape(shape)
        flags[target.name] = np.array([_flags(target, row) for row in rows], dtype=np.bool_).reshape(shape)
        if target.kind is TargetKind.SINGLE_LABEL:
            choices[target.name] = np.array([_choice(target, row) for row in rows], dtype=np.int64)
    failures = [row if isinstance(row, Failure) else None for row in rows]
    return Answers(flags, scores if probabilities else None, covered, failures, choices)


def _covered(target: Target, rows: Sequence[RowAnswer | Failure]) -> BoolArray:
    """Return (L,) the labels that more than half of the answered rows have a score of."""
    answers = [row.scores.get(target.name, {}) for row in rows if not isinstance(row, Failure)]
    having = [sum(label in scores for scores in answers) for label in target.labels]
    return np.array([2 * number > len(answers) for number in having], dtype=np.bool_)


def _lacks(schema: Schema, covered: Mapping[str, BoolArray], row: RowAnswer | Failure) -> bool:
    """Return whether an answer has no score of a label that most others have one of."""
    return not isinstance(row, Failure) and any(
        label not in row.scores.get(target.name, {})
        for target in schema
        for label, is_covered in zip(target.labels, covered[target.name], strict=True)
        if is_covered
    )


def _scores(target: Target, row: RowAnswer | Failure) -> list[float]:
    found = {} if isinstance(row, Failure) else row.scores.get(target.name, {})
    return [found.get(label, np.nan) for label in target.labels]


def _flags(target: Target, row: RowAnswer | Failure) -> list[bool]:
    found = frozenset[str]() if isinstance(row, Failure) else row.flags.get(target.name, frozenset())
    return [label in found and label not in target.negative_labels for label in target.labels]


def _choice(target: Target, row: RowAnswer | Failure) -> int:
    """Return the place of the one label that an answer names, -1 for none, several, or one that is not ours.

    Where it flags nothing it means the negative label, of several the most probable.
    """
    if isinstance(row, Failure):
        return -1
    named, scores = row.flags.get(target.name, frozenset()), row.scores.get(target.name, {})
    if not named and target.negative_labels:
        likeliest = max(target.negative_labels, key=lambda label: scores.get(label, 0.0))
        sure = len(target.negative_labels) == 1 or likeliest in scores
        named = frozenset([likeliest] if sure else [])
    (label, *more) = named or [""]
    return target.index(label) if label in target.labels and not more else -1
