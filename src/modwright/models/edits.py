"""Changes of a text as data: which characters give way to which others."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple


class Edit(NamedTuple):
    """Characters [begin, end) of a text, at least one, give way to other text, which may be empty."""

    begin: int
    end: int
    text: str


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Return a text after edits, which come in order and do not overlap."""
    parts, at = [], 0
    for edit in edits:
        parts += [text[at : edit.begin], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


@functools.lru_cache(maxsize=4096)
def script(character: str) -> str:
    """Return the script of a letter as its Unicode name begins, such as ``LATIN``; empty for what is no letter."""
    if not character.isalpha():
        return ""
    return unicodedata.name(character, "").partition(" ")[0]
