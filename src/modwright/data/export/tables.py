"""CSV and Parquet: a column per target and label, called TARGET/LABEL; an empty cell or null is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO

from modwright.data.columnar import named, pl
from modwright.data.export.columns import json_value, label_columns, other_columns
from modwright.errors import DataError
from modwright.schema import Role, Schema


def holds_pairs(frames: Mapping[str, pl.DataFrame]) -> bool:
    """Say whether every row is a user's prompt and an assistant's response."""
    turn = pl.col("messages").list
    roles = [str(Role.USER), str(Role.ASSISTANT)]
    pair = (turn.len() == 2) & pl.all_horizontal(
        [turn.get(place, null_on_oob=True).struct.field("role") == role for place, role in enumerate(roles)]
    )
    return all(
        frame["messages"].is_not_null().all() and bool(frame.select(pair.all()).item())
        for frame in frames.values()
    )


def table(
    frame: pl.DataFrame, schema: Schema, names: Mapping[str, str], *, weighted: bool, inputs: list[str]
) -> pl.DataFrame:
    """Return a split's columns in file order: id, what is judged, weight, labels, others."""
    content = pl.col("messages").list
    judged = {
        "text": pl.col("text"),
        "messages": pl.col("messages"),
        "prompt": content.get(0, null_on_oob=True).struct.field("content"),
        "response": content.get(1, null_on_oob=True).struct.field("content"),
    }
    others = [named(name).alias(own) for name, own in names.items() if name in frame.columns]
    return frame.select(
        pl.col("id"),
        *[judged[name].alias(name) for name in inputs],
        *([pl.col("weight")] if weighted else []),
        *map(named, label_columns(schema)),
        *others,
    )


def input_names(frames: Mapping[str, pl.DataFrame], *, pairs: bool) -> list[str]:
    """Return the columns that hold what is judged."""
    if pairs:
        return ["prompt", "response"]
    texts = any(frame["messages"].is_null().any() for frame in frames.values())
    conversations = any(frame["messages"].is_not_null().any() for frame in frames.values())
    return ["text"] * texts + ["messages"] * conversations


def write_csv(stream: BinaryIO, rows: pl.DataFrame, certain: frozenset[str], *, header: bool) -> None:
    """Write rows as RFC 4180: conversations as JSON, labels that are all 0/1 without a decimal point."""
    shown = [named(name).cast(pl.Int64) for name in rows.columns if name in certain]
    if "messages" in rows.columns:
        encoded = pl.when(pl.col("messages").is_not_null()).then(json_value("messages"))
        shown.append(encoded.alias("messages"))
    rows.with_columns(shown).write_csv(stream, include_header=header, quote_style="non_numeric")


def certain_columns(frame: pl.DataFrame, schema: Schema) -> frozenset[str]:
    """Return the label columns that hold nothing but 0, 1 and null."""
    return frozenset(
        name for name in label_columns(schema) if bool(((frame[name] == 0) | (frame[name] == 1)).all())
    )


def refuse_nuls(frames: Mapping[str, pl.DataFrame], schema: Schema, *, pairs: bool) -> None:
    """Raise DataError for texts that CSV cannot hold; in JSON, as conversations are written, it can."""
    for split, frame in frames.items():
        others = [name for name in other_columns(frame, schema) if frame.schema[name] == pl.String]
        columns = {name: frame[name] for name in ["id", "text", "group", *others]}
        if pairs:
            columns["prompt and response"] = frame["messages"].explode().struct.field("content")
        for name, values in columns.items():
            bad = int(values.str.contains("\0", literal=True).fill_null(False).sum())
            if bad:
                raise DataError(
                    f"{bad:,} values hold a NUL byte, which CSV cannot hold",
                    file=split,
                    field=name,
                    remedy="choose another --format",
                )
