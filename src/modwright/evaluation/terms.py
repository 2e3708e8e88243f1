"""Identities by the words that name them: lists of terms, and which texts mention them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np

from modwright.errors import DataError, NotFoundError, nearest
from modwright.schema import BoolArray

_SUFFIX = ".txt"
#: Scripts that set no blanks between words: a term in one of them is found anywhere. First words of Unicode names.
_WITHOUT_BLANKS = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


def shipped_terms() -> tuple[str, ...]:
    """Return the names of the term lists that come with modwright."""
    return tuple(
        sorted(item.name.removesuffix(_SUFFIX) for item in _shelf().iterdir() if item.name.endswith(_SUFFIX))
    )


def read_terms(name_or_path: str) -> dict[str, tuple[str, ...]]:
    """Read a list of terms by path or shipped name: identity to the terms that name it.

    A line is ``identity: term, another term`` or a term alone, which is its own identity; ``#`` begins a comment. An
    identity may have several lines.

    Raises:
        NotFoundError: no such file or shipped list.
        DataError: a line without a term, text that is no UTF-8, or no term at all.
    """
    name = str(name_or_path)
    if name in shipped_terms():
        return _parsed((_shelf() / f"{name}{_SUFFIX}").read_text("utf-8"), name)
    path = Path(name)
    if not path.is_file():
        raise NotFoundError(
            "no such file of terms, and no shipped list is called so",
            where=name,
            remedy=nearest(name, shipped_terms()),
        )
    try:
        return _parsed(path.read_text("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        raise DataError(f"is no UTF-8 text: {error.reason}", file=name, remedy="save it as UTF-8") from None


def _shelf() -> Traversable:
    return resources.files("modwright") / "terms"


def _parsed(text: str, file: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for number, written in enumerate(text.splitlines(), 1):
        line = written.partition("#")[0].strip()
        if not line:
            continue
        identity, colon, listed = line.partition(":")
        terms = [folded(term) for term in (listed if colon else identity).split(",")]
        identity = identity.strip()
        if not identity or not all(terms) or (not colon and len(terms) > 1):
            raise DataError(
                f"found {line!r}, expected 'identity: term, another term' or one term alone",
                file=file,
                line=number,
            )
        found.setdefault(identity, {}).update(dict.fromkeys(terms))
    if not found:
        raise DataError("holds no terms", file=file, remedy="a line is 'identity: term, another term'")
    return {identity: tuple(terms) for identity, terms in found.items()}


def folded(text: str) -> str:
    """Return a text as terms are compared: compatibility forms and cases folded, every run of blanks one blank."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", plain).split())


def mentions(texts: Sequence[str], terms: Mapping[str, Iterable[str]]) -> dict[str, BoolArray]:
    """Return which texts (N,) mention each identity: one of its terms as whole words, whatever its case.

    Between the words of a term there may be a hyphen. In scripts that set no blanks a term is found anywhere. A mention is
    not a meaning: ``white`` in "white wine" is found, too, and who is spoken of in other words is not.

    Args:
        terms: identity to its terms.
    """
    prepared = [folded(text) for text in texts]
    found = {}
    for identity, listed in terms.items():
        wanted = [folded(term) for term in listed]
        pattern = re.compile("|".join(_pattern(term) for term in wanted))
        begins = {re.split(r"[\s-]", term)[0] for term in wanted}  # quick to look for
        found[identity] = np.array(
            [
                any(begin in text for begin in begins) and pattern.search(text) is not None
                for text in prepared
            ],
            dtype=np.bool_,
        )
    return found


def _pattern(term: str) -> str:
    words = r"[\s-]".join(re.escape(word) for word in re.split(r"[\s-]", term))
    before = "" if _without_blanks(term[0]) else r"(?<!\w)"
    after = "" if _without_blanks(term[-1]) else r"(?!\w)"
    return f"{before}{words}{after}"


def _without_blanks(character: str) -> bool:
    return unicodedata.name(character, "").startswith(_WITHOUT_BLANKS)
