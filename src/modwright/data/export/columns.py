"""What the other columns are called in a file, and how rows become JSON text without a loop over them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from modwright.data.assemble import context_groups, label_column
from modwright.data.columnar import named, pl
from modwright.data.tables import INPUT_COLUMNS
from modwright.schema import Schema

#: Keys and columns that a reader takes for something of its own.
_RESERVED = ("id", "text", "messages", "prompt", "response", "weight", "labels", "label")
#: What JSON allows inside a string and many readers take for the end of a line.
_LINE_BREAKS = {"\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"}


def label_columns(schema: Schema) -> list[str]:
    """Return the names of all label columns, in schema order."""
    return [label_column(target, label) for target in schema.targets for label in target.labels]


def other_columns(frame: pl.DataFrame, schema: Schema) -> list[str]:
    """Return the columns that are neither input nor label."""
    known = {*INPUT_COLUMNS, *label_columns(schema)}
    return [name for name in frame.columns if name not in known]


def own_names(frames: Mapping[str, pl.DataFrame], schema: Schema) -> dict[str, str]:
    """Return the name in files of every other column: its own, with '_' at the end where that is taken."""
    others = dict.fromkeys(name for frame in frames.values() for name in other_columns(frame, schema))
    taken = {*_RESERVED, *label_columns(schema), *(name for name in others if name not in _RESERVED)}
    names: dict[str, str] = {}
    for name in others:
        own = name
        if name in _RESERVED:
            while own in taken:
                own += "_"
            taken.add(own)
        names[name] = own
    return names


def own_groups(frames: Mapping[str, pl.DataFrame]) -> int:
    """Return how many rows have a group that does not follow from their conversation."""
    return sum(
        int(frame["group"].ne_missing(context_groups(frame["messages"])).sum()) for frame in frames.values()
    )


def json_object(columns: Mapping[str, str]) -> pl.Expr:
    """Return rows as JSON objects; `columns` maps a column to its key."""
    return pl.struct([named(name).alias(key) for name, key in columns.items()]).struct.json_encode()


def json_value(column: str) -> pl.Expr:
    """Return a column's values as JSON text."""
    return json_object({column: "v"}).str.strip_prefix('{"v":').str.strip_suffix("}")


def one_line(series: pl.Series) -> pl.Series:
    """Escape the characters of JSON strings that some readers break lines at."""
    if not series.str.contains("[\u2028\u2029\u0085]").any():
        return series
    return series.str.replace_many(_LINE_BREAKS)


def quoted(names: Sequence[str]) -> list[str]:
    """Return names as JSON strings."""
    return [json.dumps(name, ensure_ascii=False) for name in names]
