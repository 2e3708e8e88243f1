"""Disguises of single characters: those nobody sees, and letters in other forms (bold, full width, circled)."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator

from modwright.models.edits import Edit

_JOINERS = "\u200c\u200d"
#: What may show nothing: controls but tab and line ends, format characters, fillers, selectors, tags.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SELECTORS = re.compile("[\ufe00-\ufe0f]")
_TAGS = re.compile("[\U000e0020-\U000e007f]")
_TAGGED = "\U0001f3f4"  # the black flag, which tags turn into a country's
_KEYCAPS = "#*0123456789\u203c\u2049"
_JOINED = frozenset({"So", "Sk", "Mn", "Mc", "Me", "Lo"})

_NOT_PLAIN = re.compile("[^\x00-\x7f]")
#: Forms of a letter or digit that say nothing by their form; fractions and powers do.
_FORMS = frozenset(
    f"<{form}>"
    for form in (
        *("font", "wide", "narrow", "circle", "square", "super", "sub", "compat", "noBreak"),
        *("initial", "medial", "final", "isolated"),
    )
)
_SAYS_SOMETHING = "\u00aa\u00ba\u2120\u2122"  # ordinals and trade marks
_CJK_SIGNS = "！（），：；？～"  # what Chinese and Japanese punctuate with
_KANA_MARKS = "\uff9e\uff9f"
_OVERLAYS = re.compile("[\u0334-\u0338\u20d2\u20d3\u20d8-\u20dc\u20e5\u20e6\u20ea\u20eb]")
_MOST_MARKS = 2
#: Marks in a row beyond these are dropped before anything sorts them, which takes the square of their number: no language
#: writes as many (UAX #15, stream-safe text format).
_MOST_SORTED = 30
#: Korean letters by themselves, which are not the parts of a syllable that NFKC takes them for, and narrow forms of them.
_JAMO, _NARROW_JAMO = re.compile("[\u3131-\u318e]"), re.compile("[\uffa1-\uffdc]")
#: Longer clusters are worked out each time: who writes them writes many.
_MOST_CACHED = 8
#: Letters in black circles and squares, which Unicode does not take for forms of letters.
_BOXED = re.compile("[\U0001f150-\U0001f169\U0001f170-\U0001f189]")
_BESIDE_BOXED = re.compile("[A-Za-z\U0001f150-\U0001f169\U0001f170-\U0001f189]")
_REGIONAL = re.compile("[\U0001f1e6-\U0001f1ff]+")


def invisible(text: str) -> Iterator[Edit]:
    """Yield the removal of characters that show nothing, but where they mean something.

    Joiners stay in scripts that are written with them and in emoji, selectors and tags stay behind emoji.
    """
    kept = -1  # place of the last tag that stays
    for found in _UNSEEN.finditer(text):
        place = found.start()
        before = text[place - 1] if place else " "
        if _TAGS.match(found[0]) and (before == _TAGGED or place - 1 == kept):
            kept = place
        elif not _means_something(found[0], before):
            yield Edit(place, place + 1, "")


def _means_something(character: str, before: str) -> bool:
    """Say whether an unseen character that is no tag does something to the one before it."""
    if character in _JOINERS:
        return unicodedata.category(before) in _JOINED or bool(_SELECTORS.match(before))
    if _SELECTORS.match(character):
        return unicodedata.category(before) == "So" or before in _KEYCAPS
    return False


def compatibility(text: str) -> Iterator[Edit]:
    """Yield other forms of letters and digits as the usual ones, composed, and without piled-up or striking marks.

    What NFKC does, but only to letters, digits, spaces and the full-width signs that stand for letters: fractions, powers,
    trade marks and the punctuation of Chinese and Japanese stay.
    """
    if text.isascii():
        return
    no_flags = _no_flags(text)
    at = 0
    for found in _NOT_PLAIN.finditer(text):
        begin = found.start()
        if begin < at:
            continue
        begin -= int(begin > at and _extends(text[begin]))
        at = _cluster_end(text, begin + 1)
        cluster = text[begin:at]
        plain = _plain(cluster) if len(cluster) <= _MOST_CACHED else _plain.__wrapped__(cluster)
        if _BOXED.match(cluster) and _has_letter_beside(text, begin, at):
            plain = chr(ord("A") + (ord(cluster[0]) - 0x1F150) % 0x20)
        elif begin in no_flags:
            plain = chr(ord("A") + ord(text[begin]) - 0x1F1E6)
        if plain != cluster:
            yield Edit(begin, at, plain)


def _extends(character: str) -> bool:
    """Say whether a character belongs to the one before it: marks, and the parts of a Korean syllable."""
    return (
        unicodedata.category(character)[0] == "M"
        or "\u1160" <= character <= "\u11ff"
        or character in _KANA_MARKS
    )


def _cluster_end(text: str, end: int) -> int:
    while end < len(text) and text[end] > "\x7f" and _extends(text[end]):
        end += 1
    return end


@functools.lru_cache(maxsize=8192)
def _plain(cluster: str) -> str:
    usual = _without_piles("".join(map(_usual, cluster)))
    composed = _OVERLAYS.sub("", unicodedata.normalize("NFC", usual))
    marks, kept = 0, []
    for character in composed:
        marks = marks + 1 if unicodedata.category(character) == "Mn" else 0
        if marks <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)


def _without_piles(text: str) -> str:
    """Return a text without the marks of a row beyond `_MOST_SORTED`."""
    if len(text) <= _MOST_SORTED:
        return text
    row, kept = 0, []
    for character in text:
        row = row + 1 if unicodedata.combining(character) else 0
        if row <= _MOST_SORTED:
            kept.append(character)
    return "".join(kept)


def _usual(character: str) -> str:
    """Return a character in its usual form."""
    if unicodedata.category(character) == "Zs":
        return " "
    if _JAMO.match(character):
        return character
    if _NARROW_JAMO.match(character):
        return chr(int(unicodedata.decomposition(character).split()[-1] or "0", 16))
    form = unicodedata.decomposition(character).partition(" ")[0]
    if form not in _FORMS or character in _SAYS_SOMETHING or character in _CJK_SIGNS:
        return character
    plain = unicodedata.normalize("NFKC", character)
    if form in ("<super>", "<sub>") and not plain.isalpha():
        return character
    kept = plain.isalnum() or character in _KANA_MARKS or "\uff01" <= character <= "\uff5e"
    return plain if kept else character


def _has_letter_beside(text: str, begin: int, end: int) -> bool:
    neighbours = (text[begin - 1 : begin], text[end : end + 1])
    return any(_BESIDE_BOXED.match(one) for one in neighbours)


def _no_flags(text: str) -> set[int]:
    """Return the places of regional indicators that are no halves of flags: those of runs of an odd number."""
    runs = [run for run in _REGIONAL.finditer(text) if len(run[0]) % 2]
    return {place for run in runs for place in range(run.start(), run.end())}
