"""From label and score columns to what a file says about a target."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from modwright.data.columnar import pl
from modwright.data.inputs import add_cells, numbers, require_column
from modwright.data.nested import nested_claim
from modwright.data.options import Meaning
from modwright.data.problems import Problems
from modwright.data.statements import MAX_LABELS
from modwright.data.tables import Claim, FileRows
from modwright.data.wide import with_wide_claims
from modwright.errors import DataError
from modwright.schema import FloatArray, TargetKind

_YES, _NO = ("1", "true", "1.0"), ("0", "false", "0.0")
_BY_NAME = ("labels", "label")


def with_claims(files: Sequence[FileRows], meaning: Meaning, problems: Problems) -> list[FileRows]:
    """Give every file without record-form labels the claims of its label and score columns.

    One label column holds 0/1 where all cells of all files are 0, 1, true or false; else it holds classes. With a
    recorded schema rows whose `labels` are all empty say just that: nothing is known.

    Raises:
        DataError: a file without usable label columns; the message lists its columns.
    """
    files = [with_wide_claims(rows, meaning, problems) for rows in files]
    plain = [rows for rows in files if not rows.claims]
    if meaning.recorded is not None and not meaning.columns:
        plain = [rows for rows in plain if not rows.stated]
    if not plain:
        return files
    columns = {rows.name: _label_columns(rows, meaning) for rows in plain}
    classes = _hold_classes(plain, columns, meaning)
    return [
        _claimed(rows, columns[rows.name], meaning, classes, problems) if rows.name in columns else rows
        for rows in files
    ]


def _label_columns(rows: FileRows, meaning: Meaning) -> tuple[str, ...]:
    """Return the label columns of a file: those given, else the one called `labels` or `label`."""
    names = [*rows.columns.columns, *rows.nested]
    for name in meaning.columns:
        require_column(name, names, rows.name, "--label" if name in meaning.labels else "--score")
    if meaning.columns:
        return meaning.labels
    for name in _BY_NAME:
        if name in names:
            return (name,)
    listed = ", ".join(repr(name) for name in names[:40]) or "none"
    raise DataError(
        f"found no column or key 'labels' or 'label' that says anything; the others are {listed}",
        file=rows.name,
        field="labels",
        remedy="name them: --label COL for 0/1 or a class, --score COL for a score",
    )


def _hold_classes(files: Sequence[FileRows], columns: dict[str, tuple[str, ...]], meaning: Meaning) -> bool:
    """Say whether the one label column holds classes rather than 0/1."""
    if meaning.scores or any(len(names) != 1 for names in columns.values()):
        return False
    if any(_is_nested(rows, columns[rows.name][0]) for rows in files):
        return False
    if meaning.kind is not None:
        return meaning.kind is TargetKind.SINGLE_LABEL
    recorded = meaning.recorded.schema.targets if meaning.recorded is not None else ()
    if any(target.name == meaning.target and target.kind is TargetKind.SINGLE_LABEL for target in recorded):
        return True
    flags = [*_YES, *_NO]
    cells = [_cells(rows.columns[columns[rows.name][0]]).str.to_lowercase() for rows in files]
    return any(not bool(series.drop_nulls().is_in(flags).all()) for series in cells)


def _is_nested(rows: FileRows, name: str) -> bool:
    return name in rows.nested or rows.columns.schema[name].is_nested()


def _cells(series: pl.Series) -> pl.Series:
    """Return the cells as stripped text, null where empty; 1.0 reads as 1."""
    if series.dtype == pl.Float64:
        whole = (series == series.round()) & series.is_finite()
        text = series.fill_nan(None).cast(pl.String)
        series = (
            pl.select(pl.when(whole).then(text.str.strip_suffix(".0")).otherwise(text))
            .to_series()
            .alias(series.name)
        )
    text = series.cast(pl.String).str.strip_chars()
    return text.set(text == "", None)


def _claimed(
    rows: FileRows, labels: tuple[str, ...], meaning: Meaning, classes: bool, problems: Problems
) -> FileRows:
    notes = list(rows.notes)
    if not meaning.columns:
        notes.append(f"labels are read from the column '{labels[0]}'")
    if classes:
        claim = _class_claim(rows, labels[0])
    else:
        claim = _column_claim(rows, labels, meaning, problems)
        alone = len(labels) == 1 and not meaning.scores and meaning.kind is None
        if alone and not _is_nested(rows, labels[0]):
            notes.append(
                f"the column '{labels[0]}' holds 0/1 alone and is read as one label; "
                "for two classes '0' and '1' give --kind single_label"
            )
    used = [name for name in (*labels, *meaning.scores) if name in rows.columns.columns]
    columns = rows.columns.drop([name for name in used if rows.columns.schema[name].is_nested()])
    columns = columns.drop([name for name in used if name in columns.columns and name not in claim.raw])
    # A score that a threshold will replace stays as a column, for slices.
    kept = [
        pl.Series(name, claim.values[:, place]).fill_nan(None)
        for place, name in enumerate(claim.labels)
        if name in claim.raw
    ]
    columns = columns.with_columns(kept) if kept else columns
    return dataclasses.replace(rows, columns=columns, claims={meaning.target: claim}, notes=tuple(notes))


def _class_claim(rows: FileRows, column: str) -> Claim:
    """Read one column of class values."""
    cells = _cells(rows.columns[column])
    known = cells.drop_nulls()
    found = known.unique(maintain_order=True).to_list()
    if len(found) > MAX_LABELS:
        raise DataError(
            f"holds {len(found):,} different values in {len(cells):,} rows, expected a few classes",
            file=rows.name,
            field=column,
            remedy="name the column that holds the class: --label COL; for numbers give --score COL",
        )
    if cells.is_null().any() and rows.columns[column].dtype == pl.Null:
        raise DataError(
            "holds nothing", file=rows.name, field=column, remedy="name another column: --label COL"
        )
    places = {label: place for place, label in enumerate(found)}
    codes = (
        cells.replace_strict(places, default=-1, return_dtype=pl.Int64).to_numpy()
        if places
        else -np.ones(len(cells))
    )
    codes = codes.astype(np.int64)
    values = np.full((len(cells), len(found)), np.nan)
    rows_known = np.flatnonzero(codes >= 0)
    values[rows_known] = 0.0
    values[rows_known, codes[rows_known]] = 1.0
    first = {label: rows.line(int(np.argmax(codes == place))) for label, place in places.items()}
    return Claim(
        TargetKind.SINGLE_LABEL, rows.line(0), first, values, codes >= 0, np.zeros(len(cells), dtype=bool)
    )


def _column_claim(rows: FileRows, labels: tuple[str, ...], meaning: Meaning, problems: Problems) -> Claim:
    """Read columns of 0/1 and of scores, one label each, and nested ones, several labels each."""
    names = (*labels, *meaning.scores)
    soft = meaning.threshold is None
    parts: dict[str, Claim | FloatArray] = {}
    for name in names:
        score = name in meaning.scores
        nested = nested_claim(rows, name, score and not soft, problems)
        if nested is not None:
            parts[name] = nested
        else:
            parts[name] = _scores(rows, name, soft, problems) if score else _flags(rows, name, problems)
    return _joined(rows, parts, meaning, problems)


def _joined(
    rows: FileRows, parts: dict[str, Claim | FloatArray], meaning: Meaning, problems: Problems
) -> Claim:
    """Put the columns' labels beside each other."""
    found: dict[str, int] = {}
    raw: set[str] = set()
    closed, objects = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    blocks = []
    for column, part in parts.items():
        own = part.labels if isinstance(part, Claim) else {column: rows.line(0)}
        for label in own:
            if label in found:
                problems.add(
                    f"found the label '{label}' in another column too",
                    file=rows.name,
                    field=column,
                    remedy="name each label once; leave one of the columns out",
                )
        found |= own
        raw |= set(own) if column in meaning.scores and meaning.threshold is not None else set()
        if isinstance(part, Claim):
            closed, objects = closed | part.closed, objects | part.objects
            blocks.append(part.values)
        else:
            blocks.append(part[:, None])
    return Claim(
        kind=meaning.kind or TargetKind.MULTI_LABEL,
        kind_line=rows.line(0),
        labels=found,
        values=np.concatenate(blocks, axis=1),
        closed=closed,
        objects=objects,
        raw=frozenset(raw),
        declared=frozenset(name for name, part in parts.items() if not isinstance(part, Claim)),
    )


def _flags(rows: FileRows, name: str, problems: Problems) -> FloatArray:
    cells = _cells(rows.columns[name]).str.to_lowercase().rename(name)
    yes, no = (cells.is_in(list(words)).fill_null(False).to_numpy() for words in (_YES, _NO))
    values = np.where(yes, 1.0, np.where(no, 0.0, np.nan))
    bad = np.flatnonzero(~yes & ~no & cells.is_not_null().to_numpy())
    remedy = "for scores give --score COL, for classes this one --label alone"
    add_cells(
        bad, rows.columns[name], rows.lines, rows.name, problems, "0, 1, true, false or an empty cell", remedy
    )
    return values


def _scores(rows: FileRows, name: str, soft: bool, problems: Problems) -> FloatArray:
    series = rows.columns[name]
    values = numbers(series, rows.lines, rows.name, problems)
    if soft:
        with np.errstate(invalid="ignore"):
            bad = np.flatnonzero((values < 0) | (values > 1))
        remedy = "give --threshold '> 0.5' or the like to turn scores into labels, or scale them to 0..1"
        add_cells(bad, series, rows.lines, rows.name, problems, "a soft label in 0..1", remedy)
    return values
