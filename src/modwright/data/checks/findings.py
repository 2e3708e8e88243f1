"""What a check reports: a code, how grave it is, numbers, a remedy and places; never a text."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from modwright.data.columnar import pl

_PLACES = 5


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"  # training or evaluation would be wrong
    WARNING = "warning"  # look at it
    INFO = "info"  # good to know


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a check found.

    Attributes:
        code: stable name of the check's finding.
        severity: how much it matters.
        message: what was found, with numbers.
        remedy: what to do about it.
        rows: how many rows it concerns; 0 where it concerns a label.
        places: the first of them, as file:line.
    """

    code: str
    severity: Severity
    message: str
    remedy: str
    rows: int = 0
    places: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON-ready data."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "message": self.message,
            "remedy": self.remedy,
            "rows": self.rows,
            "places": list(self.places),
        }


def finding_at(code: str, severity: Severity, message: str, remedy: str, sources: pl.Series) -> Finding:
    """Return a finding about rows; `sources` (R,) says where each of them stands."""
    return Finding(code, severity, message, remedy, len(sources), tuple(sources.head(_PLACES).to_list()))


def common_folder(findings: Sequence[Finding]) -> str:
    """Return the folder, with its separator, that all places lie in; empty where there is none to leave out."""
    folders = {place.rpartition("/")[0] for finding in findings for place in finding.places}
    if not folders or not all(folders) or len({folder.startswith("/") for folder in folders}) > 1:
        return ""
    common = posixpath.commonpath(folders)
    return f"{common}/" if common.strip("/") else ""


def rows_of(number: int) -> str:
    """Return `1 row` or `1,234 rows`."""
    return f"{number:,} row{'s' * (number != 1)}"


def gravest_first(findings: list[Finding]) -> list[Finding]:
    """Return findings by severity, otherwise in their order."""
    order = list(Severity)
    return sorted(findings, key=lambda finding: order.index(finding.severity))
