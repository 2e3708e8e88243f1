"""Ways in which people disguise what they write, or write it less well: each a pure function of a text and a seed.

A perturbation changes half of a text's words of three letters and more, for who disguises a word is not known to pick only
the telling ones. What a text becomes depends on the perturbation, the seed and the text alone, not on the rows around it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from modwright.errors import UsageError, nearest

#: Share of a text's words that are changed.
SHARE = 0.5
#: Share of a word's letters that can be changed that are, at least one.
_LETTER_SHARE = 0.6
_WORD = re.compile(r"[^\W\d_]{3,}")

_LEET = {
    **{"a": "4@", "b": "8", "e": "3", "g": "9", "i": "1!", "l": "1", "o": "0", "s": "5$", "t": "7"},
    **{"A": "4@", "B": "8", "E": "3", "G": "9", "I": "1!", "L": "1", "O": "0", "S": "5$", "T": "7"},
}
_TWINS = {
    **{"a": "аα", "c": "с", "d": "ԁ", "e": "еҽ", "g": "ɡ", "h": "һ", "i": "іι", "j": "ј", "k": "к", "m": "м"},
    **{"n": "ո", "o": "оο", "p": "рρ", "s": "ѕ", "t": "т", "u": "υ", "v": "ѵν", "w": "ԝ", "x": "х", "y": "у"},
    **{"A": "АΑ", "B": "ВΒ", "C": "С", "E": "ЕΕ", "H": "НΗ", "I": "ІΙ", "K": "КΚ", "M": "МΜ", "N": "Ν"},
    **{"O": "ОΟ", "P": "РΡ", "S": "Ѕ", "T": "ТΤ", "X": "ХΧ", "Y": "УΥ", "Z": "Ζ"},
}
_UNSEEN = "\u200b\u200c\u200d\u2060\u00ad"
_APART = (" ", ".", "-", "_", "*")
#: First code points of A and of a in alphabets of other forms: bold, bold script, full width, in circles, sans serif.
_FORMS = ((0x1D400, 0x1D41A), (0x1D4D0, 0x1D4EA), (0xFF21, 0xFF41), (0x24B6, 0x24D0), (0x1D5A0, 0x1D5BA))
_EMOJI = ("🙂", "🌻", "☕", "🚲", "🎵", "📚", "🌧️", "🐟", "🧩", "✨")
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = (
    "The weather has been mild this week and the market was busy.",
    "We took the early train and had a long walk by the lake.",
    "My sister is baking bread for the school fair on Saturday.",
    "The new library has large windows and comfortable chairs.",
    "Thank you all for the helpful notes about the garden.",
    "The concert starts at eight and the tickets are at the door.",
)
_BESIDE_SENTENCES = 3


@dataclass(frozen=True, slots=True)
class Perturbation:
    """A change of texts.

    Attributes:
        name: such as ``leetspeak``.
        what: what it does, for a reader.
        change: text and its own randomness to text.
    """

    name: str
    what: str
    change: Callable[[str, Random], str]

    def __call__(self, text: str, seed: int) -> str:
        """Return the changed text; the same for the same text and seed, in every process."""
        return self.change(text, Random(f"{seed}/{self.name}/{text}"))


def leetspeak(text: str, rng: Random) -> str:
    """Write digits and signs for letters: ``s1lly``."""
    return _words(text, rng, lambda word: _letters(word, rng, _LEET))


def homoglyphs(text: str, rng: Random) -> str:
    """Write Cyrillic, Greek and Armenian letters that look like Latin ones."""
    return _words(text, rng, lambda word: _letters(word, rng, _TWINS))


def zero_width(text: str, rng: Random) -> str:
    """Put characters of no width between letters."""

    def split(word: str) -> str:
        places = set(rng.sample(range(1, len(word)), min(rng.randint(1, 2), len(word) - 1)))
        return "".join(
            (rng.choice(_UNSEEN) if place in places else "") + letter for place, letter in enumerate(word)
        )

    return _words(text, rng, split)


def spacing(text: str, rng: Random) -> str:
    """Set the letters of words apart: ``s i l l y``, ``s.i.l.l.y``."""
    apart = rng.choice(_APART)
    return _words(text, rng, apart.join)


def repeated_letters(text: str, rng: Random) -> str:
    """Hold a letter down: ``sillyyyy``."""

    def held(word: str) -> str:
        place = rng.choice([len(word) - 1, rng.randrange(len(word))])
        return word[:place] + word[place] * rng.randint(3, 6) + word[place + 1 :]

    return _words(text, rng, held)


def case(text: str, rng: Random) -> str:
    """Write letters large and small at random: ``SiLLy``."""
    return _words(
        text, rng, lambda word: "".join(rng.choice((str.upper, str.lower))(letter) for letter in word)
    )


def styled(text: str, rng: Random) -> str:
    """Write words in bold, script, full-width or circled letters."""
    upper, lower = rng.choice(_FORMS)

    def form(letter: str) -> str:
        if "a" <= letter <= "z":
            return chr(lower + ord(letter) - ord("a"))
        return chr(upper + ord(letter) - ord("A")) if "A" <= letter <= "Z" else letter

    return _words(text, rng, lambda word: "".join(map(form, word)))


def emoji(text: str, rng: Random) -> str:
    """Put friendly emoji behind words."""
    return _words(text, rng, lambda word: f"{word} {rng.choice(_EMOJI)}")


def benign_prefix(text: str, rng: Random) -> str:
    """Put three harmless sentences before the text."""
    return " ".join([*rng.sample(_BESIDE, _BESIDE_SENTENCES), text])


def benign_suffix(text: str, rng: Random) -> str:
    """Put three harmless sentences behind the text."""
    return " ".join([text, *rng.sample(_BESIDE, _BESIDE_SENTENCES)])


def typos(text: str, rng: Random) -> str:
    """Swap, drop, double or mistype a letter of words, never the first."""

    def mistyped(word: str) -> str:
        place = rng.randrange(1, len(word))
        kind = rng.choice(("swap", "drop", "double", "beside"))
        if kind == "swap" and len(word) > place + 1:
            return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        if kind == "drop":
            return word[:place] + word[place + 1 :]
        if kind == "double":
            return word[:place] + word[place] + word[place:]
        return word[:place] + _neighbour(word[place], rng) + word[place + 1 :]

    return _words(text, rng, mistyped)


PERTURBATIONS: Mapping[str, Perturbation] = {
    one.name: one
    for one in (
        Perturbation("leetspeak", "digits and signs for letters", leetspeak),
        Perturbation("homoglyphs", "letters of other scripts that look the same", homoglyphs),
        Perturbation("zero_width", "characters of no width between letters", zero_width),
        Perturbation("spacing", "letters of words set apart", spacing),
        Perturbation("repeated_letters", "letters held down", repeated_letters),
        Perturbation("case", "large and small letters at random", case),
        Perturbation("styled", "bold, script, full-width or circled letters", styled),
        Perturbation("emoji", "friendly emoji behind words", emoji),
        Perturbation("benign_prefix", "three harmless sentences before the text", benign_prefix),
        Perturbation("benign_suffix", "three harmless sentences behind the text", benign_suffix),
        Perturbation("typos", "letters swapped, dropped, doubled or mistyped", typos),
    )
}


def chosen(names: Sequence[str]) -> list[Perturbation]:
    """Return perturbations by name, all without names; raises UsageError that names the nearest."""
    for name in names:
        if name not in PERTURBATIONS:
            raise UsageError(f"unknown perturbation '{name}'", remedy=nearest(name, PERTURBATIONS))
    return [PERTURBATIONS[name] for name in dict.fromkeys(names or PERTURBATIONS)]


def _words(text: str, rng: Random, change: Callable[[str], str]) -> str:
    """Return a text in which some of its words are changed, from left to right."""
    found = list(_WORD.finditer(text))
    picked = sorted(rng.sample(range(len(found)), math.ceil(SHARE * len(found))))
    parts, at = [], 0
    for place in picked:
        begin, end = found[place].span()
        parts += [text[at:begin], change(text[begin:end])]
        at = end
    return "".join([*parts, text[at:]])


def _letters(word: str, rng: Random, table: Mapping[str, str]) -> str:
    """Return a word in which some of the letters that a table knows are replaced."""
    places = [place for place, letter in enumerate(word) if letter in table]
    picked = set(rng.sample(places, math.ceil(_LETTER_SHARE * len(places))))
    return "".join(
        rng.choice(table[letter]) if place in picked else letter for place, letter in enumerate(word)
    )


def _neighbour(letter: str, rng: Random) -> str:
    """Return a letter beside this one on a keyboard; itself where there is none."""
    for row in _KEYS:
        place = row.find(letter.lower())
        if place >= 0:
            beside = rng.choice(row[max(0, place - 1) : place] + row[place + 1 : place + 2])
            return beside.upper() if letter.isupper() else beside
    return letter
