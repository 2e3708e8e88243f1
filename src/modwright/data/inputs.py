"""From a plain table to inputs: which column is the text, the prompt, the id, the weight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modwright.data.columnar import pl
from modwright.data.options import Meaning
from modwright.data.problems import Problems
from modwright.data.tables import MESSAGES_TYPE, FileRows, RawTable
from modwright.errors import DataError, nearest
from modwright.schema import BoolArray, FloatArray, IntArray, Role


def table_rows(table: RawTable, meaning: Meaning, problems: Problems) -> FileRows:
    """Take the inputs out of a table; the other columns stay as they are.

    Raises:
        DataError: no usable column; the message lists those there are.
    """
    columns = table.frame.columns
    text, pair = _input_columns(table.name, columns, meaning)
    identity = _optional(table.name, columns, meaning.id, "id", {text, *pair, *meaning.columns})
    weight = _optional(table.name, columns, meaning.weight, "weight", {text, *pair, *meaning.columns})
    number = len(table.frame)
    parts = {name: _texts(table, name, problems) for name in ([text] if text else pair)}
    messages = pl.Series([None] * number, dtype=MESSAGES_TYPE) if text else _pairs(*parts.values())
    weights = np.ones(number)
    if weight:
        weights = _weights(table, weight, problems)
    inputs = pl.DataFrame(
        {
            "id": table.frame[identity].cast(pl.String)
            if identity
            else pl.Series([None] * number, dtype=pl.String),
            "text": parts[text] if text else pl.Series([None] * number, dtype=pl.String),
            "messages": messages,
            "weight": weights,
        }
    )
    used = [name for name in (text, *pair, identity, weight) if name]
    notes = list(table.notes)
    if weight and not meaning.weight:
        notes.append("rows are weighted by the column 'weight'")
    return FileRows(table.name, table.lines, inputs, table.frame.drop(used), {}, tuple(notes))


def require_column(name: str, columns: Sequence[str], file: str, option: str) -> None:
    """Raise DataError that lists the columns unless the named one is there."""
    if name not in columns:
        listed = ", ".join(repr(column) for column in columns[:40])
        raise DataError(
            f"there is no column '{name}' ({option}); the columns are {listed}",
            file=file,
            field=name,
            remedy=nearest(name, columns) + " (a file without a header needs --no-header)",
        )


def _input_columns(file: str, columns: Sequence[str], meaning: Meaning) -> tuple[str | None, tuple[str, ...]]:
    """Return the text column, or the pair of prompt and response."""
    if meaning.text is not None:
        require_column(meaning.text, columns, file, "--text")
        return meaning.text, ()
    if meaning.prompt is not None and meaning.response is not None:
        require_column(meaning.prompt, columns, file, "--prompt")
        require_column(meaning.response, columns, file, "--response")
        return None, (meaning.prompt, meaning.response)
    has_pair = "prompt" in columns and "response" in columns
    if "text" in columns and has_pair:
        raise DataError(
            "found the columns 'text' and 'prompt', 'response', expected one input",
            file=file,
            remedy="give --text text, or --prompt prompt --response response",
        )
    if "text" in columns:
        return "text", ()
    if has_pair:
        return None, ("prompt", "response")
    listed = ", ".join(repr(column) for column in columns[:40])
    raise DataError(
        f"found no column 'text', nor 'prompt' and 'response'; the columns are {listed}",
        file=file,
        remedy="name it: --text COL, or --prompt COL --response COL; without a header give --no-header",
    )


def _optional(
    file: str, columns: Sequence[str], given: str | None, default: str, taken: set[str | None]
) -> str | None:
    if given is not None:
        require_column(given, columns, file, f"--{default}")
        return given
    return default if default in columns and default not in taken else None


def _texts(table: RawTable, name: str, problems: Problems) -> pl.Series:
    """Return a text column; an empty cell is the empty text."""
    series = table.frame[name]
    if series.dtype not in (pl.String, pl.Null):
        raise DataError(
            f"holds {series.dtype}, expected text",
            file=table.name,
            field=name,
            remedy="name the text column: --text COL",
        )
    return series.cast(pl.String).fill_null("")


def _pairs(prompt: pl.Series, response: pl.Series) -> pl.Series:
    """Return (N,) conversations of a user's prompt and an assistant's response."""
    frame = pl.DataFrame({"prompt": prompt, "response": response})
    turns = [
        pl.struct(role=pl.lit(str(role)), content=pl.col(name))
        for role, name in ((Role.USER, "prompt"), (Role.ASSISTANT, "response"))
    ]
    return frame.select(messages=pl.concat_list(turns))["messages"].cast(MESSAGES_TYPE)


def _weights(table: RawTable, name: str, problems: Problems) -> FloatArray:
    values = numbers(table.frame[name], table.lines, table.name, problems)
    negative = np.flatnonzero(values < 0)
    add_cells(
        negative,
        table.frame[name],
        table.lines,
        table.name,
        problems,
        "a number of at least 0",
        "1 counts once",
    )
    return np.nan_to_num(values, nan=1.0)


def numbers(series: pl.Series, lines: IntArray, file: str, problems: Problems) -> FloatArray:
    """Return (N,) finite numbers, NaN for empty cells; anything else is a problem at its line."""
    if series.dtype == pl.String:
        series = series.str.strip_chars()
        series = series.set(series == "", None)
    parsed = series.cast(pl.Float64, strict=False)
    values = parsed.fill_null(np.nan).to_numpy().astype(np.float64)
    bad: BoolArray = ~np.isfinite(values) & series.is_not_null().to_numpy()
    if series.dtype == pl.Float64:
        bad &= ~np.isnan(values)  # NaN is how pandas writes an empty cell
    remedy = "write 0.5 with a decimal point, and leave unknown cells empty"
    add_cells(np.flatnonzero(bad), series, lines, file, problems, "a finite number or an empty cell", remedy)
    return values


def add_cells(
    rows: IntArray,
    series: pl.Series,
    lines: IntArray,
    file: str,
    problems: Problems,
    expected: str,
    remedy: str,
) -> None:
    """Add a problem for each cell, as many as there is room for, and count the rest."""
    listed = rows[: problems.room].tolist()
    for row in listed:
        value = str(series[row])
        shown = repr(value[:30]) + ("…" if len(value) > 30 else "")
        problems.add(
            f"found {shown}, expected {expected}",
            file=file,
            line=int(lines[row]),
            field=series.name,
            remedy=remedy,
        )
    problems.count_more(len(rows) - len(listed))
