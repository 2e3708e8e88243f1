"""What records say in their `labels` key: list, string or object per target, gathered into columns."""

from __future__ import annotations

import math
import sys
from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modwright.data.problems import Problems
from modwright.data.tables import Claim
from modwright.schema import MODERATION_TARGET, TargetKind

#: More than any target has; above it these are texts, and a table of rows and labels would fill the memory.
MAX_LABELS = 1_000
_FORMS = 'a list of labels, a string (one class), an object {"label": 0.7} or null'


def found(value: Any) -> str:
    """Say what a JSON value is, shortened, for "found …"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        shown = str(value)
        return f"the number {shown[:30]}" + ("…" if len(shown) > 30 else "")
    if isinstance(value, str):
        return f"the string {value[:30]!r}" + ("…" if len(value) > 30 else "")
    return "a list" if isinstance(value, list) else "an object"


def is_empty_number(value: Any) -> bool:
    """Say whether a value is NaN: how pandas writes an empty cell in Parquet; the other formats have none."""
    return isinstance(value, float) and math.isnan(value)


@dataclass(slots=True)
class _Gathered:
    """One target's statements: flat arrays of (row, label, value), and which rows took which form."""

    labels: dict[str, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    rows: array[int] = field(default_factory=lambda: array("q"))
    columns: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    closed: array[int] = field(default_factory=lambda: array("q"))
    objects: array[int] = field(default_factory=lambda: array("q"))
    kind: TargetKind | None = None
    kind_line: int = 0

    def state(self, row: int, line: int, label: str, value: float) -> None:
        self.labels.setdefault(label, line)
        self.rows.append(row)
        self.columns.append(self.places.setdefault(label, len(self.places)))
        self.values.append(value)

    def claim(self, number: int) -> Claim:
        values = np.full((number, len(self.labels)), np.nan)
        closed, objects = np.zeros(number, dtype=bool), np.zeros(number, dtype=bool)
        closed[np.array(self.closed, dtype=np.int64)] = True
        objects[np.array(self.objects, dtype=np.int64)] = True
        values[closed] = 0.0
        values[np.array(self.rows, dtype=np.int64), np.array(self.columns, dtype=np.int64)] = self.values
        return Claim(self.kind, self.kind_line, self.labels, values, closed, objects)


class Statements:
    """Gathers the `labels` of a file's records.

    Args:
        name: the file.
        key: the key they stand under, for errors.
        problems: collects what is wrong.
        scores: whether numbers in objects may lie outside 0..1.
    """

    def __init__(self, name: str, key: str, problems: Problems, *, scores: bool = False) -> None:
        self.name, self.key, self.problems, self.scores = name, key, problems, scores
        self.targets: dict[str, _Gathered] = {}
        self.full: set[str] = set()
        self.crowded = False

    def add(self, row: int, line: int, stated: Any) -> None:
        """Add one record's labels; null says nothing."""
        if stated is None:
            return
        if not isinstance(stated, dict):
            self._wrong(
                line,
                self.key,
                f"found {found(stated)}, expected an object of target to labels",
                f'write {{"{MODERATION_TARGET}": …}}, or name a plain key with --label {self.key}',
            )
            return
        for target, value in stated.items():
            if not target.strip() or "/" in target:
                self._wrong(
                    line,
                    self.key,
                    f"found the target name {target!r}, expected one without '/'",
                    "rename it with letters, digits, '_' and '-'",
                )
            elif value is not None:
                self.state(row, line, f"{self.key}.{target}", target, value)

    def state(self, row: int, line: int, place: str, target: str, value: Any) -> None:
        """Add what one record says about one target, at the key path `place`."""
        if self.crowded or target in self.full:
            return
        gathered = self.targets.setdefault(target, _Gathered())
        self._gather(gathered, row, line, place, target, value)
        if len(gathered.labels) > MAX_LABELS:
            self.full.add(target)
            self.targets[target] = _Gathered()
            self._crowd(line, place, "labels", "name the key that holds the label: --label KEY")
        if len(self.targets) > MAX_LABELS:
            self.crowded, self.targets = True, {}
            self._crowd(line, self.key, "targets", f'write {{"{MODERATION_TARGET}": …}}')

    def _crowd(self, line: int, place: str, what: str, remedy: str) -> None:
        message = f"found more than {MAX_LABELS:,} different {what}, expected a few that come again"
        self._wrong(line, place, message, remedy)

    def _gather(self, gathered: _Gathered, row: int, line: int, place: str, target: str, value: Any) -> None:
        if isinstance(value, str):
            if self._agrees(gathered, TargetKind.SINGLE_LABEL, line, place) and self._named(
                value, line, place
            ):
                gathered.closed.append(row)
                gathered.state(row, line, value, 1.0)
        elif isinstance(value, list):
            if self._agrees(gathered, TargetKind.MULTI_LABEL, line, place):
                gathered.closed.append(row)
                for position, label in enumerate(value):
                    if self._named(label, line, f"{place}[{position}]"):
                        gathered.state(row, line, label, 1.0)
        elif isinstance(value, dict):
            gathered.objects.append(row)
            for label, score in value.items():
                if self._named(label, line, place) and self._scored(score, line, f"{place}.{label}"):
                    gathered.state(row, line, label, math.nan if score is None else float(score))
        else:
            remedy = f'quote a class: "{str(value).lower()[:30]}"; or state a label: {{"{target}": {{"LABEL": 1}}}}'
            self._wrong(line, place, f"found {found(value)}, expected {_FORMS}", remedy)

    def _agrees(self, gathered: _Gathered, kind: TargetKind, line: int, place: str) -> bool:
        """Hold a target to the form it was first met in."""
        if gathered.kind is None:
            gathered.kind, gathered.kind_line = kind, line
        if gathered.kind is kind:
            return True
        words = {TargetKind.SINGLE_LABEL: "a string", TargetKind.MULTI_LABEL: "a list"}
        before = f"line {gathered.kind_line} has {words[gathered.kind]}"
        self._wrong(
            line,
            place,
            f"found {words[kind]}, but {before}; expected one form",
            "write lists everywhere where several labels may hold, strings where exactly one does",
        )
        return False

    def _named(self, label: Any, line: int, place: str) -> bool:
        if isinstance(label, str) and label.strip():
            return True
        what = "an empty label" if isinstance(label, str) else found(label)
        remedy = "write labels as strings that are not empty; [] says that none holds"
        self._wrong(line, place, f"found {what}, expected the name of a label", remedy)
        return False

    def _scored(self, score: Any, line: int, place: str) -> bool:
        if score is None or is_empty_number(score):
            return True
        if isinstance(score, bool) or not isinstance(score, int | float):
            remedy = "write 1 or 0 for certain labels, a share in between for soft ones"
            self._wrong(line, place, f"found {found(score)}, expected a number in 0..1 or null", remedy)
            return False
        if not self.scores and not 0.0 <= score <= 1.0:
            remedy = (
                "scale it to 0..1; or keep scores in keys of their own and give --score KEY --threshold EXPR"
            )
            self._wrong(line, place, f"found {found(score)}, expected a number in 0..1", remedy)
            return False
        if abs(score) > sys.float_info.max:
            self._wrong(line, place, f"found {found(score)}, expected a finite number", "scale it")
            return False
        return True

    def _wrong(self, line: int, place: str, message: str, remedy: str) -> None:
        self.problems.add(message, file=self.name, line=line, field=place, remedy=remedy)

    def labels(self) -> dict[str, tuple[TargetKind | None, tuple[str, ...]]]:
        """Return target to its kind, None where only objects were met, and its labels; in order of first sight."""
        return {name: (gathered.kind, tuple(gathered.labels)) for name, gathered in self.targets.items()}

    def forget_rows(self) -> None:
        """Forget which row said what, for who wants `labels` alone; `claims` cannot be asked for then."""
        for gathered in self.targets.values():
            for kept in (gathered.rows, gathered.columns, gathered.values, gathered.closed, gathered.objects):
                del kept[:]

    def claims(self, number: int) -> dict[str, Claim]:
        """Return what a file of `number` rows says, by target in order of first sight."""
        return {target: gathered.claim(number) for target, gathered in self.targets.items()}
