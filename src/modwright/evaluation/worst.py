"""The rows that a model gets wrong most surely: what a person reads to understand it, or to find wrong labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from modwright.evaluation.samples import most_probable
from modwright.evaluation.scored import ScoredSplit
from modwright.render.words import shortened
from modwright.schema import BoolArray, Input, IntArray, Target, TargetKind

#: Rows shown in a whole report, and of one kind for one label.
MOST_ERRORS = 50
MOST_ALIKE = 10
#: Characters shown of the judged text, and of the turn before it.
TEXT_CHARACTERS = 280
CONTEXT_CHARACTERS = 140


class Mistake(StrEnum):
    """What went wrong."""

    FALSE_ALARM = "false alarm"  # flagged, or chosen, and the label does not hold
    MISSED = "missed"  # the label holds, and it is not flagged, or not chosen


#: The surest errors first: false alarms by falling score, what is missed by rising.
_SIGN = {Mistake.FALSE_ALARM: -1.0, Mistake.MISSED: 1.0}


@dataclass(frozen=True, slots=True)
class WorstError:
    """A row that is judged wrongly.

    Attributes:
        row: its id in the dataset.
        input: the row; what is shown of it is cut, see `excerpt`.
        score: of the label, calibrated.
        truth: what the data say of the label, 0 to 1.
        instead: what a single-label target answers instead of the truth; empty for others.
    """

    split: str
    target: str
    label: str
    mistake: Mistake
    row: str
    input: Input
    score: float
    truth: float
    instead: str

    def to_json(self) -> dict[str, Any]:
        """Return all of it but the text, which stays in the dataset."""
        return {
            "split": self.split,
            "target": self.target,
            "label": self.label,
            "mistake": str(self.mistake),
            "id": self.row,
            "score": round(self.score, 6),
            "truth": round(self.truth, 6),
            "instead": self.instead,
        }


@dataclass(frozen=True, slots=True)
class ErrorList:
    """The worst errors of one kind for one label of one split, the surest first, and how many there are in all."""

    split: str
    target: str
    label: str
    mistake: Mistake
    count: int
    errors: tuple[WorstError, ...]


def worst_errors(splits: Iterable[ScoredSplit], most: int = MOST_ERRORS) -> list[ErrorList]:
    """Return the errors of every flaggable label, at most `most` rows in all and a row per group and list.

    False alarms are in falling order of score, what is missed in rising order. The room is shared evenly by the lists
    that have errors. The truth of a single-label row is its most probable label, as in the report's accuracy; the row
    is missed for that label. A row whose truth is not known is none.
    """
    found = [
        one for split in splits for target in split.schema for one in _of_target(split, target) if one.count
    ]
    shares = _shares([len(one.errors) for one in found], most)
    return [
        replace(one, errors=one.errors[:share]) for one, share in zip(found, shares, strict=True) if share
    ]


def _shares(wanted: Sequence[int], room: int) -> list[int]:
    """Return how much each gets: in turns one each, until all have what they want or nothing is left."""
    shares = [0] * len(wanted)
    while room > 0 and any(share < want for share, want in zip(shares, wanted, strict=True)):
        for place, want in enumerate(wanted):
            if shares[place] < want and room > 0:
                shares[place] += 1
                room -= 1
    return shares


def _of_target(split: ScoredSplit, target: Target) -> Iterator[ErrorList]:
    scores = split.scores[target.name]
    chosen = scores.argmax(axis=1)
    for label in target.flaggable:
        place = target.index(label)
        known, positives, said = _judged(split, target, label, chosen)
        for mistake, wrong in (
            (Mistake.FALSE_ALARM, known & ~positives & said),
            (Mistake.MISSED, positives & ~said),
        ):
            rows = np.flatnonzero(wrong)
            surest = rows[np.argsort(scores[rows, place] * _SIGN[mistake], kind="stable")]
            errors = [
                _error(split, target, label, mistake, row, chosen) for row in _one_a_group(split, surest)
            ]
            yield ErrorList(split.name, target.name, label, mistake, len(rows), tuple(errors))


def _judged(
    split: ScoredSplit, target: Target, label: str, chosen: IntArray
) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Return which rows are known, of which the label holds, and of which the model says so, (N,) each."""
    place = target.index(label)
    if target.kind is TargetKind.SINGLE_LABEL:
        truth = most_probable(split.labels[target.name])
        return truth >= 0, truth == place, chosen == place
    return *split.positives(target.name, label), split.flagged[target.name][:, place]


def _one_a_group(split: ScoredSplit, rows: IntArray) -> list[int]:
    """Return the first row of every group, in order, as many as are shown."""
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(split.groups[row], int(row))
        if len(first) == MOST_ALIKE:
            break
    return list(first.values())


def _error(
    split: ScoredSplit, target: Target, label: str, mistake: Mistake, row: int, chosen: IntArray
) -> WorstError:
    place = target.index(label)
    return WorstError(
        split=split.name,
        target=target.name,
        label=label,
        mistake=mistake,
        row=str(split.ids[row]),
        input=split.inputs[row],
        score=float(split.scores[target.name][row, place]),
        truth=float(split.labels[target.name][row, place]),
        instead=_instead(split, target, row, mistake, int(chosen[row])),
    )


def _instead(split: ScoredSplit, target: Target, row: int, mistake: Mistake, chosen: int) -> str:
    if target.kind is not TargetKind.SINGLE_LABEL:
        return ""
    truth = int(np.argmax(split.labels[target.name][row]))
    return target.labels[truth if mistake is Mistake.FALSE_ALARM else chosen]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What is shown of a row: the judged text and the turn before it, both cut and on one line."""

    text: str
    before: str


def excerpt(value: Input) -> Excerpt:
    """Return what is shown of an input."""
    before = shortened(value[-2].content, CONTEXT_CHARACTERS) if len(value) > 1 else ""
    return Excerpt(shortened(value[-1].content, TEXT_CHARACTERS), before)
