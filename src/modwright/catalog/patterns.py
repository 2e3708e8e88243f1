"""Glob patterns over names that are no local paths: keys of a bucket, files of a repository."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MAGIC = re.compile(r"[*?\[]")
_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]")


def has_magic(pattern: str) -> bool:
    """Say whether a name is a pattern: it holds `*`, `?` or `[`."""
    return _MAGIC.search(pattern) is not None


def literal_prefix(pattern: str) -> str:
    """Return what every match begins with: everything before the first special character."""
    found = _MAGIC.search(pattern)
    return pattern[: found.start()] if found else pattern


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the sorted names that a pattern matches.

    `*` and `?` stop at '/', `**` does not, `[...]` is a set of characters. A name, or a folder in it, that begins
    with a '.' is matched by a pattern alone that says so.
    """
    form = re.compile(_expression(pattern))
    hidden = _hidden(pattern)
    return sorted(name for name in names if form.fullmatch(name) and _hidden(name) <= hidden)


def _hidden(name: str) -> int:
    return sum(part.startswith(".") for part in name.split("/"))


def _expression(pattern: str) -> str:
    """Translate a pattern into a regular expression."""
    done, expression = 0, ""
    for part in _PARTS.finditer(pattern):
        expression += re.escape(pattern[done : part.start()]) + _translated(part.group())
        done = part.end()
    return expression + re.escape(pattern[done:])


def _translated(part: str) -> str:
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if part in known:
        return known[part]
    inner = part[1:-1].replace("\\", "\\\\").replace("[", "\\[")
    return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
