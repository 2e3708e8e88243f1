"""Disguises of words: letters set apart, signs in place of letters, letters held down."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modwright.models.edits import Edit, script

#: One letter, or a sign that stands for one, alone between two of the same separator.
_CELL = r"[^\W\d_]|[013457@$]"
_SPACED = re.compile(rf"(?<![\w@$])(?:{_CELL})(?: (?:{_CELL})){{3,}}(?![\w@$])")
#: A run of cells as long as it goes; whether it ends there is asked afterwards, so that nobody looks at it twice.
_DOTTED = re.compile(
    rf"(?<![\w@$])(?:{_CELL})(?:([._\-·•|~+,/])(?:{_CELL})(?:\1(?:{_CELL}))+"
    rf"|(?:\*(?:{_CELL})){{3,}})"  # fewer stars may stand for letters
)
_IN_WORD = re.compile(r"[\w@$]")
_LEAST_LETTERS = 0.6
#: One-letter words, which are none of the letters of a longer word that comes after them.
_ONE_LETTER_WORDS = frozenset("aAI")
_LEAST_JOINED = 4

_TOKEN = re.compile(r"\S+")
_SIGNS = str.maketrans("013457@$!", "oieastasi")
_DISGUISED = re.compile(r"[A-Za-z0-9@$!]+")
_INSIDE = re.compile(r"(?<=[A-Za-z])[013457@$!]{1,2}(?=[A-Za-z])")
_NOT_SIGNS = re.compile(r"[2689]|\d{3}")
#: Addresses, names and tags, and words that a digit joins: "pray4Peace".
_NAMED = re.compile(r"://|^www\.|@\w*\.\w|\w\.\w+/|(?<!\w)[@#]\w|\bRT@|[a-z]@[A-Z][a-z]|[a-z]\d+[A-Z]")
_HEXADECIMAL = re.compile(r"(?:0x)?[0-9a-fA-F]{6,}")
_SHOUT = re.compile(r"[A-Za-z]{3}!|^(?:no|oh|ah|ha|hi|ok|go|so|hm|wo)!", re.IGNORECASE)
_STARTS_WITH_MONEY = re.compile(r"\$(?!(?:hundred|thousand|million|billion|trillion|buck)s?$|usd$)[a-z]{3,}$")

_WORD = re.compile(r"[^\W\d_]+")
_HELD = re.compile(r"([^\W\d_])\1{2,}", re.IGNORECASE)
_ROMAN = re.compile(r"[IVXLCDM]+")
#: Latin letters that English doubles inside a word, and at its end.
_DOUBLED = frozenset("bcdefglmnoprstz")
_DOUBLED_AT_END = frozenset("efglosz")


def spacing(text: str) -> Iterator[Edit]:
    """Yield words whose letters stand apart ("s i l l y", "s.i.l.l.y") as one word.

    With spaces and stars from four letters on, with other signs from three; a leading "a" or "I" stays a word of its own
    before four.
    """
    found = [*_SPACED.finditer(text), *_dotted(text)]
    end = 0
    for run in sorted(found, key=re.Match.start):
        begin, cells = run.start(), run[0][::2]
        if begin < end or sum(map(str.isalpha, cells)) < _LEAST_LETTERS * len(cells):
            continue
        if run[0][1] == " " and cells[0] in _ONE_LETTER_WORDS and len(cells) > _LEAST_JOINED:
            begin, cells = begin + 2, cells[1:]
        end = run.end()
        yield Edit(begin, end, cells)


def _dotted(text: str) -> Iterator[re.Match[str]]:
    """Yield runs with other signs between them than spaces that no letter, nor the sign and one more, goes on."""
    at = 0
    while run := _DOTTED.search(text, at):
        sign, after = run[0][1], text[run.end() : run.end() + 2]
        goes_on = _IN_WORD.match(after) or (after[:1] == sign and _IN_WORD.match(after, 1))
        if not goes_on:
            yield run
        at = run.end() - 1 if goes_on else run.end()  # its last cell may be the first of another sign's


def leetspeak(text: str) -> Iterator[Edit]:
    """Yield signs inside a word ("s1lly", "b@d") as the letters they stand for.

    A sign is one only between two letters of a word without other digits; then those at its ends are, too. Names,
    addresses, amounts and measures stay: `@user1`, `covid19`, `10k`, `h2o`.
    """
    for token in _TOKEN.finditer(text):
        if _NAMED.search(token[0]):
            continue
        for found in _DISGUISED.finditer(token[0]):
            word = found[0].strip("!")
            begin = token.start() + found.start() + found[0].index(word)
            if plain := _letters_of(word):
                yield from (
                    Edit(begin + place, begin + place + 1, plain[place])
                    for place in range(len(word))
                    if plain[place] != word[place]
                )


def _letters_of(word: str) -> str:
    """Return a word with letters for signs, of the same length; empty where it holds none that are surely meant so."""
    letters = sum(map(str.isalpha, word))
    if letters == len(word):
        return ""
    if _STARTS_WITH_MONEY.match(word):
        return "s" + word[1:]
    meant = _INSIDE.search(word) and letters >= 2 and letters >= len(word) - letters
    if not meant or _NOT_SIGNS.search(word) or _HEXADECIMAL.fullmatch(word) or _SHOUT.search(word):
        return ""
    plain = word.replace("11", "ll").translate(_SIGNS)
    return plain.upper() if _shouted(word) else plain


def _shouted(word: str) -> bool:
    return word.upper() == word


def repeats(text: str) -> Iterator[Edit]:
    """Yield letters held down ("sillyyyy") as often as they are written: once, or twice where English may double them.

    Other scripts than Latin keep two, and so do words of one letter alone; Roman numbers and `www` stay.
    """
    for word in _WORD.finditer(text):
        if not _HELD.search(word[0]) or _ROMAN.fullmatch(word[0]) or word[0].lower() == "www":
            continue
        for held in _HELD.finditer(word[0]):
            kept = _times(held, word[0])
            begin, end = word.start() + held.start(), word.start() + held.end()
            yield Edit(begin + kept, end, "")


def _times(held: re.Match[str], word: str) -> int:
    letter = held[1].lower()
    if script(letter) != "LATIN" or len(held[0]) == len(word):
        return 2
    return 2 if letter in (_DOUBLED_AT_END if held.end() == len(word) else _DOUBLED) else 1
