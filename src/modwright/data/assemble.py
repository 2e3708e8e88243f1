"""From files' rows to the splits' frames: one column per target and label in the frozen order."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from modwright.data.columnar import named, pl, stack_frames
from modwright.data.options import Meaning
from modwright.data.problems import Problems
from modwright.data.tables import INPUT_COLUMNS, Claim, FileRows
from modwright.data.threshold import Threshold
from modwright.errors import DataError
from modwright.schema import FloatArray, IntArray, Schema, Target, TargetKind

_SUM_TOLERANCE = 0.01
_TYPES = {"String": pl.String, "Boolean": pl.Boolean, "Int64": pl.Int64, "Float64": pl.Float64}
_ODD_SPACE = r"\s\s|[^\S ]"


def label_column(target: Target, label: str) -> str:
    """Return the name of the column that holds a label of a target."""
    return f"{target.name}/{label}"


def find_bounds(training: Sequence[FileRows], meaning: Meaning, problems: Problems) -> dict[str, float]:
    """Return the threshold of every label that waits for one, computed over the training rows."""
    if meaning.threshold is None:
        return {}
    threshold = Threshold.parse(meaning.threshold)
    claims = [claim for rows in training for claim in rows.claims.values()]
    bounds: dict[str, float] = {}
    for name in dict.fromkeys(label for claim in claims for label in claim.labels if label in claim.raw):
        parts = [claim.values[:, list(claim.labels).index(name)] for claim in claims if name in claim.raw]
        if all(np.isnan(part).all() for part in parts):
            problems.add(
                "no training row has a score", file=training[0].name, field=name, remedy="leave it out"
            )
            continue
        bounds[name] = threshold.bound_for(*parts)
    return bounds


def thresholded(rows: FileRows, meaning: Meaning, bounds: Mapping[str, float]) -> FileRows:
    """Turn a file's scores into 0/1; a label without a bound, which no training row has, stays a score."""
    if meaning.threshold is None:
        return rows
    threshold = Threshold.parse(meaning.threshold)
    claims = {}
    for target, claim in rows.claims.items():
        waiting = {
            place: bounds[label]
            for place, label in enumerate(claim.labels)
            if label in claim.raw and label in bounds
        }
        values = np.empty_like(claim.values)
        for place in range(values.shape[1]):
            bound, column = waiting.get(place), claim.values[:, place]
            values[:, place] = column if bound is None else threshold.apply(column, bound)
        claims[target] = dataclasses.replace(claim, values=values, raw=frozenset())
    return dataclasses.replace(rows, claims=claims)


def label_values(rows: FileRows, target: Target, meaning: Meaning, problems: Problems) -> FloatArray:
    """Return (N, L) what a file says about a target, NaN unknown."""
    values = np.full((len(rows), len(target.labels)), np.nan)
    claim = rows.claims.get(target.name)
    if claim is None:
        return values
    places = {label: place for place, label in enumerate(claim.labels)}
    declared = target.labels if meaning.recorded else meaning.declared.get(target.name, ())
    for column, label in enumerate(target.labels):
        if label in places:
            values[:, column] = claim.values[:, places[label]]
        elif label in declared:
            values[claim.closed, column] = 0.0
    if target.kind is TargetKind.SINGLE_LABEL:
        _complete_classes(rows, target, claim, values, problems)
    return values


def _complete_classes(
    rows: FileRows, target: Target, claim: Claim, values: FloatArray, problems: Problems
) -> None:
    """Exactly one class holds: in rows where any is known the others are 0, and the values sum to 1."""
    known = ~np.isnan(values).all(axis=1)
    values[known] = np.nan_to_num(values[known], nan=0.0)
    sums = np.nan_to_num(values).sum(axis=1)
    bad = np.flatnonzero(known & (np.abs(sums - 1.0) > _SUM_TOLERANCE))

    def wrong(row: int) -> DataError:
        return DataError(
            f"the classes sum to {sums[row]:g}, expected 1",
            file=rows.name,
            line=rows.line(row),
            field=f"labels.{target.name}",
            remedy="give shares that sum to 1, or make it a target of independent labels: --kind multi_label",
        )

    problems.add_rows(bad, wrong)


def split_frame(
    files: Sequence[FileRows],
    split: str,
    schema: Schema,
    meaning: Meaning,
    problems: Problems,
    notes: list[str],
    order: IntArray | None = None,
) -> pl.DataFrame:
    """Build a split's frame: input columns, label columns, then the files' other columns.

    With an order, row i of the frame is row `order[i]` of the files under each other.
    """
    inputs = pl.concat([rows.inputs for rows in files])
    sources = pl.concat(
        [
            pl.select(pl.lit(rows.name + ":") + pl.Series(rows.lines).cast(pl.String)).to_series()
            for rows in files
        ]
    )
    frame = inputs.select(
        id=pl.col("id"),
        text=pl.col("text"),
        messages=pl.col("messages"),
        weight=pl.col("weight"),
        group=context_groups(inputs["messages"]),
        source=sources,
    )
    others = stack_frames([rows.columns for rows in files], [len(rows) for rows in files])
    if meaning.recorded is not None and meaning.recorded.group in others.columns:
        frame = frame.with_columns(group=others[meaning.recorded.group].cast(pl.String))
        others = others.drop(meaning.recorded.group)
    labels = []
    for target in schema.targets:
        values = np.concatenate([label_values(rows, target, meaning, problems) for rows in files])
        for place, label in enumerate(target.labels):
            labels.append(pl.Series(label_column(target, label), values[:, place]).fill_nan(None))
    others = _renamed(others, {series.name for series in labels}, notes)
    recorded = meaning.recorded.columns.get(split, ()) if meaning.recorded else ()
    others = _as_recorded(others, recorded)
    whole = frame.with_columns(labels).with_columns(others.get_columns() if others.width else [])
    numbered = pl.lit(f"{split}-") + pl.int_range(1, pl.len() + 1).cast(pl.String)
    return (whole if order is None else whole[order]).with_columns(id=pl.col("id").fill_null(numbered))


