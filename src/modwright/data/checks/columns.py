"""Checks for a text column that is something else: numbers, ids, addresses, another column, or the label itself."""

from __future__ import annotations

import re

from modwright.data.assemble import label_column, normalised
from modwright.data.checks.examined import Examined
from modwright.data.checks.findings import Finding, Severity, finding_at, rows_of
from modwright.data.columnar import pl
from modwright.data.tables import INPUT_COLUMNS

#: From this share of a split's rows on, the column is the wrong one; from the lower one on, look at it.
_MOST, _MANY = 0.5, 0.05
_MIN_ROWS = 20
_EQUAL_SHARE = 0.9
#: Fewer different texts than this share of the rows: a category, not a text.
_DISTINCT_SHARE, _DISTINCT_ROWS = 0.01, 500
_FORMS = {
    "text_is_number": ("nothing but numbers", r"^[\s\d.,:;%+\-/()]*\d[\s\d.,:;%+\-/()]*$"),
    "text_is_url": ("nothing but a web address", r"^\s*(?i:https?://|www\.)\S+\s*$"),
    "text_is_id": (
        "nothing but an identifier",
        r"^\s*(?:[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}|[0-9a-fA-F]*[0-9][0-9a-fA-F]{11,}"
        r"|[A-Za-z]{1,8}[_-]?[0-9]{3,})\s*$",
    ),
}
_WRONG_COLUMN = "name the column that holds the text: --text COL"


def text_is_something_else(data: Examined) -> list[Finding]:
    """Texts that are all numbers, web addresses or identifiers, or that repeat as categories do."""
    findings = []
    for split, texts in data.judged.items():
        sources = data.splits[split]["source"]
        if len(texts) < _MIN_ROWS:
            continue
        for code, (what, pattern) in _FORMS.items():
            found = sources.filter(texts.str.contains(pattern))
            share = len(found) / len(texts)
            if share >= _MANY:
                severity = Severity.ERROR if share >= _MOST else Severity.WARNING
                message = f"{rows_of(len(found))} of '{split}' ({100 * share:.0f} %) hold {what}"
                findings.append(finding_at(code, severity, message, _WRONG_COLUMN, found))
        different = texts.n_unique()
        if len(texts) >= _DISTINCT_ROWS and different <= _DISTINCT_SHARE * len(texts):
            message = f"{rows_of(len(texts))} of '{split}' have only {different:,} different texts"
            findings.append(Finding("text_is_category", Severity.WARNING, message, _WRONG_COLUMN, len(texts)))
    return findings


def text_equals_column(data: Examined) -> list[Finding]:
    """Texts that stand in another column, too."""
    own = {*INPUT_COLUMNS, *data.label_columns}
    findings = []
    for split, frame in data.splits.items():
        texts = data.judged[split]
        for name in (name for name, dtype in frame.schema.items() if name not in own and dtype == pl.String):
            found = frame["source"].filter((texts == frame[name]).fill_null(False))
            if len(frame) and len(found) >= _EQUAL_SHARE * len(frame):
                message = f"{rows_of(len(found))} of '{split}' have the text in the column '{name}', too"
                remedy = "make sure that this is the text, not a copy that was cleaned or cut; leave one out"
                findings.append(finding_at("text_equals_column", Severity.INFO, message, remedy, found))
    return findings


def label_in_text(data: Examined) -> list[Finding]:
    """Texts that give the answer away: the label's name alone, before a separator, or in fastText's form."""
    findings = []
    for split, frame in data.splits.items():
        texts = normalised(data.judged[split])
        giving = texts.str.contains(r"^__label__\S") | _names_its_label(data, frame, texts)
        found = frame["source"].filter(giving)
        if len(frame) >= _MIN_ROWS and len(found) >= _MANY * len(frame):
            share = 100 * len(found) / len(frame)
            message = f"{rows_of(len(found))} of '{split}' ({share:.0f} %) hold their own label in the text"
            remedy = (
                "the model would read the answer: take the label out of the text, or name the right column"
            )
            findings.append(finding_at("label_in_text", Severity.ERROR, message, remedy, found))
    return findings


def _names_its_label(data: Examined, frame: pl.DataFrame, texts: pl.Series) -> pl.Series:
    """Return (N,) whether a text is, or begins with, the name of a label that holds, set off by a separator."""
    parts = pl.DataFrame({"name": texts.str.extract(r"^[\[(<]?([^\t,;:|\])>]{1,64}?)\s*(?:[\t,;:|\])>]|$)")})
    giving = pl.lit(False)
    for target in data.schema.targets:
        for label in target.labels:
            name = re.sub(r"\s+", " ", label.lower()).strip()
            holds = frame[label_column(target, label)].fill_null(0.0) > data.schema.positive_above
            giving = giving | ((pl.col("name") == name) & pl.Series(holds))
    return parts.select(giving.fill_null(False).alias("giving")).to_series()
