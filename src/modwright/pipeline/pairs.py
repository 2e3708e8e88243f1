"""Reads the `pyrit` pairs as plain records: prompts and responses whose harm people scored, by category.

A file scores its own category only, so the other seven labels of its rows are unknown, never negative.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from modwright.errors import DataError
from modwright.schema import POSITIVE_ABOVE

#: Target and label of the pooled question: is this response harmful?
POOLED = "harmful"
#: Target whose labels are the eight categories.
CATEGORY = "category"
CATEGORIES = (
    "exploits",
    "hate_speech",
    "information_integrity",
    "privacy",
    "representational",
    "self_harm",
    "sexual",
    "violence",
)
_COLUMNS = ("objective", "assistant_response")
_RATER = re.compile(r"human_score(_\d+)?")
_DEFINITION = re.compile(r"harm_definition=(?P<category>\w+)\.yaml")


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """Pairs whose score in a category is known, and those of them that are positive."""

    pairs: int
    positives: int


@dataclass(frozen=True, slots=True)
class PairSummary:
    """What came out of the files.

    Attributes:
        rows: rows of all files.
        pairs: distinct pairs, one record each.
        prompts: distinct prompts.
        copied: rows that repeat another file's row, scores and all.
        merged: further rows of a pair that was scored again; their scores went into the mean.
        files: rows per file.
        harmful: positives of the pooled target.
        categories: per category, the known and the positive pairs.
    """

    rows: int
    pairs: int
    prompts: int
    copied: int
    merged: int
    files: dict[str, int]
    harmful: int
    categories: dict[str, CategoryCount]

    @property
    def dropped(self) -> int:
        """Return how many rows did not become a record of their own."""
        return self.rows - self.pairs


@dataclass(frozen=True, slots=True)
class Pairs:
    """The records, in order of first sight, and their summary."""

    records: list[dict[str, Any]]
    summary: PairSummary


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of one file; ``scores`` has one entry per rater."""

    file: str
    line: int
    category: str
    prompt: str
    response: str
    scores: tuple[Fraction, ...]

    @property
    def key(self) -> tuple[str, str]:
        """Return what makes two rows the same pair: both texts, but for case, width and spacing."""
        return _normalised(self.prompt), _normalised(self.response)


def pyrit_records(folder: Path) -> list[dict[str, Any]]:
    """Return the records of `read_pyrit` alone."""
    return read_pyrit(folder).records


def read_pyrit(folder: Path) -> Pairs:
    """Read the scored pairs from a folder that `modwright.catalog.fetch_data("pyrit", ...)` gave.

    A record has `prompt`, `response`, `labels`, `id`, `source_file`, `source_line`, `harm_category` and
    `raters`. `labels` holds two multi-label targets: `harmful` with the one label `harmful`, and `category`
    with eight labels of which all but the scored ones are None. A value is the mean over all raters of the
    pair, in 0..1. Where several categories score a pair, `harmful` is the highest of them.

    A pair occurs once. A row that repeats another file's row with the very same scores is a copy and counts
    once; any other repetition is taken as another person's score of the same pair.

    Raises:
        DataError: no CSV files, an unknown category, a missing column, or a score outside of 0..1.
    """
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise DataError("holds no CSV files, the pyrit harm files were expected", file=str(folder))
    rows = [row for path in paths for row in _read_file(path)]
    kept = _without_copies(rows)
    groups: dict[tuple[str, str], list[_Row]] = {}
    for row in kept:
        groups.setdefault(row.key, []).append(row)
    records = [_record(key, group) for key, group in groups.items()]
    return Pairs(records, _summary(rows, len(rows) - len(kept), records))


