"""Classifier Factory JSONL: `text` or `messages`, `labels` by target, id, weight and every other column."""

from __future__ import annotations

from collections.abc import Mapping

from modwright.data.columnar import pl
from modwright.data.export.columns import json_object, one_line
from modwright.data.export.statements import labels_json
from modwright.schema import Schema


def factory_lines(
    frame: pl.DataFrame, schema: Schema, names: Mapping[str, str], *, weighted: bool, safe: str | None
) -> pl.Series:
    """Return (N,) lines, one JSON object each.

    Args:
        frame: rows of a split.
        schema: their targets.
        names: other column to its key.
        weighted: whether weights are written.
        safe: the label that says that nothing holds; None writes an empty list.
    """
    others = {"id": "id"} | ({"weight": "weight"} if weighted else {})
    others |= {name: own for name, own in names.items() if name in frame.columns}
    line = pl.concat_str(
        [
            _opened(frame),
            pl.lit(',"labels":'),
            labels_json(schema, safe),
            pl.lit(","),
            json_object(others).str.strip_prefix("{"),
        ]
    )
    return one_line(frame.select(line=line).to_series())


def _opened(frame: pl.DataFrame) -> pl.Expr:
    """Return the object with what is judged, not yet closed."""
    text, messages = (json_object({name: name}).str.strip_suffix("}") for name in ("text", "messages"))
    conversations = frame["messages"].is_not_null()
    if not conversations.any():
        return text
    return (
        messages
        if conversations.all()
        else pl.when(pl.col("messages").is_null()).then(text).otherwise(messages)
    )
