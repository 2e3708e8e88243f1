"""Checks of labels: contradictions, too few positives, splits that lack them, labels that are almost another."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from modwright.data.assemble import label_column
from modwright.data.checks.examined import Examined
from modwright.data.checks.findings import Finding, Severity, finding_at
from modwright.data.columnar import named, pl
from modwright.schema import FloatArray, Schema, TargetKind

RARE_POSITIVES = 10
#: From this phi coefficient on, two labels say the same.
ALIKE_PHI = 0.95
_ALIKE_POSITIVES = 5
_CHUNK_ROWS = 100_000
#: Pairs of labels times rows: beyond, agreement is measured on a sample of the rows.
_MOST_WORK = 2e10


def conflicting_labels(data: Examined) -> list[Finding]:
    """The same input with labels that contradict each other (positive here, negative there)."""
    frame = _repeated(data)
    findings = []
    for column in data.label_columns:
        positive = named(column) > data.schema.positive_above
        mixed = positive.any().over("key") & (~positive).any().over("key")
        found = frame.filter(mixed & named(column).is_not_null())
        if len(found):
            number = found["key"].n_unique()
            what = "1 input occurs" if number == 1 else f"{number:,} inputs occur"
            message = f"{what} with and without the label '{column}'"
            remedy = "decide on one, or give the share of raters as a soft label"
            findings.append(
                finding_at("conflicting_labels", Severity.WARNING, message, remedy, found["source"])
            )
    return findings


def _repeated(data: Examined) -> pl.DataFrame:
    """Return key, source and labels of every row whose input occurs more than once."""
    keys = pl.concat(list(data.keys.values()))
    several = keys.is_duplicated()
    parts, start = [], 0
    for split, frame in data.splits.items():
        mask = several[start : start + len(frame)]
        own = frame.select("source", *data.label_columns).filter(mask)
        parts.append(own.with_columns(data.keys[split].filter(mask).alias("key")))
        start += len(frame)
    return pl.concat(parts)


def label_support(data: Examined) -> list[Finding]:
    """Labels without, or with few, positive rows in the training split, or in one split alone."""
    above = data.schema.positive_above
    counts = {
        split: frame.select((named(column) > above).sum() for column in data.label_columns).row(0)
        for split, frame in data.splits.items()
    }
    findings = []
    for place, name in enumerate(data.label_columns):
        found = {split: int(values[place] or 0) for split, values in counts.items()}
        findings += _support(name, found, data.training)
    return findings


def _support(name: str, found: dict[str, int], training: str) -> list[Finding]:
    seen = [split for split, number in found.items() if number]
    if not found[training]:
        elsewhere = f", only in {_quoted(seen)}" if seen else ""
        message = f"the label '{name}' has no positive row in '{training}'{elsewhere}"
        remedy = "add rows that have it, or leave it out"
        return [Finding("label_without_positives", Severity.ERROR, message, remedy)]
    findings = []
    if found[training] < RARE_POSITIVES:
        rows = f"{found[training]} positive row{'s' * (found[training] > 1)}"
        message = f"the label '{name}' has {rows} in '{training}'"
        remedy = f"collect at least {RARE_POSITIVES}: with fewer, neither training nor metrics say much"
        findings.append(Finding("rare_label", Severity.WARNING, message, remedy))
    lacking = [split for split, number in found.items() if not number]
    if lacking:
        code = "label_in_one_split" if len(seen) == 1 else "label_missing_in_split"
        only = f"is seen in {_quoted(seen)} alone: " if len(seen) == 1 else "has "
        message = f"the label '{name}' {only}no positive row in {_quoted(lacking)}"
        remedy = "its quality cannot be measured there; `modwright data split` spreads labels evenly"
        findings.append(Finding(code, Severity.WARNING, message, remedy))
    return findings


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def similar_names(data: Examined) -> list[Finding]:
    """Labels of one target whose names differ by case, plural, or what joins their words."""
    findings = []
    for target in data.schema.targets:
        alike: dict[str, list[str]] = {}
        for label in target.labels:
            alike.setdefault(plain_name(label), []).append(label)
        for labels in alike.values():
            if len(labels) > 1:
                message = f"the labels {_quoted(labels)} of '{target.name}' differ by spelling alone"
                remedy = "if they mean the same, import again and make them one: --rename OLD=NEW"
                findings.append(Finding("label_names_alike", Severity.WARNING, message, remedy))
    return findings


def plain_name(label: str) -> str:
    """Return a label's name without case, plural endings and what joins words; names alike become equal."""
    folded = unicodedata.normalize("NFKC", label).casefold()
    words = [word for word in re.split(r"[\W_]+", folded) if word]
    return "".join(words[:-1] + [_singular(word) for word in words[-1:]]) or folded


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def similar_labels(data: Examined) -> list[Finding]:
    """Labels that hold in almost the same rows, or in almost exactly the others (phi coefficient)."""
    columns = data.label_columns
    both, first, known = _agreement(data, columns)
    second = first.T
    spread = first * (known - first) * second * (known - second)
    with np.errstate(divide="ignore", invalid="ignore"):
        phi = np.where(spread > 0, (known * both - first * second) / np.sqrt(spread), 0.0)
    phi[np.minimum(first, second) < _ALIKE_POSITIVES] = 0.0
    findings = []
    for one, two in np.argwhere(np.triu(np.abs(phi) >= ALIKE_PHI, k=1)).tolist():
        if not _expected(data.schema, columns[one], columns[two], float(phi[one, two])):
            rows = int(first[one, two] + second[one, two] - both[one, two])
            findings.append(
                _alike(columns[one], columns[two], float(phi[one, two]), int(both[one, two]), rows)
            )
    return findings


