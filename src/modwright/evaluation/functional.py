"""Functional tests: short cases, each written to show one thing a classifier must get right, in HateCheck's form.

Röttger et al. 2021, "HateCheck: functional tests for hate speech detection models"; Multilingual HateCheck and
HatemojiCheck have the same columns. They are for testing alone: who trains or chooses a threshold on them has no test
any more.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modwright.errors import DataError, SchemaError, nearest
from modwright.evaluation.agreement import proportion
from modwright.evaluation.resampling import Interval
from modwright.evaluation.scored import Scorer
from modwright.evaluation.thresholds import OperatingPoint, flags
from modwright.schema import BoolArray, Schema, Target, text_input

#: The text's column, by the names that the published sets give it.
TEXT_COLUMNS = ("test_case", "text", "case")
FUNCTIONALITY, GOLD, IDENTITY, TEMPLATE = "functionality", "label_gold", "target_ident", "templ_id"
#: What the gold label says where it says that something is to be flagged, and where nothing is.
POSITIVE_WORDS = frozenset({"hateful", "1", "1.0", "true", "toxic", "yes", "unsafe"})
NEGATIVE_WORDS = frozenset(
    {"non-hateful", "not hateful", "nonhateful", "0", "0.0", "false", "no", "safe", "none"}
)


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        functionality: what it tests.
        positive: whether it is to be flagged.
        identity: the group it speaks of; empty where none is named.
        template: cases of one template differ in the group's name alone; empty where it stands alone.
    """

    text: str
    functionality: str
    positive: bool
    identity: str
    template: str


@dataclass(frozen=True, slots=True)
class Passed:
    """How many cases of one kind a model gets right.

    Attributes:
        name: the functionality or identity; empty for all cases.
        positive: gold label of these cases; None where both are among them.
        accuracy: share that is right, with a Wilson interval over templates; its n is the number of cases.
    """

    name: str
    positive: bool | None
    accuracy: Interval

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON-ready data."""
        return {"name": self.name, "positive": self.positive, "accuracy": self.accuracy.to_json()}


@dataclass(frozen=True, slots=True)
class FunctionalResult:
    """What a model does with a file of cases.

    Attributes:
        file: its name.
        target, label: what was asked: one label, or any of the target's where the label is empty.
        overall: all cases, the ones to be flagged, the others.
        functionalities: in the order of the file.
        identities: by identity, cases to be flagged and others apart.
    """

    file: str
    target: str
    label: str
    overall: tuple[Passed, ...]
    functionalities: tuple[Passed, ...]
    identities: tuple[Passed, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON-ready data."""
        parts = {
            "overall": self.overall,
            "functionalities": self.functionalities,
            "identities": self.identities,
        }
        return {
            "target": self.target,
            "label": self.label or None,
            **{name: [one.to_json() for one in found] for name, found in parts.items()},
        }


