"""How numbers and people's own texts are put into words, on every page and table."""

from __future__ import annotations

import math
import re
from typing import Any

UNDEFINED = "–"
#: Direction overrides and isolates, control characters, and halves of surrogate pairs: shown, never obeyed.
_UNSHOWABLE = re.compile(
    r"[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def shown(text: Any) -> str:
    """Return a user's text; characters that would reorder or break it are shown by their code, ⟨U+202E⟩."""
    return _UNSHOWABLE.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", str(text))


def line(text: Any) -> str:
    """Return a user's text, or a note with such in it, as one line for a terminal: nothing in it is obeyed."""
    return shown(text).replace("\n", "⟨U+000A⟩")


def number(value: float | None, decimals: int = 2) -> str:
    """Return a number with fixed decimals, a dash where it is undefined; what rounds to zero has no sign."""
    return UNDEFINED if value is None or math.isnan(value) else f"{value:z.{decimals}f}"


def count(value: int) -> str:
    """Return a count with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def percent(value: float | None) -> str:
    """Return a share as a percentage; one decimal below ten per cent."""
    if value is None:
        return UNDEFINED
    return f"{100 * value:.{1 if 0 < value < 0.0995 else 0}f}\u202f%"


def shortened(text: Any, most: int) -> str:
    """Return a user's text of at most so many characters, the last one '…' where some are left out."""
    whole = " ".join(shown(text).split())
    return whole if len(whole) <= most else whole[: most - 1].rstrip() + "…"
