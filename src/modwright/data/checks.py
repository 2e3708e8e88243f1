"""What is wrong or doubtful in a dataset: a list of small functions, each from a dataset to findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from modwright.data.columnar import pl
from modwright.data.dataset import Dataset, content_keys, inputs, labels
from modwright.data.options import TRAIN
from modwright.schema import Input, IntArray

#: Given inputs, returns their (N,) lengths in tokens.
TokenCounts = Callable[[Sequence[Input]], IntArray]

RARE_POSITIVES = 10
_PLACES = 5
_REPLACEMENT = "\ufffd"
#: UTF-8 bytes read as windows-1252 or latin-1: accented letters, curly quotes, dashes, emoji.
_MOJIBAKE = (
    r"[ÃÂ][\u0080-\u00bf]|â€[™œ\u009d“”˜¦\u0093\u0094]|â\u0080[\u0090-\u00bf]|ðŸ|ï»¿|Ð[°-¿].?Ñ[\u0080-\u008f]"
)


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"  # training or evaluation would be wrong
    WARNING = "warning"  # look at it
    INFO = "info"  # good to know


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a check found.

    Attributes:
        code: stable name of the check's finding.
        severity: how much it matters.
        message: what was found, with numbers.
        remedy: what to do about it.
        rows: how many rows it concerns; 0 where it concerns a label.
        places: the first of them, as file:line.
    """

    code: str
    severity: Severity
    message: str
    remedy: str
    rows: int = 0
    places: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON-ready data."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "message": self.message,
            "remedy": self.remedy,
            "rows": self.rows,
            "places": list(self.places),
        }


def check_dataset(
    dataset: Dataset, *, token_counts: TokenCounts | None = None, max_tokens: int | None = None
) -> list[Finding]:
    """Run every check; the gravest findings come first.

    Args:
        dataset: what to look at.
        token_counts: counts tokens; without it lengths are not checked.
        max_tokens: the window that texts should fit into.
    """
    findings = [finding for check in CHECKS for finding in check(dataset)]
    if token_counts is not None and max_tokens is not None:
        findings += too_long(dataset, token_counts, max_tokens)
    order = list(Severity)
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def empty_text(dataset: Dataset) -> list[Finding]:
    """Rows whose last turn holds nothing but white space."""
    findings = []
    for split, frame in dataset.splits.items():
        texts = last_turns(frame)
        found = frame.filter(texts.str.strip_chars().str.len_bytes() == 0)
        if len(found):
            message = f"{_rows(len(found))} of '{split}' without text to judge"
            findings.append(_finding("empty_text", Severity.ERROR, message, "remove them", found))
    return findings


def duplicates_within(dataset: Dataset) -> list[Finding]:
    """The same input more than once in a split, white space and case aside."""
    findings = []
    for split, frame in _keyed(dataset).items():
        found = frame.filter(pl.col("key").is_duplicated() & ~pl.col("key").is_first_distinct())
        if len(found):
            message = f"{_rows(len(found))} of '{split}' with the input of an earlier row"
            remedy = "keep one of each, or let a weight say how often it counts"
            findings.append(_finding("duplicate", Severity.WARNING, message, remedy, found))
    return findings


def duplicates_across(dataset: Dataset) -> list[Finding]:
    """The same input in two splits: the later one no longer measures anything new."""
    remedy = "remove them from one side; `modwright data split` keeps duplicates together"
    return [
        _finding(
            "duplicate_across",
            Severity.ERROR,
            f"{_rows(len(found))} of '{second}' with an input of '{first}'",
            remedy,
            found,
        )
        for first, second, found in _shared(dataset, "key")
    ]


def contexts_across(dataset: Dataset) -> list[Finding]:
    """Answers to the same prompt in two splits."""
    remedy = "`modwright data split` keeps the rows of a prompt together"
    return [
        _finding(
            "context_across",
            Severity.WARNING,
            f"{_rows(len(found))} of '{second}' with a prompt or context of '{first}'",
            remedy,
            found,
        )
        for first, second, found in _shared(dataset, "group")
    ]


def conflicting_labels(dataset: Dataset) -> list[Finding]:
    """The same input with labels that contradict each other (positive here, negative there)."""
    frame = pl.concat(list(_keyed(dataset).values()), how="diagonal_relaxed")
    findings = []
    for target in dataset.schema.targets:
        for label in target.labels:
            column = f"{target.name}/{label}"
            positive = pl.col(column) > dataset.schema.positive_above
            mixed = positive.any().over("key") & (~positive).any().over("key")
            found = frame.filter(mixed & pl.col(column).is_not_null())
            if len(found):
                number = found["key"].n_unique()
                message = f"{number} input{'s' * (number > 1)} occur with and without the label '{column}'"
                remedy = "decide on one, or give the share of raters as a soft label"
                findings.append(_finding("conflicting_labels", Severity.WARNING, message, remedy, found))
    return findings