def _as_recorded(frame: pl.DataFrame, recorded: Sequence[tuple[str, str, str]]) -> pl.DataFrame:
    """Give other columns the names, types and order an export wrote down; others follow as they are.

    A column that is no longer of its type, since the file was edited, keeps the type that it has.
    """
    back = []
    for name, own, dtype in recorded:
        if own not in frame.columns:
            continue
        series = frame[own]
        if dtype == "Boolean" and series.dtype == pl.String:
            typed = series.replace_strict(
                ["true", "false"], [True, False], default=None, return_dtype=pl.Boolean
            )
        else:
            typed = series.cast(_TYPES.get(dtype, pl.String), strict=False)
        kept = typed if typed.null_count() == series.null_count() else series
        back.append(kept.alias(name))
    known = {own for _, own, _ in recorded}
    return pl.DataFrame([*back, *(series for series in frame if series.name not in known)])


def _renamed(frame: pl.DataFrame, labels: set[str], notes: list[str]) -> pl.DataFrame:
    """Give other columns whose name is taken a '_' at the end."""
    taken = {*INPUT_COLUMNS, *labels}
    new: dict[str, str] = {}
    for name in frame.columns:
        other = name
        while other in taken:
            other += "_"
        taken.add(other)
        if other != name:
            new[name] = other
            note = f"the column '{name}' is kept as '{other}'"
            if note not in notes:
                notes.append(note)
    untyped = [named(name).cast(pl.String) for name, dtype in frame.schema.items() if dtype == pl.Null]
    return frame.with_columns(untyped).rename(new)


def normalised(texts: pl.Series) -> pl.Series:
    """Return texts in lower case with every run of white space as one blank: what counts as the same text."""
    lowered = texts.str.to_lowercase().str.strip_chars()
    odd = lowered.str.contains(_ODD_SPACE).fill_null(False)
    if not odd.any():
        return lowered
    # Few texts hold anything but single blanks, and the replacement is the slow part.
    places = odd.to_numpy()
    both = pl.concat([lowered.filter(~odd), lowered.filter(odd).str.replace_all(r"\s+", " ")])
    order = np.argsort(np.concatenate([np.flatnonzero(~places), np.flatnonzero(places)]))
    return both.gather(order)


def context_groups(messages: pl.Series) -> pl.Series:
    """Return (N,) sha256[:16] of all turns but the last, normalised; null for texts and single turns."""
    rows = pl.DataFrame({"messages": messages}).with_row_index("row")
    rows = rows.filter(pl.col("messages").list.len() > 1)
    if not len(rows):
        return pl.Series("group", [None] * len(messages), dtype=pl.String)
    turns = rows.select("row", pl.col("messages").list.head(pl.col("messages").list.len() - 1)).explode(
        "messages"
    )
    turns = turns.select(
        "row",
        role=pl.col("messages").struct.field("role"),
        content=pl.col("messages").struct.field("content"),
    )
    turns = turns.with_columns(normalised(turns["content"]).alias("content"))
    turns = turns.with_columns(quoted=_each_once(turns["content"], json.JSONEncoder().encode))
    contexts = turns.group_by("row", maintain_order=True).agg(
        context=pl.format('["{}", {}]', "role", "quoted").str.join(", ")
    )
    groups = contexts.select("row", group=_each_once(contexts["context"], _hashed))
    whole = pl.DataFrame({"row": np.arange(len(messages), dtype=np.uint32)})
    return whole.join(groups, on="row", how="left", maintain_order="left")["group"]


def _hashed(context: str) -> str:
    return hashlib.sha256(f"[{context}]".encode()).hexdigest()[:16]


def _each_once(texts: pl.Series, change: Callable[[str], str]) -> pl.Series:
    """Return (N,) changed texts; where many are alike, every different one is changed once."""
    different = texts.unique()
    if 2 * len(different) > len(texts):
        return pl.Series([change(text) for text in texts.to_list()], dtype=pl.String)
    changed = pl.Series([change(text) for text in different.to_list()], dtype=pl.String)
    pairs = pl.DataFrame({"text": different, "changed": changed})
    return pl.DataFrame({"text": texts}).join(pairs, on="text", how="left", maintain_order="left")["changed"]
