"""Letters of one script that stand in words of another because they look the same, as that script's own.

The tables follow Unicode's list of confusable characters (UTS #39, Unicode Security Mechanisms), cut down to letters that
are met in such words, with small capitals and the letters of "faux Cyrillic" added. Letters that some language writes among
Latin ones (the dotless i, the hooked v) are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from modwright.models.edits import Edit, script

_WORD = re.compile(r"[^\W_]+")
_LATIN, _CYRILLIC, _GREEK = "LATIN", "CYRILLIC", "GREEK"
_LEAST_LETTERS = 3
_LEAST_APART = 3

#: Latin letter to the letters of other scripts that cannot be told from it.
_SAME = {
    **{"A": "АΑᎪꓮ", "B": "ВΒᏴꓐ", "C": "СᏟⲤꓚ", "D": "Ꭰꓓ", "E": "ЕΕᎬꓰ", "F": "Ϝꓝ", "G": "ԌᏀꓖ"},
    **{"H": "НΗᎻⲎꓧ", "I": "ІӀΙⲒꓲ", "J": "ЈͿᎫꓙ", "K": "КΚᏦⲔꓗ", "L": "ᏞⳐꓡ", "M": "МΜᎷⲘꓟ"},
    **{"N": "ΝⲚꓠ", "O": "ОΟՕⲞꓳ", "P": "РΡᏢⲢꓑ", "R": "ᎡᏒꓣ", "S": "ЅՏᏚꓢ", "T": "ТΤᎢⲦꓔ"},
    **{"U": "Սꓴ", "V": "ѴᏙꓦ", "W": "ԜᎳꓪ", "X": "ХΧⲬꓫ", "Y": "УҮΥᎩⲨꓬ", "Z": "ΖᏃꓜ"},
    **{"a": "аα", "b": "Ꮟ", "c": "сⲥꮯ", "d": "ԁꓒ", "e": "еҽ", "g": "ց", "h": "һհ", "i": "іιᎥꭵ"},
    **{"j": "јϳ", "l": "ӏ", "n": "ոռ", "o": "оοօჿⲟ", "p": "рρⲣ", "q": "ԛզ", "s": "ѕꮪ", "u": "υս"},
    **{"v": "ѵνꮩ", "w": "ԝաꮃ", "x": "х", "y": "уүγყ", "z": "ꮓ"},
}
#: Those that only remind of it: taken for it in words of several scripts alone.
_ALIKE = {
    **{"B": "Ьβ", "E": "ЄΞ", "N": "ИЙ", "R": "ЯГ", "U": "ЦџԱ", "W": "ШЩΩ", "O": "ФΘ", "X": "Ж", "Y": "Ч"},
    **{"b": "вьъΒ", "e": "єεэ", "f": "ք", "h": "нђћ", "k": "кκ", "m": "мʍ", "n": "пηийлπ", "o": "σөθф"},
    **{"r": "гяᴦ", "t": "тτ", "u": "цμ", "w": "шщωѡ", "x": "жχ", "y": "ч", "a": "д", "s": "ς", "z": "з"},
}
#: Latin letters in forms that no orthography has.
_FORMS = {
    **{"a": "ᴀɑ", "b": "ʙ", "c": "ᴄ", "d": "ᴅ", "e": "ᴇ", "f": "ꜰ", "g": "ɢɡ", "h": "ʜ", "i": "ɪ", "j": "ᴊ"},
    **{"k": "ᴋ", "l": "ʟ", "m": "ᴍ", "n": "ɴ", "o": "ᴏ", "p": "ᴘ", "r": "ʀ", "s": "ꜱ", "t": "ᴛ", "u": "ᴜ"},
    **{"v": "ᴠ", "w": "ᴡ", "y": "ʏ", "z": "ᴢ"},
}
_CYRILLIC_TWINS = dict(zip("ABCEHIKMOPSTXYaceiokpsxyj", "АВСЕНІКМОРЅТХУасеіокрѕхуј", strict=True))
_GREEK_TWINS = dict(zip("ABEHIKMNOPTXYZoviupa", "ΑΒΕΗΙΚΜΝΟΡΤΧΥΖονιυρα", strict=True))


def _each(*tables: Mapping[str, str]) -> dict[str, str]:
    """Return every listed letter with the Latin one it stands for; of two tables the first counts."""
    return {letter: plain for table in reversed(tables) for plain, group in table.items() for letter in group}


_TO_LATIN = _each(_SAME)
_NEARLY_LATIN = _each(_SAME, _ALIKE)
_PLAIN = _each(_FORMS)


def lookalikes(text: str) -> Iterator[Edit]:
    """Yield letters that are of another script than their word, as that script's own.

    A word of several scripts is one of the text's script where all its letters have a twin there, else of whichever script
    they all have one in; a word that fits none stays. A word of look-alikes alone is Latin in a text otherwise Latin; one
    letter alone is what it is (the alpha of "the α particle"), unless it stands among letters set apart.
    """
    if text.isascii():
        return
    words = [(found.start(), found[0]) for found in _WORD.finditer(text)]
    main, seen = _scripts_of([word for _, word in words])
    for number, (begin, word) in enumerate(words):
        if word.isascii() or (len(word) == 1 and word not in _PLAIN and not _set_apart(words, number)):
            continue
        table = _twins(word, main, seen)
        for place, letter in enumerate(word):
            plain = table.get(letter) or _PLAIN.get(letter, letter)
            if plain != letter:
                yield Edit(begin + place, begin + place + 1, plain)


def _set_apart(words: Sequence[tuple[int, str]], number: int) -> bool:
    """Say whether a word of one letter stands among others with one character between each, three of them at least."""
    first, last = number, number
    while first > max(0, number - _LEAST_APART + 1) and _beside(words[first - 1], words[first]):
        first -= 1
    while last < min(len(words), number + _LEAST_APART) - 1 and _beside(words[last], words[last + 1]):
        last += 1
    return last - first + 1 >= _LEAST_APART


def _beside(one: tuple[int, str], other: tuple[int, str]) -> bool:
    return len(one[1]) == len(other[1]) == 1 and other[0] - one[0] == 2


def _scripts(word: str) -> set[str]:
    return {found for letter in word if (found := script(letter))}


def _scripts_of(words: Sequence[str]) -> tuple[str, set[str]]:
    """Return the script of most words, and all in which a word stands that is surely of that script."""
    counts: Counter[str] = Counter()
    for word in words:
        scripts = _scripts(word)
        if len(scripts) == 1 and not all(letter in _TO_LATIN for letter in word if letter.isalpha()):
            counts[scripts.pop()] += 1
    return (counts.most_common(1)[0][0] if counts else ""), set(counts)


def _twins(word: str, main: str, seen: set[str]) -> Mapping[str, str]:
    """Return what the letters of a word that are not of its script stand for; empty where all are, or nobody knows."""
    scripts = _scripts(word)
    letters = [letter for letter in word if script(letter)]
    if len(scripts) < 2:
        disguised = main == _LATIN and not scripts & seen and all(letter in _TO_LATIN for letter in letters)
        return _TO_LATIN if disguised else {}
    latin = _NEARLY_LATIN if len(letters) >= _LEAST_LETTERS else _TO_LATIN
    tables = {_LATIN: latin, _CYRILLIC: _CYRILLIC_TWINS, _GREEK: _GREEK_TWINS}
    fitting = [
        name
        for name, table in tables.items()
        if name in scripts and all(letter in table or script(letter) == name for letter in letters)
    ]
    if not fitting:
        return {}
    own = Counter(map(script, letters))
    return tables[main] if main in fitting else tables[max(fitting, key=lambda name: own[name])]
