"""OpenAI's chat fine-tuning JSONL: the conversation, and an assistant's last message that is the label.

One class is written as its name, labels that hold independently as a JSON list of names. The form has no place for
soft or unknown labels, ids, weights, a second target or other columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from modwright.data.assemble import label_column
from modwright.data.columnar import pl
from modwright.data.export.columns import json_value, one_line, other_columns, own_groups, quoted
from modwright.data.export.options import ExportOptions
from modwright.data.export.statements import columns_of, held, is_certain, is_known
from modwright.data.options import TRAIN
from modwright.data.threshold import Threshold
from modwright.errors import DataError, UsageError
from modwright.schema import Role, Schema, Target, TargetKind


def openai_target(schema: Schema, options: ExportOptions) -> Target:
    """Return the one target that is written; raises UsageError where that is not clear or not possible."""
    if options.target is None and len(schema.targets) > 1:
        raise UsageError(
            f"found the targets {', '.join(schema.names)}, OpenAI's form carries one",
            remedy=f"choose it: --target {schema.names[0]}",
        )
    target = schema.target(options.target) if options.target else schema.targets[0]
    if target.kind is TargetKind.SINGLE_LABEL:
        for label in target.labels:
            if label.lstrip().startswith("["):
                raise UsageError(
                    f"the class {label!r} begins with '[' and would be read as a JSON list",
                    remedy="rename it at the import: --rename OLD=NEW",
                )
    return target


def openai_frames(
    frames: Mapping[str, pl.DataFrame], target: Target, options: ExportOptions
) -> tuple[dict[str, pl.DataFrame], list[str]]:
    """Return the rows that can be written, their labels certain, and notes on what was done.

    Raises:
        DataError: soft labels without a threshold, unknown ones without `drop_unknown`, a split left empty.
    """
    notes: list[str] = []
    ready = dict(frames)
    if options.threshold is not None:
        ready = _hardened(ready, target, Threshold.parse(options.threshold), notes)
    for name, frame in ready.items():
        state = frame.select(known=is_known(target), certain=is_certain(target))
        unknown = int((~state["known"]).sum())
        soft = int((state["known"] & ~state["certain"]).sum())
        if soft and options.threshold is None:
            raise DataError(
                f"{soft:,} rows have soft labels, which OpenAI's form cannot carry",
                field=target.name,
                file=name,
                remedy="say what holds: --threshold '> 0.5'; or choose another --format",
            )
        if (unknown or soft) and not options.drop_unknown:
            raise DataError(
                f"{unknown + soft:,} rows have labels that are not all known, which OpenAI's form cannot carry",
                field=target.name,
                file=name,
                remedy="leave them out: --drop-unknown; or choose another --format",
            )
        if unknown or soft:
            ready[name] = frame.filter(state["certain"])
            notes.append(f"{name}: {unknown + soft:,} rows whose labels are not all known are left out")
    return ready, notes


def _hardened(
    frames: Mapping[str, pl.DataFrame], target: Target, threshold: Threshold, notes: list[str]
) -> dict[str, pl.DataFrame]:
    """Turn soft labels into 0/1; medians and quantiles are those of the training rows."""
    trained = [frames[TRAIN]] if TRAIN in frames else list(frames.values())
    ready = dict(frames)
    for label in target.labels:
        column = label_column(target, label)
        values = np.concatenate([frame[column].fill_null(np.nan).to_numpy() for frame in trained])
        if np.isnan(values).all():
            continue
        bound = threshold.bound_for(values)
        sign = ">=" if threshold.inclusive else ">"
        notes.append(f"label '{label}' is written where it is {sign} {bound:g}")
        ready = {
            name: frame.with_columns(
                pl.Series(
                    column, threshold.apply(frame[column].fill_null(np.nan).to_numpy(), bound)
                ).fill_nan(None)
            )
            for name, frame in ready.items()
        }
    return ready


def losses(frames: Mapping[str, pl.DataFrame], schema: Schema, target: Target) -> list[str]:
    """Say what the form has no place for."""
    notes = ["ids are not written: rows are numbered when they are read again"]
    others = dict.fromkeys(name for frame in frames.values() for name in other_columns(frame, schema))
    if others:
        notes.append(f"other columns are not written: {', '.join(others)}")
    targets = [name for name in schema.names if name != target.name]
    if targets:
        notes.append(f"other targets are not written: {', '.join(targets)}")
    grouped = own_groups(frames)
    if grouped:
        notes.append(
            f"groups are not written: {grouped:,} rows have one that does not follow from their turns"
        )
    weighted = sum(int((frame["weight"] != 1).sum()) for frame in frames.values())
    if weighted:
        notes.append(f"weights are not written: {weighted:,} rows have one other than 1")
    alone = sum(
        int(
            (
                (frame["messages"].list.len() == 1)
                & (frame["messages"].list.first().struct.field("role") == str(Role.USER))
            ).sum()
        )
        for frame in frames.values()
        if frame["messages"].is_not_null().any()
    )
    if alone:
        notes.append(f"{alone:,} conversations of one user's turn are read again as texts")
    return notes


def openai_lines(frame: pl.DataFrame, target: Target, safe: str | None) -> pl.Series:
    """Return (N,) lines of rows whose labels are certain."""
    user, assistant = (f'{{"role":"{role}","content":' for role in (Role.USER, Role.ASSISTANT))
    text = pl.concat_str([pl.lit(f'{{"messages":[{user}'), json_value("text"), pl.lit("}")])
    turns = pl.concat_str([pl.lit('{"messages":'), json_value("messages").str.strip_suffix("]")])
    whole = pl.when(pl.col("messages").is_null()).then(text).otherwise(turns)
    line = pl.concat_str([whole, pl.lit(f",{assistant}"), _answer(target, safe), pl.lit("}]}")])
    return one_line(frame.select(line=line).to_series())


def _answer(target: Target, safe: str | None) -> pl.Expr:
    """Return the label as a JSON string: a class, or a list of labels as JSON within the string."""
    if target.kind is TargetKind.SINGLE_LABEL:
        return held(target, quoted(target.labels), "")
    inner = [json.dumps(name, ensure_ascii=False)[1:-1] for name in quoted(target.labels)]
    listed = held(target, inner, ", ")
    if safe is not None:
        nothing = json.dumps(quoted([safe])[0], ensure_ascii=False)[1:-1]
        listed = pl.when(listed == "").then(pl.lit(nothing)).otherwise(listed)
    return pl.concat_str([pl.lit('"['), listed, pl.lit(']"')])


def answer_columns(target: Target) -> list[str]:
    """Return the columns a line is made of."""
    return ["text", "messages", *columns_of(target)]
