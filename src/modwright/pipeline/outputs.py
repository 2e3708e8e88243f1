"""What a command may write over: its own earlier output, and nothing else. Asked before any work is done."""

from __future__ import annotations

import json
import re
from pathlib import Path

from modwright.data.checks.mistakes import LIST_COLUMNS
from modwright.data.checks.page import MARK
from modwright.errors import UsageError

DESCRIPTION_JSON, DESCRIPTION_PAGE = "describe.json", "describe.html"
_PICTURE = re.compile(r"distribution-\d+\.png")
_FORMS = (".csv", ".json", ".jsonl")
_HEAD_BYTES = 1 << 16
_REMEDY = "name another file, or remove this one"


def refuse_page(path: Path) -> None:
    """Raise UsageError where a page of findings would take the place of anything but an earlier one."""
    head = _head(path)
    if head is not None and MARK not in head:
        raise UsageError("exists already and is no page of findings", where=str(path), remedy=_REMEDY)


def refuse_list(path: Path) -> None:
    """Raise UsageError for a list of label errors of no known form, or in place of anything but an earlier one."""
    check_form(path)
    head = _head(path)
    if head and not _is_list(head, path.suffix.lower()):
        raise UsageError("exists already and is no list of label errors", where=str(path), remedy=_REMEDY)


def check_form(path: Path) -> None:
    """Raise UsageError unless a list of label errors can be written to a file of that name."""
    if path.suffix.lower() not in _FORMS:
        raise UsageError(f"ends in '{path.suffix}'", where=str(path), remedy=f"name it {', '.join(_FORMS)}")


def refuse_description(out: Path) -> None:
    """Raise UsageError where a description would take the place of anything but an earlier one."""
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError("is a file, a folder is written", where=str(out), remedy="name a folder")
    names = {path.name: path.is_file() for path in out.iterdir()}
    known = {DESCRIPTION_JSON, DESCRIPTION_PAGE}
    others = sorted(
        name for name, file in names.items() if not file or not (name in known or _PICTURE.fullmatch(name))
    )
    if others or (names and not known <= set(names)):
        held = f": '{others[0]}'" if others else ""
        raise UsageError(
            f"exists already and holds something else{held}", where=str(out), remedy="name another --out"
        )


def _head(path: Path) -> str | None:
    """Return how a file begins, None where there is none."""
    if path.is_dir():
        raise UsageError("is a folder, a file is written", where=str(path), remedy="name a file in it")
    if not path.exists():
        return None
    if not path.is_file():
        raise UsageError("is no plain file", where=str(path), remedy=_REMEDY)
    try:
        with path.open("rb") as stream:
            return stream.read(_HEAD_BYTES).decode(errors="replace")
    except OSError as error:
        raise UsageError(
            f"exists already and cannot be read: {error.strerror}", where=str(path), remedy=_REMEDY
        ) from None


def _is_list(head: str, suffix: str) -> bool:
    if suffix == ".csv":
        return head.splitlines()[0] == ",".join(LIST_COLUMNS)
    if suffix == ".json":
        if re.fullmatch(r"\s*\[\s*\]\s*", head):
            return True
        head = head.lstrip().removeprefix("[").lstrip()
    try:
        first, _ = json.JSONDecoder().raw_decode(head)
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and tuple(first) == LIST_COLUMNS