def _alike(one: str, two: str, phi: float, both: int, either: int) -> Finding:
    if phi > 0:
        message = f"the labels '{one}' and '{two}' are almost one: both hold in {both:,} of {either:,} rows with either"
        remedy = "if they mean the same, make them one: --rename OLD=NEW"
    else:
        message = f"the label '{one}' holds almost exactly where '{two}' does not"
        remedy = "if one says 'nothing wrong', name it so: --negative LABEL; else leave one out"
    return Finding("labels_alike", Severity.WARNING, f"{message} (phi {phi:.3f})", remedy)


def _expected(schema: Schema, one: str, two: str, phi: float) -> bool:
    """Say whether two labels must agree or exclude each other by what they are."""
    owners = {label_column(target, label): (target, label) for target in schema for label in target.labels}
    (first, label), (second, other) = owners[one], owners[two]
    negative = label in first.negative_labels or other in second.negative_labels
    exclusive = first.name == second.name and first.kind is TargetKind.SINGLE_LABEL
    return phi < 0 and (negative or exclusive)


def _agreement(data: Examined, columns: Sequence[str]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (L, L) counts of rows where both are known: both positive, the row's label positive, all."""
    size = len(columns)
    both, first, known = (np.zeros((size, size)) for _ in range(3))
    for values in _chunks(data, columns):
        there = (~np.isnan(values)).astype(np.float32)
        positive = (values > data.schema.positive_above).astype(np.float32)
        both += positive.T @ positive
        first += positive.T @ there
        known += there.T @ there
    return both, first, known


def _chunks(data: Examined, columns: Sequence[str]) -> Iterator[FloatArray]:
    total = sum(len(frame) for frame in data.splits.values())
    most = int(_MOST_WORK / max(1, len(columns)) ** 2)
    for split, frame in data.splits.items():
        chosen = frame.select(columns)
        if total > most:
            chosen = chosen[data.sample(split, max(1, most * len(frame) // total))]
        for start in range(0, len(chosen), _CHUNK_ROWS):
            yield chosen[start : start + _CHUNK_ROWS].fill_null(np.nan).to_numpy().astype(np.float64)