def label_support(dataset: Dataset) -> list[Finding]:
    """Labels without, or with few, positive rows in the training split, or in one split alone."""
    findings = []
    training = TRAIN if TRAIN in dataset.splits else next(iter(dataset.splits))
    for target in dataset.schema.targets:
        above = dataset.schema.positive_above
        counts = {
            split: (labels(frame, target) > above).sum(axis=0) for split, frame in dataset.splits.items()
        }
        for place, label in enumerate(target.labels):
            name = f"{target.name}/{label}"
            found = {split: int(values[place]) for split, values in counts.items()}
            findings += _support(name, found, training)
    return findings


def _support(name: str, found: dict[str, int], training: str) -> list[Finding]:
    if not found[training]:
        message = f"the label '{name}' has no positive row in '{training}'"
        return [
            Finding(
                "label_without_positives", Severity.ERROR, message, "add rows that have it, or leave it out"
            )
        ]
    findings = []
    if found[training] < RARE_POSITIVES:
        message = f"the label '{name}' has {found[training]} positive rows in '{training}'"
        remedy = f"collect at least {RARE_POSITIVES}: with fewer, neither training nor metrics say much"
        findings.append(Finding("rare_label", Severity.WARNING, message, remedy))
    lacking = [split for split, number in found.items() if not number]
    if lacking:
        message = f"the label '{name}' has no positive row in {', '.join(repr(split) for split in lacking)}"
        remedy = "its quality cannot be measured there; `modwright data split` spreads labels evenly"
        findings.append(Finding("label_missing_in_split", Severity.WARNING, message, remedy))
    return findings


def encoding_damage(dataset: Dataset) -> list[Finding]:
    """Replacement characters, and UTF-8 that was read as another encoding and saved again."""
    findings = []
    for split, frame in dataset.splits.items():
        texts = all_text(frame)
        for code, pattern, what in (
            ("replacement_character", _REPLACEMENT, "with U+FFFD, the mark of lost characters"),
            ("mojibake", _MOJIBAKE, "with what looks like UTF-8 read in another encoding"),
        ):
            found = frame.filter(texts.str.contains(pattern))
            if len(found):
                message = f"{_rows(len(found))} of '{split}' {what}"
                remedy = "export the file again as UTF-8, and import it with the --encoding it really has"
                findings.append(_finding(code, Severity.WARNING, message, remedy, found))
    return findings


def duplicate_ids(dataset: Dataset) -> list[Finding]:
    """Ids that name more than one row."""
    frame = pl.concat([frame.select("id", "source") for frame in dataset.splits.values()])
    found = frame.filter(pl.col("id").is_duplicated())
    if not len(found):
        return []
    message = f"{found['id'].n_unique():,} ids name more than one row"
    return [_finding("duplicate_id", Severity.WARNING, message, "give every row its own id", found)]


def too_long(dataset: Dataset, token_counts: TokenCounts, max_tokens: int) -> list[Finding]:
    """Inputs longer than a window; they are scored in several."""
    findings = []
    for split, frame in dataset.splits.items():
        counts = np.asarray(token_counts(inputs(frame)))
        found = frame.filter(pl.Series(counts > max_tokens))
        if len(found):
            message = f"{_rows(len(found))} of '{split}' with more than {max_tokens} tokens"
            remedy = "they are scored in overlapping windows; a larger window judges them at once"
            findings.append(_finding("too_long", Severity.INFO, message, remedy, found))
    return findings


#: Every check that needs the dataset alone.
CHECKS: tuple[Callable[[Dataset], list[Finding]], ...] = (
    empty_text,
    duplicates_within,
    duplicates_across,
    contexts_across,
    conflicting_labels,
    label_support,
    encoding_damage,
    duplicate_ids,
)


def last_turns(frame: pl.DataFrame) -> pl.Series:
    """Return (N,) the texts that are judged."""
    last = pl.col("messages").list.last().struct.field("content")
    return frame.select(pl.coalesce(pl.col("text"), last).fill_null("").alias("text")).to_series()


def all_text(frame: pl.DataFrame) -> pl.Series:
    """Return (N,) the texts of all turns, one line break between them."""
    turns = pl.col("messages").list.eval(pl.element().struct.field("content")).list.join("\n")
    return frame.select(pl.coalesce(pl.col("text"), turns).fill_null("").alias("text")).to_series()


def _keyed(dataset: Dataset) -> dict[str, pl.DataFrame]:
    return {
        split: frame.with_columns(pl.Series("key", content_keys(frame)))
        for split, frame in dataset.splits.items()
    }


def _shared(dataset: Dataset, column: str) -> list[tuple[str, str, pl.DataFrame]]:
    """Return pairs of splits, the earlier first, with the later one's rows whose key the earlier one has."""
    keyed = list(_keyed(dataset).items())
    pairs = [(one, two) for place, one in enumerate(keyed) for two in keyed[place + 1 :]]
    found = [
        (first, second, later.filter(pl.col(column).is_in(earlier[column].drop_nulls().unique().implode())))
        for (first, earlier), (second, later) in pairs
    ]
    return [(first, second, rows) for first, second, rows in found if len(rows)]


def _rows(number: int) -> str:
    return f"{number:,} row{'s' * (number != 1)}"


def _finding(code: str, severity: Severity, message: str, remedy: str, rows: pl.DataFrame) -> Finding:
    return Finding(code, severity, message, remedy, len(rows), tuple(rows["source"].head(_PLACES).to_list()))
