"""Label columns that hold objects or lists: `{"insult": true, "threat": false}` or `["insult"]` in one cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from modwright.data.columnar import pl
from modwright.data.inputs import add_cells, numbers
from modwright.data.options import Meaning
from modwright.data.problems import Problems
from modwright.data.statements import MAX_LABELS, Statements, found
from modwright.data.tables import Claim, FileRows
from modwright.errors import DataError
from modwright.schema import FloatArray, TargetKind

_SOFT = "a number in 0..1, true, false or null"
_SCALE = "scale it to 0..1; scores of another range are given with --score COL --threshold EXPR"
_NAMES = "write labels as strings that are not empty; [] says that none holds"


class NestedLabels:
    """Takes objects and lists out of records, key by key.

    Args:
        name: the file.
        meaning: its label and score keys may hold objects or lists.
        problems: collects what is wrong.
    """

    def __init__(self, name: str, meaning: Meaning, problems: Problems) -> None:
        self.name, self.problems = name, problems
        self.statements = {
            key: Statements(
                name, key, problems, scores=key in meaning.scores and meaning.threshold is not None
            )
            for key in meaning.columns
        }
        self.first: dict[str, tuple[bool, int]] = {}

    def take(self, row: int, line: int, record: dict[str, Any]) -> None:
        """Take the nested values of a record; plain ones stay in it."""
        for key, statements in self.statements.items():
            value = record.get(key)
            if value is None:
                continue
            nested = isinstance(value, list | dict)
            before, first_line = self.first.setdefault(key, (nested, line))
            if nested is not before:
                words = "objects or lists" if before else "plain values"
                self.problems.add(
                    f"found {found(value)}, but line {first_line} is of another form; expected {words}",
                    file=self.name,
                    line=line,
                    field=key,
                    remedy="write one form throughout a file",
                )
            if nested:
                statements.state(row, line, key, key, _as_numbers(record.pop(key)))

    def claims(self, number: int) -> dict[str, Claim]:
        """Return what the keys of a file of `number` rows say, of those that are nested."""
        made = {key: statements.claims(number) for key, statements in self.statements.items()}
        return {key: claims[key] for key, claims in made.items() if key in claims}


def _as_numbers(value: Any) -> Any:
    """Return an object with 1 and 0 for true and false; a list as it is."""
    if not isinstance(value, dict):
        return value
    return {label: float(held) if isinstance(held, bool) else held for label, held in value.items()}


def nested_claim(rows: FileRows, name: str, scores: bool, problems: Problems) -> Claim | None:
    """Return what a nested column says; None where it is a plain one.

    Args:
        rows: the file.
        name: the column.
        scores: whether numbers outside 0..1 are fine, since a threshold will turn them into labels.
        problems: collects what is wrong.
    """
    if name in rows.nested:
        return rows.nested[name]
    series = rows.columns[name]
    if isinstance(series.dtype, pl.Struct):
        return _struct_claim(rows, series, scores, problems)
    if isinstance(series.dtype, pl.List):
        return _list_claim(rows, series, problems)
    return None


def _struct_claim(rows: FileRows, series: pl.Series, scores: bool, problems: Problems) -> Claim:
    """Read a struct: a field is a label, a null field or struct is unknown."""
    labels = list(series.struct.fields)
    columns = [_field(rows, series, label, scores, problems) for label in labels]
    return Claim(
        kind=None,
        kind_line=rows.line(0),
        labels={label: rows.line(0) for label in labels},
        values=np.stack(columns, axis=1),
        closed=np.zeros(len(rows), dtype=bool),
        objects=series.is_not_null().to_numpy(),
    )


def _field(rows: FileRows, series: pl.Series, label: str, scores: bool, problems: Problems) -> FloatArray:
    field = series.struct.field(label).alias(f"{series.name}.{label}")
    if field.dtype == pl.Boolean or field.dtype == pl.Null:
        return field.cast(pl.Float64).fill_null(np.nan).to_numpy()
    if not field.dtype.is_numeric():
        raise DataError(
            f"holds {field.dtype}, expected {_SOFT}",
            file=rows.name,
            field=field.name,
            remedy="write booleans or numbers; or keep the fields in columns of their own",
        )
    values = numbers(field, rows.lines, rows.name, problems)
    if not scores:
        with np.errstate(invalid="ignore"):
            bad = np.flatnonzero((values < 0) | (values > 1))
        add_cells(bad, field, rows.lines, rows.name, problems, _SOFT, _SCALE)
    return values


def _list_claim(rows: FileRows, series: pl.Series, problems: Problems) -> Claim:
    """Read lists of label names: what a list does not name does not hold, null is unknown."""
    if series.dtype != pl.List(pl.String) and series.dtype != pl.List(pl.Null):
        raise DataError(
            f"holds {series.dtype}, expected lists of label names",
            file=rows.name,
            field=series.name,
            remedy=_NAMES,
        )
    known = series.is_not_null().to_numpy()
    flat = pl.DataFrame({"row": np.arange(len(rows)), "label": series.cast(pl.List(pl.String))})
    flat = flat.filter(pl.col("label").list.len() > 0).explode("label")
    bad = (flat["label"].str.strip_chars().fill_null("") == "").to_numpy()
    add_cells(flat["row"].to_numpy()[bad], series, rows.lines, rows.name, problems, "names of labels", _NAMES)
    flat = flat.filter(~pl.Series(bad))
    first = flat.group_by("label", maintain_order=True).agg(pl.col("row").first())
    if len(first) > MAX_LABELS:
        raise DataError(
            f"holds {len(first):,} different labels in {len(rows):,} rows, expected a few that come again",
            file=rows.name,
            field=series.name,
            remedy="name the column that holds the labels: --label COL",
        )
    labels = {label: rows.line(row) for label, row in first.iter_rows()}
    values = np.full((len(rows), len(labels)), np.nan)
    values[known] = 0.0
    places = flat["label"].replace_strict(list(labels), list(range(len(labels))), return_dtype=pl.Int64)
    values[flat["row"].to_numpy(), places.to_numpy()] = 1.0
    nothing = np.zeros(len(rows), dtype=bool)
    return Claim(TargetKind.MULTI_LABEL, rows.line(0), labels, values, known, nothing)
