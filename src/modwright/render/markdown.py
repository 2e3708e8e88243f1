"""Markdown that holds what users wrote: text that stays text, and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from modwright.render.words import shown

_MARKUP = frozenset("\\|`<>*[]~")
#: What a forge would make a link, a mention or a reference of; a space of no width keeps it text.
_LIVELY = re.compile(r"(?i)\b(?:https?|ftp|mailto|www)(?=[:.])|[@#](?=\w)")


def plain(text: Any) -> str:
    """Return text on one line that cannot break out of a table or heading, and is no link, image or mention."""
    flat = " ".join(shown(text).split())
    escaped = "".join("\\" + character if character in _MARKUP else character for character in flat)
    return _LIVELY.sub("\\g<0>\u200b", escaped)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are Markdown already, headings are not."""
    lines = ["| " + " | ".join(plain(column) for column in columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)
