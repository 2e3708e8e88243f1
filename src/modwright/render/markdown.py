"""Markdown that holds what users wrote: text that stays text, and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from modwright.render.words import shown

_MARKUP = frozenset("\\|`<>*[]~")
#: Spaces, tabs and line ends; those of a number stay, which hold it together.
_BREAKING = re.compile(r"[^\S\u00a0\u2007\u202f]+")
#: What makes a heading, a list's item or a line of the text after it, and characters written by their names.
_BEGINS = re.compile(r"^(#{1,6}|[-+]|\d{1,9}[.)])(?= |$)|^-(?=-*$)|^=(?==*$)")
_NAMED = re.compile(r"&(?=#?\w+;)")
#: Underscores beside no letter or digit on one side would stress what stands between two of them.
_UNDERSCORES = re.compile(r"(?<![^\W_])_+|_+(?![^\W_])")
#: What a forge would make a link, a mention or a reference of; a space of no width keeps it text.
_LIVELY = re.compile(r"(?i)\b(?:https?|ftp|mailto|www)(?=[:.])|[@#](?=\w)")


def plain(text: Any) -> str:
    """Return text on one line that cannot break out of a table, heading or list, and is no link, image or mention."""
    flat = _BREAKING.sub(" ", shown(text)).strip()
    escaped = "".join("\\" + character if character in _MARKUP else character for character in flat)
    escaped = _NAMED.sub(r"\\&", _UNDERSCORES.sub(lambda found: "\\_" * len(found[0]), escaped))
    escaped = _BEGINS.sub(lambda found: found[0][:-1] + "\\" + found[0][-1], escaped)
    return _LIVELY.sub("\\g<0>\u200b", escaped)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, figures: bool = False) -> str:
    """Return a table; cells are Markdown already, headings are not. With `figures` all but the first column is so aligned.

    Figures are read from the right.
    """
    rest = "---:|" if figures else "---|"
    lines = [
        "| " + " | ".join(plain(column) for column in columns) + " |",
        "|---|" + rest * (len(columns) - 1),
    ]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)
