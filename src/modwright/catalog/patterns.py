"""Glob patterns over names that are no local paths: keys of a bucket, files of a repository."""

from __future__ import annotations

import re
from collections.abc import Iterable

from modwright.errors import UsageError

_MAGIC = re.compile(r"[*?\[]")
_PARTS = re.compile(
    r"(?P<folders>(?:\*\*/)+)|(?P<all>\*\*+)|(?P<star>\*)|(?P<set>\[!?\]?[^\]]*\])|(?P<one>\?)"
)
_MOST_CHARACTERS = 1024
_LITERAL = "literal"

#: A piece of a pattern: its kind, and its text or the form of one character.
_Piece = tuple[str, str | re.Pattern[str]]


def has_magic(pattern: str) -> bool:
    """Say whether a name is a pattern: it holds `*`, `?` or `[`."""
    return _MAGIC.search(pattern) is not None


def literal_prefix(pattern: str) -> str:
    """Return what every match begins with: everything before the first special character."""
    found = _MAGIC.search(pattern)
    return pattern[: found.start()] if found else pattern


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the sorted names that a pattern matches, in time that grows with its length times theirs.

    `*` and `?` stop at '/', `**` does not, `[...]` is a set of characters without '/'. A name, or a folder in it,
    that begins with a '.' is matched by a pattern alone that says so.

    Raises:
        UsageError: a set that is none, such as `[z-a]`, or a pattern of more than 1,024 characters.
    """
    if len(pattern) > _MOST_CHARACTERS:
        raise UsageError(
            f"the pattern has {len(pattern):,} characters, at most {_MOST_CHARACTERS:,} are read",
            where=pattern[:80] + "…",
            remedy="name the folder, or fewer files",
        )
    prefix, pieces, hidden = literal_prefix(pattern), _pieces(pattern), _hidden(pattern)
    return sorted(
        name
        for name in names
        if name.startswith(prefix) and _hidden(name) <= hidden and _matches(pieces, name)
    )


def _hidden(name: str) -> int:
    return sum(part.startswith(".") for part in name.split("/"))


def _pieces(pattern: str) -> list[_Piece]:
    """Cut a pattern into what it says literally and what it leaves open."""
    pieces: list[_Piece] = []
    done = 0
    for part in _PARTS.finditer(pattern):
        if part.start() > done:
            pieces.append((_LITERAL, pattern[done : part.start()]))
        kind = str(part.lastgroup)
        pieces.append((kind, _set(part.group(), pattern) if kind == "set" else part.group()))
        done = part.end()
    return [*pieces, (_LITERAL, pattern[done:])]


def _set(part: str, pattern: str) -> re.Pattern[str]:
    """Return the form of one character of a set."""
    inner = re.sub(r"([\\\[&~|])", r"\\\1", part[1:-1])
    inner = f"^{inner[1:]}" if inner.startswith("!") else inner
    try:
        return re.compile(f"(?!/)[{inner}]", re.DOTALL)
    except re.error:
        raise UsageError(
            f"'{part}' is no set of characters", where=pattern, remedy="write [abc], [a-c] or [!abc]"
        ) from None


def _matches(pieces: list[_Piece], name: str) -> bool:
    """Follow every place of a name that the pieces so far may end at, so that no pattern is tried again and again."""
    ends = {0}
    for kind, said in pieces:
        ends = _after(kind, said, name, ends)
        if not ends:
            return False
    return len(name) in ends


def _after(kind: str, said: str | re.Pattern[str], name: str, starts: set[int]) -> set[int]:
    """Return where a piece may end that begins at one of some places."""
    if isinstance(said, re.Pattern):
        return {start + 1 for start in starts if said.match(name, start)}
    if kind == _LITERAL:
        return {start + len(said) for start in starts if name.startswith(said, start)}
    if kind == "one":
        return {start + 1 for start in starts if name[start : start + 1] not in ("", "/")}
    first = min(starts)
    if kind == "all":
        return set(range(first, len(name) + 1))
    if kind == "folders":
        return starts | {place + 1 for place in range(first, len(name)) if name[place] == "/"}
    ends: set[int] = set()
    for place in range(first, len(name) + 1):  # a star: on from every start until the next '/'
        if place in starts or (place - 1 in ends and name[place - 1] != "/"):
            ends.add(place)
    return ends
