"""From a plain table to inputs: which column is the text, the prompt, the id, the weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modwright.data.columnar import named, pl
from modwright.data.conversations import Conversations
from modwright.data.options import Meaning
from modwright.data.problems import Problems
from modwright.data.tables import MESSAGES_TYPE, FileRows, RawTable
from modwright.errors import DataError, nearest
from modwright.schema import BoolArray, FloatArray, IntArray, Role


@dataclass(frozen=True, slots=True)
class InputColumns:
    """Which columns hold what is judged: a text, a prompt and a response, a conversation; or text and conversation."""

    text: str | None = None
    pair: tuple[str, ...] = ()
    messages: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return those there are."""
        return tuple(name for name in (self.text, *self.pair, self.messages) if name is not None)


def table_rows(table: RawTable, meaning: Meaning, problems: Problems) -> FileRows:
    """Take the inputs out of a table; the other columns stay as they are.

    Raises:
        DataError: no usable column; the message lists those there are.
    """
    columns = table.frame.columns
    if meaning.openai:
        raise DataError("is a table, expected JSONL for --openai", file=table.name, remedy="leave it out")
    chosen = _input_columns(table, meaning)
    taken = {*chosen.names, *meaning.columns}
    identity = _optional(table.name, columns, meaning.id, "id", taken)
    weight = _optional(table.name, columns, meaning.weight, "weight", taken)
    number, notes = len(table.frame), list(table.notes)
    texts, messages = _contents(table, chosen, problems, notes)
    inputs = pl.DataFrame(
        {
            "id": _nothing(number, pl.String)
            if identity is None
            else table.frame[identity].cast(pl.String).replace("", None),
            "text": texts,
            "messages": messages,
            "weight": _weights(table, weight, problems) if weight else np.ones(number),
        }
    )
    used = [name for name in (*chosen.names, identity, weight) if name]
    if weight and not meaning.weight:
        notes.append("rows are weighted by the column 'weight'")
    return FileRows(table.name, table.lines, inputs, table.frame.drop(used), {}, tuple(notes))


def _nothing(number: int, dtype: Any) -> pl.Series:
    return pl.Series([None], dtype=dtype).new_from_index(0, number)


def _contents(
    table: RawTable, chosen: InputColumns, problems: Problems, notes: list[str]
) -> tuple[pl.Series, pl.Series]:
    """Return (N,) texts and (N,) conversations; a row has one of them."""
    number = len(table.frame)
    if chosen.pair:
        parts = [_texts(table, name) for name in chosen.pair]
        return _nothing(number, pl.String), _pairs(*parts)
    texts = _texts(table, chosen.text) if chosen.text else _nothing(number, pl.String)
    if chosen.messages is None:
        return texts, _nothing(number, MESSAGES_TYPE)
    conversations = Conversations(table.name, problems)
    messages = conversations.column(table.frame[chosen.messages], table.lines)
    notes += conversations.notes()
    held = table.frame[chosen.messages].is_not_null().to_numpy()
    if chosen.text is None:
        _add_rows(~held, table, chosen.messages, "found an empty cell, expected a conversation", problems)
        return texts, messages
    both = held & (texts != "").to_numpy()
    _add_rows(both, table, chosen.messages, f"found a conversation beside '{chosen.text}'", problems)
    return texts.set(pl.Series(held), None), messages


def _add_rows(rows: BoolArray, table: RawTable, field: str, message: str, problems: Problems) -> None:
    """Add a problem for each row that has neither or both of text and conversation."""
    remedy = "a row is a text or a conversation: leave the other cell empty"

    def wrong(row: int) -> DataError:
        return DataError(message, file=table.name, line=int(table.lines[row]), field=field, remedy=remedy)

    problems.add_rows(np.flatnonzero(rows), wrong)


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


def _input_columns(table: RawTable, meaning: Meaning) -> InputColumns:
    """Return the columns that were named, else those that have the names of a record's keys."""
    file, columns = table.name, table.frame.columns
    named = InputColumns(
        meaning.text,
        (meaning.prompt, meaning.response) if meaning.prompt and meaning.response else (),
        meaning.messages,
    )
    if named.names:
        for option in ("text", "prompt", "response", "messages"):
            if getattr(meaning, option) is not None:
                require_column(getattr(meaning, option), columns, file, f"--{option}")
        return named
    has_pair = "prompt" in columns and "response" in columns
    if "text" in columns and has_pair:
        raise DataError(
            "found the columns 'text' and 'prompt', 'response', expected one input",
            file=file,
            remedy="give --text text, or --prompt prompt --response response",
        )
    # Beside a text, JSON in a CSV cell may be anything; only an export's own files have conversations there.
    nested = "messages" in columns and (meaning.recorded or table.frame.schema["messages"].is_nested())
    if "text" in columns:
        return InputColumns(text="text", messages="messages" if nested else None)
    if has_pair:
        return InputColumns(pair=("prompt", "response"))
    if "messages" in columns:
        return InputColumns(messages="messages")
    listed = ", ".join(repr(column) for column in columns[:40])
    raise DataError(
        f"found no column 'text', 'messages', nor 'prompt' and 'response'; the columns are {listed}",
        file=file,
        remedy="name it: --text COL, --messages COL, or --prompt COL --response COL; "
        "without a header give --no-header",
    )


def _optional(
    file: str, columns: Sequence[str], given: str | None, default: str, taken: set[str]
) -> str | None:
    if given is not None:
        require_column(given, columns, file, f"--{default}")
        return given
    return default if default in columns and default not in taken else None


def _texts(table: RawTable, name: str) -> pl.Series:
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
        pl.struct(role=pl.lit(str(role)), content=named(name))
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
    """Add a problem for each cell."""

    def wrong(row: int) -> DataError:
        value = str(series[row])
        shown = repr(value[:30]) + ("…" if len(value) > 30 else "")
        message = f"found {shown}, expected {expected}"
        return DataError(message, file=file, line=int(lines[row]), field=series.name, remedy=remedy)

    problems.add_rows(rows, wrong)
