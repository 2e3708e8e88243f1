"""Label columns as JSON text: lists and classes where all is certain, objects where something is soft or unknown."""

from __future__ import annotations

import json
from functools import reduce
from operator import and_

from modwright.data.assemble import label_column
from modwright.data.columnar import named, pl
from modwright.data.export.columns import json_object, quoted
from modwright.schema import Schema, Target, TargetKind


def columns_of(target: Target) -> list[str]:
    """Return a target's columns."""
    return [label_column(target, label) for label in target.labels]


def is_known(target: Target) -> pl.Expr:
    """Say whether all labels of a target are known."""
    return pl.all_horizontal([named(name).is_not_null() for name in columns_of(target)])


def is_certain(target: Target) -> pl.Expr:
    """Say whether all labels of a target are known and 0 or 1, and of classes exactly one holds."""
    columns = [named(name) for name in columns_of(target)]
    certain = reduce(and_, [((column == 0) | (column == 1)).fill_null(False) for column in columns])
    if target.kind is TargetKind.SINGLE_LABEL:
        certain &= pl.sum_horizontal([column == 1 for column in columns]) == 1
    return certain


def held(target: Target, names: list[str], separator: str) -> pl.Expr:
    """Return the names of the labels that hold, joined; the empty text where none does."""
    pieces = [
        pl.when(named(column) == 1).then(pl.lit(name))
        for column, name in zip(columns_of(target), names, strict=True)
    ]
    return pl.concat_str(pieces, separator=separator, ignore_nulls=True)


def labels_json(schema: Schema, safe: str | None) -> pl.Expr:
    """Return (N,) JSON objects of target to labels; a target of which nothing is known is left out."""
    parts = [
        pl.when(pl.any_horizontal([named(name).is_not_null() for name in columns_of(target)])).then(
            pl.concat_str([pl.lit(quoted([target.name])[0] + ":"), _stated(target, safe)])
        )
        for target in schema.targets
    ]
    return pl.concat_str([pl.lit("{"), pl.concat_str(parts, separator=",", ignore_nulls=True), pl.lit("}")])


def _stated(target: Target, safe: str | None) -> pl.Expr:
    """Return what is known of one target as JSON text."""
    certain = held(target, quoted(target.labels), ",")
    if target.kind is TargetKind.MULTI_LABEL:
        if safe is not None:
            certain = (
                pl.when(certain == "").then(pl.lit(json.dumps(safe, ensure_ascii=False))).otherwise(certain)
            )
        certain = pl.concat_str([pl.lit("["), certain, pl.lit("]")])
    partly = json_object(dict(zip(columns_of(target), target.labels, strict=True)))
    return pl.when(is_certain(target)).then(certain).otherwise(partly)