def read_cases(path: Path) -> tuple[Case, ...]:
    """Read a CSV file of cases: `functionality`, `test_case` and `label_gold`, and `target_ident` and `templ_id` if there.

    Raises:
        DataError: no such file, a column that is missing, an empty text, or a gold label that is neither yes nor no.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            text_column = _text_column(reader.fieldnames or (), path)
            cases = tuple(_case(row, text_column, path, reader.line_num) for row in reader)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"is no CSV in UTF-8: {error}", file=str(path)) from None
    if not cases:
        raise DataError("holds no cases", file=str(path))
    return cases


def measure_functional(
    file: str,
    cases: Sequence[Case],
    schema: Schema,
    point: OperatingPoint,
    scorer: Scorer,
    *,
    label: str = "",
) -> FunctionalResult:
    """Score cases and count what is right, flagged or not flagged as it should be.

    Args:
        file: name of the file.
        label: the one that means what the cases test, as ``label`` or ``target/label``; empty takes any flag of the
            target that moderation is answered from, else of the first one.

    Raises:
        SchemaError: the model has no such label, or never flags it; no label is named, and the target gives every text one.
    """
    target, chosen = _asked(schema, label)
    scores = scorer([text_input(case.text) for case in cases])[target.name]
    flagged = flags(target, scores, point.thresholds[target.name])
    hit = flagged[:, target.index(chosen)] if chosen else flagged.any(axis=1)
    positive = np.asarray([case.positive for case in cases], dtype=np.bool_)
    count = _Counted(cases, np.asarray(hit == positive, dtype=np.bool_), positive)
    return FunctionalResult(
        file=file,
        target=target.name,
        label=chosen,
        overall=(
            count.of("", None, np.ones(len(cases), dtype=np.bool_)),
            *count.by_gold("", [True] * len(cases)),
        ),
        functionalities=tuple(
            one
            for name in dict.fromkeys(case.functionality for case in cases)
            for one in count.by_gold(name, [case.functionality == name for case in cases])
        ),
        identities=tuple(
            one
            for name in dict.fromkeys(case.identity for case in cases if case.identity)
            for one in count.by_gold(name, [case.identity == name for case in cases])
        ),
    )


@dataclass(frozen=True, slots=True)
class _Counted:
    """Cases, which (N,) are right, and which are to be flagged."""

    cases: Sequence[Case]
    right: BoolArray
    positive: BoolArray

    def by_gold(self, name: str, chosen: Iterable[bool]) -> Iterable[Passed]:
        """Yield how many of some cases are right: of those to be flagged, and of the others, where there are any."""
        rows = np.asarray(list(chosen), dtype=np.bool_)
        for positive in (True, False):
            mine = rows & (self.positive == positive)
            if mine.any():
                yield self.of(name, positive, mine)

    def of(self, name: str, positive: bool | None, rows: BoolArray) -> Passed:
        """Return how many of the cases (N,) are right."""
        templates = [self.cases[row].template or f"case {row}" for row in np.flatnonzero(rows).tolist()]
        return Passed(name, positive, proportion(self.right[rows], templates))


def _asked(schema: Schema, label: str) -> tuple[Target, str]:
    """Return the target and the one label that is asked for; no label means any."""
    if not label:
        return _any_asked(schema.moderation_target or schema.targets[0]), ""
    name, slash, rest = label.partition("/")
    found = [
        (target, option)
        for target in schema
        for option in target.flaggable
        if (target.name == name and option == rest if slash else option == label)
    ]
    if len(found) == 1:
        return found[0]
    known = [f"{target.name}/{option}" for target in schema for option in target.flaggable]
    problem = (
        f"'{label}' is a label of {len(found)} targets"
        if found
        else f"no label '{label}' that is ever flagged"
    )
    raise SchemaError(problem, where="functional tests", remedy=nearest(label, known))


def _any_asked(target: Target) -> Target:
    """Return the target; raises SchemaError where "is anything flagged" is no question of it."""
    if target.asks_for_flag:
        return target
    raise SchemaError(
        f"'{target.name}' gives every text one of its labels, so whether any is flagged tests nothing",
        where="functional tests",
        remedy=f"name the label they test, such as {target.name}/{target.labels[-1]}",
    )


def _text_column(columns: Sequence[str], path: Path) -> str:
    for name in (FUNCTIONALITY, GOLD):
        if name not in columns:
            raise DataError(f"the column '{name}' is missing", file=str(path), remedy=nearest(name, columns))
    for name in TEXT_COLUMNS:
        if name in columns:
            return name
    raise DataError(
        f"no column holds the cases, expected '{TEXT_COLUMNS[0]}'",
        file=str(path),
        remedy=nearest(TEXT_COLUMNS[0], columns),
    )


def _case(row: dict[str, Any], text_column: str, path: Path, line: int) -> Case:
    text, gold = row[text_column] or "", str(row[GOLD] or "").strip().lower()
    if not text.strip():
        raise DataError("is empty", file=str(path), line=line, field=text_column)
    if gold not in POSITIVE_WORDS | NEGATIVE_WORDS:
        raise DataError(
            f"is '{gold}', expected hateful or non-hateful, or 1 or 0", file=str(path), line=line, field=GOLD
        )
    return Case(
        text,
        str(row[FUNCTIONALITY] or ""),
        gold in POSITIVE_WORDS,
        str(row.get(IDENTITY) or ""),
        str(row.get(TEMPLATE) or ""),
    )
