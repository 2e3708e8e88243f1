"""Conversations as they stand in files: JSON lists of messages, columns of them, JSON text in a cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from modwright.data.columnar import pl
from modwright.data.problems import Problems
from modwright.data.statements import found
from modwright.data.strict_json import decode, lone_surrogate
from modwright.data.tables import MESSAGES_TYPE
from modwright.schema import IntArray, Role

_MESSAGE_KEYS = frozenset({"role", "content"})
_EXAMPLE = '{"role": "user", "content": "…"}'


class Conversations:
    """Checks conversations, each at its line.

    Args:
        name: the file.
        problems: collects what is wrong.
    """

    def __init__(self, name: str, problems: Problems) -> None:
        self.name, self.problems = name, problems
        self.unused_keys: set[str] = set()

    def notes(self) -> list[str]:
        """Return what was left out."""
        keys = ", ".join(sorted(self.unused_keys))
        return [f"keys of messages that are not used: {keys}"] if keys else []

    def read(self, line: int, place: str, value: Any) -> list[dict[str, str]] | None:
        """Return the messages of one conversation; what is wrong becomes a problem."""
        if not isinstance(value, list) or not value:
            shown = "an empty list" if value == [] else found(value)
            self.wrong(line, place, f"found {shown}, expected a list of messages", f"write [{_EXAMPLE}]")
            return None
        messages = [self._message(line, f"{place}[{at}]", message) for at, message in enumerate(value)]
        return [message for message in messages if message is not None]

    def _message(self, line: int, place: str, message: Any) -> dict[str, str] | None:
        if not isinstance(message, dict) or not _MESSAGE_KEYS.issubset(message):
            keys = (
                f"an object with {', '.join(message) or 'no keys'}"
                if isinstance(message, dict)
                else found(message)
            )
            remedy = f"write {_EXAMPLE}"
            self.wrong(line, place, f"found {keys}, expected an object with role and content", remedy)
            return None
        role, content = message["role"], _joined_parts(message["content"])
        if role not in list(Role):
            known = ", ".join(Role)
            self.wrong(
                line, f"{place}.role", f"found {found(role)}, expected one of {known}", "use one of these"
            )
            return None
        if not isinstance(content, str):
            remedy = "write the turn's text; a turn without text has no place in a conversation to judge"
            self.wrong(line, f"{place}.content", f"found {found(content)}, expected a string", remedy)
            return None
        self.unused_keys |= {key for key in message if key not in _MESSAGE_KEYS and message[key] is not None}
        return {"role": str(role), "content": content}

    def column(self, series: pl.Series, lines: IntArray) -> pl.Series:
        """Return a column of conversations (nested, or JSON text), null where a cell is empty."""
        if series.dtype == pl.String:
            series = series.set(series.str.strip_chars() == "", None)
        sound, plain = _plainly(series)
        if plain.all():
            return sound
        values = sound.to_list()
        rows = np.flatnonzero(~plain.to_numpy()).tolist()
        for row, value in zip(rows, series.gather(rows).to_list(), strict=True):
            values[row] = self._cell(int(lines[row]), series.name, value)
        return pl.Series(series.name, values, dtype=MESSAGES_TYPE)

    def _cell(self, line: int, place: str, value: Any) -> list[dict[str, str]] | None:
        """Read one cell that is not plainly sound."""
        if not isinstance(value, str):
            return self.read(line, place, value)
        try:
            parsed = decode(value)
        except (ValueError, RecursionError) as error:
            shown = getattr(error, "msg", None) or str(error)
            remedy = f"write the conversation as JSON: [{_EXAMPLE}]"
            self.wrong(line, place, f"is not valid JSON: {shown}", remedy)
            return None
        if lone_surrogate(parsed, "")[1]:
            self.wrong(
                line, place, "found a lone surrogate, expected text", "write it as a pair, or as UTF-8"
            )
            return None
        return self.read(line, place, parsed)

    def wrong(self, line: int, place: str, message: str, remedy: str) -> None:
        """Add a problem of this file."""
        self.problems.add(message, file=self.name, line=line, field=place, remedy=remedy)


def _plainly(series: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return (N,) conversations read by column, and (N,) whether that reading can be trusted."""
    nothing = pl.Series(series.name, [None] * len(series), dtype=MESSAGES_TYPE)
    if series.dtype == pl.String:
        try:
            read = series.str.json_decode(MESSAGES_TYPE)
        except pl.exceptions.PolarsError:
            return nothing, series.is_null()
        # The reading is lenient (it takes 3 for "3"): it holds where writing gives the same text again.
        again = (
            pl.select(pl.struct(m=read).struct.json_encode().str.slice(5)).to_series().str.strip_suffix("}")
        )
        sound = series.is_null() | (again == series).fill_null(False)
    elif series.dtype == MESSAGES_TYPE:
        read, sound = series, pl.Series([True] * len(series), dtype=pl.Boolean)
    else:
        return nothing, series.is_null()
    turn = pl.element()
    good = turn.struct.field("role").is_in([str(role) for role in Role])
    good &= turn.struct.field("content").is_not_null()
    checks = pl.DataFrame({"read": read}).select(
        pl.col("read").is_null()
        | (
            (pl.col("read").list.len() > 0)
            & pl.col("read").list.eval(good.fill_null(False)).list.all().fill_null(False)
        )
    )
    trusted = sound & checks.to_series()
    return read, trusted


def _joined_parts(content: Any) -> Any:
    """Join a content that comes as a list of text parts; anything else stays as it is."""
    if not isinstance(content, list) or not content:
        return content
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    strings = [text for text in texts if isinstance(text, str)]
    return "".join(strings) if len(strings) == len(content) else content