def _read_file(path: Path) -> list[_Row]:
    """Read one file: a comment line that names the category, then a CSV."""
    comment, _, body = path.read_text(encoding="utf-8-sig").partition("\n")
    match = _DEFINITION.search(comment) if comment.startswith("#") else None
    if match is None or match["category"] not in CATEGORIES:
        raise DataError(
            "the first line names no known category",
            file=path.name,
            line=1,
            remedy=f"'# ... harm_definition=X.yaml' was expected, X one of {', '.join(CATEGORIES)}",
        )
    reader = csv.DictReader(io.StringIO(body, newline=""), strict=True)
    raters = [column for column in reader.fieldnames or () if _RATER.fullmatch(column)]
    missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
    if missing or not raters:
        what = ", ".join(missing) or "human_score"
        raise DataError(f"has no column {what}", file=path.name, line=2, remedy="is it pyrit's?")
    return list(_read_rows(path.name, match["category"], reader, raters))


def _read_rows(file: str, category: str, reader: csv.DictReader[str], raters: list[str]) -> Iterator[_Row]:
    line = 3  # where the first row starts: after the comment and the header
    try:
        for cells in reader:
            prompt, response = cells[_COLUMNS[0]], cells[_COLUMNS[1]]
            if not prompt or not response:
                raise DataError("the prompt or the response is empty", file=file, line=line)
            scores = tuple(_score(cells[rater], file, line, rater) for rater in raters)
            yield _Row(file, line, category, prompt, response, scores)
            line = reader.line_num + 2  # the reader has not seen the comment
    except csv.Error as error:
        raise DataError(f"is no readable CSV: {error}", file=file, line=line) from None


def _score(cell: str | None, file: str, line: int, field: str) -> Fraction:
    try:
        score = Fraction((cell or "").strip())
    except (ValueError, ZeroDivisionError):
        score = Fraction(-1)
    if not 0 <= score <= 1:
        raise DataError(
            f"the score is {cell!r}, a number in 0..1 was expected", file=file, line=line, field=field
        )
    return score


def _without_copies(rows: list[_Row]) -> list[_Row]:
    """Leave out each row whose pair, category and scores an earlier file has; a file may repeat itself."""
    first: dict[tuple[tuple[str, str], str, tuple[Fraction, ...]], str] = {}
    kept = []
    for row in rows:
        if first.setdefault((row.key, row.category, row.scores), row.file) == row.file:
            kept.append(row)
    return kept


def _record(key: tuple[str, str], group: list[_Row]) -> dict[str, Any]:
    """Make one record of all rows of a pair."""
    scores: dict[str, list[Fraction]] = {}
    for row in group:
        scores.setdefault(row.category, []).extend(row.scores)
    means = {category: float(sum(given) / len(given)) for category, given in scores.items()}
    first = group[0]
    return {
        "id": "pyrit-" + hashlib.sha256("\0".join(key).encode()).hexdigest()[:16],
        "prompt": first.prompt,
        "response": first.response,
        "labels": {
            POOLED: {POOLED: max(means.values())},
            CATEGORY: {category: means.get(category) for category in CATEGORIES},
        },
        "harm_category": first.category,
        "raters": sum(len(row.scores) for row in group),
        "source_file": first.file,
        "source_line": first.line,
    }


def _summary(rows: list[_Row], copied: int, records: list[dict[str, Any]]) -> PairSummary:
    files: dict[str, int] = {}
    for row in rows:
        files[row.file] = files.get(row.file, 0) + 1
    known = {
        category: [value for record in records if (value := record["labels"][CATEGORY][category]) is not None]
        for category in CATEGORIES
    }
    return PairSummary(
        rows=len(rows),
        pairs=len(records),
        prompts=len({_normalised(record["prompt"]) for record in records}),
        copied=copied,
        merged=len(rows) - copied - len(records),
        files=files,
        harmful=sum(record["labels"][POOLED][POOLED] > POSITIVE_ABOVE for record in records),
        categories={
            category: CategoryCount(len(values), sum(value > POSITIVE_ABOVE for value in values))
            for category, values in known.items()
        },
    )


def _normalised(text: str) -> str:
    """Return the text without differences of case, width and spacing."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
