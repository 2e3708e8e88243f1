"""Tables with a column per target and label, called TARGET/LABEL, as exports write them."""

from __future__ import annotations

import dataclasses

import numpy as np

from modwright.data.inputs import add_cells, numbers
from modwright.data.options import Meaning
from modwright.data.problems import Problems
from modwright.data.tables import Claim, FileRows
from modwright.schema import TargetKind

_OTHERS = frozenset({"labels", "label"})


def with_wide_claims(rows: FileRows, meaning: Meaning, problems: Problems) -> FileRows:
    """Give a file the claims of its TARGET/LABEL columns, where nothing else says what its labels are."""
    if meaning.columns or rows.claims:
        return rows
    names = _wide_columns(rows, meaning)
    if not names:
        return rows
    targets: dict[str, list[str]] = {}
    for name in names:
        targets.setdefault(name.partition("/")[0], []).append(name)
    claims = {
        target: _claim(rows, columns, _kind(target, meaning), problems) for target, columns in targets.items()
    }
    notes = rows.notes
    if meaning.recorded is None:
        notes = (*notes, f"labels are read from the columns called TARGET/LABEL: {', '.join(names)}")
    return dataclasses.replace(rows, columns=rows.columns.drop(names), claims=claims, notes=notes)


def _wide_columns(rows: FileRows, meaning: Meaning) -> list[str]:
    names = rows.columns.columns
    if meaning.recorded is not None:
        schema = meaning.recorded.schema
        known = {f"{target.name}/{label}" for target in schema.targets for label in target.labels}
        return [name for name in names if name in known]
    if _OTHERS & {*names, *rows.nested}:
        return []
    parts = {name: name.partition("/") for name in names}
    return [name for name, (target, _, label) in parts.items() if target.strip() and label.strip()]


def _kind(target: str, meaning: Meaning) -> TargetKind:
    if meaning.recorded is not None:
        return meaning.recorded.schema.target(target).kind
    return meaning.kind or TargetKind.MULTI_LABEL


def _claim(rows: FileRows, columns: list[str], kind: TargetKind, problems: Problems) -> Claim:
    """Read one target's columns: numbers in 0..1, an empty cell is unknown."""
    values = np.full((len(rows), len(columns)), np.nan)
    for place, name in enumerate(columns):
        series = rows.columns[name]
        values[:, place] = numbers(series, rows.lines, rows.name, problems)
        with np.errstate(invalid="ignore"):
            bad = np.flatnonzero((values[:, place] < 0) | (values[:, place] > 1))
        remedy = (
            "leave unknown cells empty; scores of another range are given with --score COL --threshold EXPR"
        )
        add_cells(bad, series, rows.lines, rows.name, problems, "a number in 0..1 or an empty cell", remedy)
    nothing = np.zeros(len(rows), dtype=bool)
    labels = {name.partition("/")[2]: rows.line(0) for name in columns}
    return Claim(kind, rows.line(0), labels, values, nothing, ~np.isnan(values).all(axis=1))
