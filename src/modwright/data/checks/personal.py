"""Counts of personal data in texts: e-mail addresses, phone numbers, payment cards. Never the values themselves.

The patterns are conservative: what they find is nearly always what it looks like, and they miss some.
"""

from __future__ import annotations

import numpy as np

from modwright.data.checks.examined import Examined
from modwright.data.checks.findings import Finding, Severity, finding_at, rows_of
from modwright.data.columnar import pl
from modwright.schema import BoolArray

_EMAIL = r"(?i)\b[a-z0-9][a-z0-9._%+-]{0,63}@[a-z0-9](?:[a-z0-9-]{0,62}\.)+[a-z]{2,24}\b"
#: International (+ and 8 to 15 digits) or North American (three, three, four, set apart).
_PHONE = (
    r"(?:^|[^\w+./-])(?:\+[1-9](?:[ .()-]{0,2}[0-9]){7,14}"
    r"|(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4})(?:[^\w-]|$)"
)
_DIGIT_RUN = r"\b[0-9](?:[ -]?[0-9]){12,18}\b"
_CARD_DIGITS = 19
_REMEDY = "mask or remove them before training, and before the data leaves your machines"


def personal_data(data: Examined) -> list[Finding]:
    """Rows that hold an e-mail address, a phone number or a payment card's number."""
    findings = []
    for split, texts in data.whole.items():
        sources = data.splits[split]["source"]
        for code, what, mask in (
            ("personal_email", "an e-mail address", texts.str.contains(_EMAIL)),
            ("personal_phone", "a phone number", texts.str.contains(_PHONE)),
            ("personal_card", "the number of a payment card", has_card(texts)),
        ):
            found = sources.filter(mask)
            if len(found):
                message = f"{rows_of(len(found))} of '{split}' with {what}"
                findings.append(finding_at(code, Severity.WARNING, message, _REMEDY, found))
    return findings


def has_card(texts: pl.Series) -> pl.Series:
    """Return (N,) whether a text holds a number of a card issuer's length and prefix whose check digit is right."""
    runs = pl.DataFrame({"text": texts}).with_row_index("row").filter(pl.col("text").str.contains(_DIGIT_RUN))
    runs = runs.select("row", run=pl.col("text").str.extract_all(_DIGIT_RUN)).explode("run").drop_nulls("run")
    digits = runs["run"].str.replace_all(r"[ -]", "")
    found = np.zeros(len(texts), dtype=np.bool_)
    if len(digits):
        found[runs["row"].to_numpy()[_is_card(digits)]] = True
    return pl.Series("card", found)


def _is_card(digits: pl.Series) -> BoolArray:
    known = digits.str.contains(
        r"^(?:4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"
        r"|6(?:011|5\d\d)\d{12}|35\d{14})$"
    )
    same = digits.str.contains(r"^(?:0+|1+|2+|3+|4+|5+|6+|7+|8+|9+)$")
    return np.asarray(luhn(digits) & (known & ~same).to_numpy())


def luhn(digits: pl.Series) -> BoolArray:
    """Return (N,) whether the last digit of each string of up to 19 digits checks the others (Luhn, US 2,950,048)."""
    if not len(digits):
        return np.zeros(0, dtype=np.bool_)
    padded = digits.str.zfill(_CARD_DIGITS)
    values = np.frombuffer("".join(padded.to_list()).encode(), dtype=np.uint8).reshape(-1, _CARD_DIGITS) - 48
    doubled = values.astype(np.int64)
    doubled[:, -2::-2] *= 2
    doubled[doubled > 9] -= 9
    return np.asarray(doubled.sum(axis=1) % 10 == 0)
