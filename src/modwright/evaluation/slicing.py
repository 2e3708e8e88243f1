"""Ways to cut a split into parts: by a column's values, by length, by script."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from modwright.errors import UsageError
from modwright.schema import BoolArray, FloatArray, IntArray

#: A column with more different texts keeps the most frequent ones; the rest is one part.
MOST_PARTS = 12
#: Numbers with more different values, and lengths, are cut into so many parts of about equally many rows.
BUCKETS = 4
NOT_STATED = "(not stated)"
#: Digits of a range's ends; the most tell any two numbers apart.
_LEAST_DIGITS, _MOST_DIGITS = 6, 17
#: Characters of a text that are looked at for its script.
_LOOKED_AT = 2_000
#: Share of a text's letters that its script must have; below it the text is mixed.
_DOMINANT = 2 / 3
NO_LETTERS, MIXED = "no letters", "mixed scripts"
#: First word of a letter's Unicode name to the script, where it is not the script's own name.
_SCRIPTS = {
    "CJK": "Han",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "KATAKANA-HIRAGANA": "Japanese",
    "HALFWIDTH": "Japanese",
    "FULLWIDTH": "Latin",
}


@dataclass(frozen=True, slots=True)
class Slicing:
    """One way to cut N rows into parts.

    Attributes:
        name: such as ``length`` or a column's name.
        parts: in the order they are shown in; every one holds at least one row.
        member: (N,) place of each row's part.
        note: how the parts were made, a sentence; may be empty.

    Raises:
        UsageError: a row is in no part.
    """

    name: str
    parts: tuple[str, ...]
    member: IntArray
    note: str = ""

    def __post_init__(self) -> None:
        if len(self.member) and not ((self.member >= 0) & (self.member < len(self.parts))).all():
            raise UsageError(
                f"a row is in none of the {len(self.parts)} parts", where=f"slices by '{self.name}'"
            )

    def rows(self, place: int) -> BoolArray:
        """Return which rows (N,) are in a part."""
        return np.asarray(self.member == place, dtype=np.bool_)


def by_column(name: str, values: Sequence[Any]) -> Slicing:
    """Cut by a column's values (N,), None where empty.

    Numbers of more than `MOST_PARTS` different values are cut into `BUCKETS` ranges. Of texts the most frequent
    `MOST_PARTS` are a part each, the others one together. Rows without a value are a part of their own.

    Raises:
        UsageError: every row has a value of its own.
    """
    numbers = _numbers(values)
    if numbers is not None and len(np.unique(numbers[~np.isnan(numbers)])) > MOST_PARTS:
        return _by_number(name, numbers, "")
    texts = [NOT_STATED if value is None or value == "" else _text(value) for value in values]
    counts = Counter(text for text in texts if text != NOT_STATED)
    if len(counts) > MOST_PARTS and max(counts.values()) == 1:
        raise UsageError(
            f"each of {len(counts):,} rows has a value of its own, so there are no parts to compare",
            where=f"column '{name}'",
            remedy="name a column whose values several rows share",
        )
    kept = [text for text, _ in counts.most_common(MOST_PARTS)]
    if numbers is not None:
        kept.sort(key=float)
    others = len(counts) - len(kept)
    together = f"({others} other values)"
    while together in counts:
        together = f"({together})"
    parts = [*kept, *([together] if others else []), *([NOT_STATED] if NOT_STATED in texts else [])]
    place = {text: number for number, text in enumerate(parts)}
    member = np.array([place[text] if text in place else place[together] for text in texts], dtype=np.int64)
    note = f"The {MOST_PARTS} most frequent of {len(counts)} values are a part each." if others else ""
    return Slicing(name, tuple(parts), member, note)


def by_length(texts: Sequence[str]) -> Slicing:
    """Cut by the number of characters of the judged texts (N,) into `BUCKETS` ranges of about equally many rows."""
    return _by_number("length", np.array([float(len(text)) for text in texts]), " characters")


def by_script(texts: Sequence[str]) -> Slicing:
    """Cut by the script that most letters of each text (N,) are in.

    A script is no language: Latin holds English and Turkish alike. Where the rows' languages are known, a column of them
    says more.
    """
    found = [script_of(text) for text in texts]
    parts = tuple(script for script, _ in Counter(found).most_common())
    place = {script: number for number, script in enumerate(parts)}
    note = "The script that two thirds of a text's letters are in; a script is no language."
    return Slicing("script", parts, np.array([place[script] for script in found], dtype=np.int64), note)


def script_of(text: str) -> str:
    """Return the script of most letters, such as ``Latin``, by their Unicode names; `NO_LETTERS` without any.

    Han beside kana is Japanese. `MIXED` where no script has two thirds of the letters.
    """
    counts: Counter[str] = Counter()
    for character, number in Counter(text[:_LOOKED_AT]).items():
        script = _script_of_letter(character)
        if script:
            counts[script] += number
    if counts["Japanese"]:
        counts["Japanese"] += counts.pop("Han", 0)
    if not counts.total():
        return NO_LETTERS
    script, number = counts.most_common(1)[0]
    return script if number >= _DOMINANT * counts.total() else MIXED


@cache
def _script_of_letter(character: str) -> str:
    """Return a letter's script; empty for what is no letter or belongs to none."""
    if not unicodedata.category(character).startswith("L"):
        return ""
    words = unicodedata.name(character, "").split()
    if not words or words[0] in ("MODIFIER", "FEMININE", "MASCULINE"):
        return ""
    if words[0] == "HALFWIDTH" and "HANGUL" in words:
        return "Hangul"
    return _SCRIPTS.get(words[0], words[0].capitalize())


def _by_number(name: str, numbers: FloatArray, unit: str) -> Slicing:
    """Cut numbers (N,), NaN where there is none, into ranges of about equally many rows; equal ones stay together."""
    known = ~np.isnan(numbers)
    edges = np.unique(np.quantile(numbers[known], np.arange(1, BUCKETS) / BUCKETS, method="inverted_cdf"))
    member = np.searchsorted(edges, numbers, side="left")
    member[~known] = len(edges) + 1
    used, member = np.unique(member, return_inverse=True)
    inside = [numbers[member == place] for place in range(len(used))]
    ends = [None if np.isnan(part).any() else (float(part.min()), float(part.max())) for part in inside]
    return Slicing(name, _ranges(ends, unit), member.astype(np.int64), "Ranges of about equally many rows.")


def _ranges(ends: Sequence[tuple[float, float] | None], unit: str) -> tuple[str, ...]:
    """Return the names of ranges, None where there is no number, with as many digits as tell different ends apart."""
    different = {value for pair in ends if pair is not None for value in pair}
    told: dict[float, str] = {}
    for digits in range(_LEAST_DIGITS, _MOST_DIGITS + 1):
        told = {value: _shown(value, digits) for value in different}
        if len(set(told.values())) == len(different):
            break
    return tuple(NOT_STATED if pair is None else _range(told[pair[0]], told[pair[1]], unit) for pair in ends)


def _shown(value: float, digits: int) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.{digits}g}"


def _range(low: str, high: str, unit: str) -> str:
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def _numbers(values: Sequence[Any]) -> FloatArray | None:
    """Return a column's values as numbers, NaN where empty; None if one of them is none, or all are empty."""
    found = [math.nan if value is None or value == "" else _as_number(value) for value in values]
    if any(number is None for number in found):
        return None
    numbers = np.array(found, dtype=np.float64)
    return None if np.isnan(numbers).all() else numbers


def _as_number(value: Any) -> Any:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.12g}" if isinstance(value, float) else str(value)
