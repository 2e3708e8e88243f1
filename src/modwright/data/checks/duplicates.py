"""Checks for rows that are the same, or nearly, or answer the same prompt."""

from __future__ import annotations

import functools
import operator

import numpy as np

from modwright.data.assemble import context_groups, normalised
from modwright.data.checks.examined import Examined
from modwright.data.checks.findings import Finding, Severity, finding_at, rows_of
from modwright.data.checks.near import MOST_PAIRS, alike_pairs
from modwright.data.columnar import pl
from modwright.data.near import Likeness
from modwright.schema import IntArray

#: Near-duplicates are looked for among at most so many different inputs.
NEAR_ROWS = 2_000_000
#: So many pairs are found only where some may have been left unverified.
_MANY_PAIRS = MOST_PAIRS // 2


def duplicates_within(data: Examined) -> list[Finding]:
    """The same input more than once in a split, white space and case aside."""
    findings = []
    for split, keys in data.keys.items():
        found = data.splits[split]["source"].filter(~keys.is_first_distinct())
        if len(found):
            message = f"{rows_of(len(found))} of '{split}' with the input of an earlier row"
            remedy = "keep one of each, or let a weight say how often it counts"
            findings.append(finding_at("duplicate", Severity.WARNING, message, remedy, found))
    return findings


def duplicates_across(data: Examined) -> list[Finding]:
    """The same input in two splits: the later one no longer measures anything new."""
    remedy = "remove them from one side; `modwright data split` keeps duplicates together"
    return [
        finding_at(
            "duplicate_across",
            Severity.ERROR,
            f"{rows_of(len(found))} of '{second}' with an input of '{first}'",
            remedy,
            found,
        )
        for first, second, found in _shared(data, {split: [keys] for split, keys in data.keys.items()})
    ]


def contexts_across(data: Examined) -> list[Finding]:
    """Answers to the same prompt in two splits."""
    remedy = "`modwright data split` keeps the rows of a prompt together"
    # A split that held authors together wrote other groups, beside which the prompts still count.
    groups = {
        split: [frame["group"], context_groups(frame["messages"])] for split, frame in data.splits.items()
    }
    return [
        finding_at(
            "context_across",
            Severity.WARNING,
            f"{rows_of(len(found))} of '{second}' with a prompt or context of '{first}'",
            remedy,
            found,
        )
        for first, second, found in _shared(data, groups)
    ]


def _shared(data: Examined, keys: dict[str, list[pl.Series]]) -> list[tuple[str, str, pl.Series]]:
    """Return pairs of splits, the earlier first, with the places of the later one's rows with one of their keys in both."""
    named = list(keys.items())
    found = []
    for place, (first, earlier) in enumerate(named):
        known = [series.drop_nulls().unique().implode() for series in earlier]
        for second, later in named[place + 1 :]:
            parts = [own.is_in(others).fill_null(False) for own, others in zip(later, known, strict=True)]
            rows = data.splits[second]["source"].filter(functools.reduce(operator.or_, parts))
            if len(rows):
                found.append((first, second, rows))
    return found


def duplicate_ids(data: Examined) -> list[Finding]:
    """Ids that name more than one row."""
    frame = pl.concat([frame.select("id", "source") for frame in data.splits.values()])
    found = frame.filter(pl.col("id").is_duplicated())
    if not len(found):
        return []
    message = f"{found['id'].n_unique():,} ids name more than one row"
    remedy = "give every row its own id"
    return [finding_at("duplicate_id", Severity.WARNING, message, remedy, found["source"])]


def near_duplicates(data: Examined) -> list[Finding]:
    """Texts of different rows that are nearly the same, within a split and across; exact ones are left to others."""
    texts, splits, sources, note = _different(data)
    likeness = Likeness()
    earlier, later = alike_pairs(texts, likeness, seed=data.seed)
    if len(earlier) >= _MANY_PAIRS:
        note += "; there may be more"
    names = list(data.splits)
    findings = []
    for one, first in enumerate(names):
        for two in range(one, len(names)):
            second = names[two]
            rows = np.unique(later[(splits[earlier] == one) & (splits[later] == two)])
            if not len(rows):
                continue
            within = one == two
            whose = "of an earlier row" if within else f"of '{first}'"
            message = (
                f"{rows_of(len(rows))} of '{second}' whose text is nearly that {whose} "
                f"(Jaccard similarity at least {likeness.threshold:g}{note})"
            )
            findings.append(
                finding_at(
                    "near_duplicate" if within else "near_duplicate_across",
                    Severity.INFO if within else Severity.WARNING,
                    message,
                    "keep one of each" if within else "keep them in one split, else the later one flatters",
                    sources.gather(rows),
                )
            )
    return findings


def _different(data: Examined) -> tuple[pl.Series, IntArray, pl.Series, str]:
    """Return the first row of every different input: texts (R,), split numbers (R,), places (R,); and a note."""
    keys = pl.concat(list(data.keys.values()))
    rows = keys.is_first_distinct().arg_true().to_numpy()
    note = ""
    if len(rows) > NEAR_ROWS:
        note = f", in a sample of {NEAR_ROWS:,} of {len(rows):,} different inputs"
        rows = np.sort(np.random.default_rng(data.seed).choice(rows, size=NEAR_ROWS, replace=False))
    number = np.repeat(np.arange(len(data.splits)), [len(frame) for frame in data.splits.values()])
    whole = pl.concat(list(data.whole.values())).gather(rows)
    sources = pl.concat([frame["source"] for frame in data.splits.values()]).gather(rows)
    return normalised(whole), number[rows].astype(np.int64), sources, note
