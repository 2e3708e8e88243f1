"""The one door to polars: everything columnar comes through here, so its absence has one clear answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from modwright.errors import MissingExtraError

try:
    import polars as pl
except ImportError as error:  # pragma: no cover - proven by the serve-only install
    raise MissingExtraError("data", "reading labelled data") from error

__all__ = ["pl", "plain_column", "plain_series", "stack_frames"]

_MOSTLY_DIFFERENT = 0.5  # above this share of different values, telling them apart costs more than it saves
_NUMBERS = (pl.Int64, pl.Float64)
_EXACT = 2**53  # above it a Float64 does not hold every whole number


def named(name: str) -> pl.Expr:
    """Return the column of that very name; `pl.col` takes "*" for all columns and "^…$" for a pattern."""
    return pl.selectors.by_name(name).as_expr()


def plain_series(name: str, values: Sequence[Any]) -> pl.Series:
    """Build a String, Boolean, Int64 or Float64 series from JSON values; others become JSON text.

    So do whole numbers too long for these types: no digit is lost.
    """
    kinds = {type(value) for value in values} - {type(None)}
    if not kinds:
        return pl.Series(name, [None] * len(values), dtype=pl.Null)
    if kinds == {str}:
        return pl.Series(name, values, dtype=pl.String)
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds <= {int, float} and all(value is None or _is_exact(value) for value in values):
        floats = [None if value is None else float(value) for value in values]
        return pl.Series(name, floats, dtype=pl.Float64)
    texts = [value if value is None or isinstance(value, str) else _as_json(value) for value in values]
    return pl.Series(name, texts, dtype=pl.String)


def _is_exact(value: float) -> bool:
    return isinstance(value, float) or abs(value) <= _EXACT


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def plain_column(series: pl.Series) -> pl.Series:
    """Bring a column of any type to String, Boolean, Int64 or Float64, without losing what it says."""
    dtype = series.dtype
    if dtype in (pl.String, pl.Boolean, pl.Null):
        return series
    if dtype.is_integer() and dtype != pl.UInt64:
        return series.cast(pl.Int64)
    if dtype.is_numeric() and not dtype.is_integer():
        return series.cast(pl.Float64)
    if dtype.is_nested():
        return _nested_text(series)
    if dtype == pl.Binary:
        return plain_series(series.name, series.to_list()).cast(pl.String)
    return series.cast(pl.String)


def _nested_text(series: pl.Series) -> pl.Series:
    """Return a column of lists or objects as JSON text, as `plain_series` writes it."""
    different = series.unique() if isinstance(series.dtype, pl.List | pl.Struct) else series
    if len(different) > _MOSTLY_DIFFERENT * len(series):
        return plain_series(series.name, series.to_list()).cast(pl.String)
    texts = plain_series("text", different.to_list()).cast(pl.String)
    pairs = pl.DataFrame({"value": different, "text": texts})
    found = pl.DataFrame({"value": series}).join(
        pairs, on="value", how="left", maintain_order="left", nulls_equal=True
    )
    return found["text"].alias(series.name)


def stack_frames(frames: Sequence[pl.DataFrame], heights: Sequence[int] | None = None) -> pl.DataFrame:
    """Put frames of plain columns under each other; a column that one of them lacks is null there.

    Types that differ meet in Float64 where all are numbers, else in String. A frame without columns knows no height: where
    there may be one, `heights` has the rows of each.
    """
    heights = [frame.height for frame in frames] if heights is None else heights
    types: dict[str, set[Any]] = {}
    for frame in frames:
        for name, dtype in frame.schema.items():
            types.setdefault(name, set()).add(dtype)
    common = {name: _common(found - {pl.Null}) for name, found in types.items()}
    aligned = [
        frame.select(
            [
                (named(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
                for name, dtype in common.items()
            ]
        )
        if frame.width
        else pl.DataFrame(
            [pl.Series(name, [None], dtype=dtype).new_from_index(0, height) for name, dtype in common.items()]
        )
        for frame, height in zip(frames, heights, strict=True)
    ]
    return pl.concat(aligned, how="vertical") if aligned else pl.DataFrame()


def _common(types: set[Any]) -> Any:
    if len(types) == 1:
        return next(iter(types))
    return pl.Float64 if types and types <= set(_NUMBERS) else pl.String
