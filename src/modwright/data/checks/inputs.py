"""Checks of single texts: empty, damaged, or longer than a base's window."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from modwright.data.checks.examined import Examined
from modwright.data.checks.findings import Finding, Severity, finding_at, rows_of
from modwright.data.columnar import pl
from modwright.data.dataset import inputs
from modwright.schema import Input, IntArray

#: Given inputs, returns their (N,) lengths in tokens of the last turn; an ASCII character is at most one token.
TokenCounts = Callable[[Sequence[Input]], IntArray]

_REPLACEMENT = "\ufffd"
#: UTF-8 bytes read as windows-1252 or latin-1: accented letters, curly quotes, dashes, emoji.
_MOJIBAKE = (
    r"[ÃÂ][\u0080-\u00bf]|â€[™œ\u009d“”˜¦\u0093\u0094]|â\u0080[\u0090-\u00bf]|ðŸ|ï»¿|Ð[°-¿].?Ñ[\u0080-\u008f]"
)
#: More special tokens than any tokenizer adds.
_SPECIALS = 8
_COUNTED_ROWS = 20_000


def empty_text(data: Examined) -> list[Finding]:
    """Rows whose last turn holds nothing but white space."""
    findings = []
    for split, texts in data.judged.items():
        found = data.splits[split]["source"].filter(texts.str.strip_chars().str.len_bytes() == 0)
        if len(found):
            message = f"{rows_of(len(found))} of '{split}' without text to judge"
            findings.append(finding_at("empty_text", Severity.ERROR, message, "remove them", found))
    return findings


def encoding_damage(data: Examined) -> list[Finding]:
    """Replacement characters, and UTF-8 that was read as another encoding and saved again."""
    findings = []
    for split, texts in data.whole.items():
        for code, pattern, what in (
            ("replacement_character", _REPLACEMENT, "with U+FFFD, the mark of lost characters"),
            ("mojibake", _MOJIBAKE, "with what looks like UTF-8 read in another encoding"),
        ):
            found = data.splits[split]["source"].filter(texts.str.contains(pattern))
            if len(found):
                message = f"{rows_of(len(found))} of '{split}' {what}"
                remedy = "export the file again as UTF-8, and import it with the --encoding it really has"
                findings.append(finding_at(code, Severity.WARNING, message, remedy, found))
    return findings


def too_long(data: Examined, token_counts: TokenCounts, max_tokens: int) -> list[Finding]:
    """Inputs longer than a window; they are scored in several."""
    findings = []
    for split, frame in data.splits.items():
        found = frame["source"].filter(
            pl.Series(_longer(data.judged[split], frame, token_counts, max_tokens))
        )
        if len(found):
            share = 100 * len(found) / len(frame)
            message = f"{rows_of(len(found))} of '{split}' ({share:.1f} %) with more than {max_tokens} tokens"
            remedy = "they are scored in overlapping windows; a larger window judges them at once"
            findings.append(finding_at("too_long", Severity.INFO, message, remedy, found))
    return findings


def _longer(
    texts: pl.Series, frame: pl.DataFrame, token_counts: TokenCounts, max_tokens: int
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return (N,) whether an input has more tokens; those too short to are not counted."""
    size = texts.str.len_bytes()
    ascii_only = size == texts.str.len_chars()
    candidates = np.flatnonzero((~ascii_only | (size + _SPECIALS > max_tokens)).to_numpy())
    longer = np.zeros(len(frame), dtype=np.bool_)
    columns = frame.select("text", "messages")
    for start in range(0, len(candidates), _COUNTED_ROWS):
        rows = candidates[start : start + _COUNTED_ROWS]
        longer[rows] = np.asarray(token_counts(inputs(columns[rows]))) > max_tokens
    return longer
