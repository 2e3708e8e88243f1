"""An input taken apart into words and turns, and put together without some of them or with nothing else."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modwright.schema import Input, Message

#: Marks that belong to the word around them: it's, self-made.
_INNER = frozenset("'’-")
#: Scripts that write no spaces between words; there a character with its marks stands for a word.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters [begin, end) of one turn of an input, the first turn being 0."""

    turn: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Piece:
    """What is left out at once.

    Attributes:
        text: as it stands in the input, at its first place.
        spans: a word's occurrences, a run of words, or a whole earlier turn.
    """

    text: str
    spans: tuple[Span, ...]


def words(text: str) -> Iterator[tuple[int, int]]:
    """Yield the words of a text as character spans, in order; a run of other marks is a word, too."""
    begin, kind = 0, ""
    for place, character in enumerate(text):
        here = _kind(character)
        joined = here == kind or (kind == "one" and here == "joins")
        if here == "joins" and kind in ("word", "mark"):
            here, joined = kind, True
        if here == "mark" and kind == "word" and _within(text, place):
            here, joined = "word", True
        if here == "one" or not joined:
            if kind not in ("", "space"):
                yield begin, place
            begin, kind = place, here if here != "joins" else "mark"
    if kind not in ("", "space"):
        yield begin, len(text)


def _kind(character: str) -> str:
    if character.isspace():
        return "space"
    category = unicodedata.category(character)
    if category[0] == "M" or category == "Cf":
        return "joins"
    if any(low <= ord(character) <= high for low, high in _UNSPACED):
        return "one"
    return "word" if category[0] in "LN" or character == "_" else "mark"


def _within(text: str, place: int) -> bool:
    """Say whether a mark joins two parts of one word."""
    return text[place] in _INNER and place + 1 < len(text) and _kind(text[place + 1]) == "word"


def word_pieces(value: Input) -> list[Piece]:
    """Return every word of the last turn, its occurrences together, in order of first sight; then each earlier turn."""
    last = len(value) - 1
    text = value[-1].content
    places: dict[str, list[Span]] = {}
    for begin, end in words(text):
        places.setdefault(text[begin:end].casefold(), []).append(Span(last, begin, end))
    return [*(_piece(value, spans) for spans in places.values()), *turn_pieces(value)]


def turn_pieces(value: Input) -> list[Piece]:
    """Return each turn before the last as one piece; a turn without text is left out."""
    spans = [Span(turn, 0, len(message.content)) for turn, message in enumerate(value[:-1])]
    return [_piece(value, [span]) for span in spans if span.end]


def run_pieces(value: Input, runs: int) -> list[Piece]:
    """Return the words of the last turn in at most so many runs of nearly equal length, in order."""
    spans = list(words(value[-1].content))
    size = max(1, -(-len(spans) // max(1, runs)))
    chunks = [spans[begin : begin + size] for begin in range(0, len(spans), size)]
    return [_piece(value, [Span(len(value) - 1, chunk[0][0], chunk[-1][1])]) for chunk in chunks]


def split_piece(value: Input, piece: Piece) -> list[Piece]:
    """Return the words of a run of words, each by itself."""
    whole = piece.spans[0]
    found = words(value[whole.turn].content[whole.begin : whole.end])
    return [_piece(value, [Span(whole.turn, whole.begin + begin, whole.begin + end)]) for begin, end in found]


def _piece(value: Input, spans: Sequence[Span]) -> Piece:
    first = spans[0]
    return Piece(value[first.turn].content[first.begin : first.end], tuple(spans))


def without(value: Input, pieces: Sequence[Piece]) -> Input:
    """Return an input without some pieces; an earlier turn of which nothing is left was never said."""
    taken = _by_turn(pieces)
    turns = []
    for turn, message in enumerate(value):
        content = _cut(message.content, taken.get(turn, []))
        if content or turn == len(value) - 1 or turn not in taken:
            turns.append(Message(message.role, content))
    return tuple(turns)


def only(value: Input, pieces: Sequence[Piece]) -> Input:
    """Return an input of nothing but some pieces, in their order, a space between them."""
    kept = _by_turn(pieces)
    turns = []
    for turn, message in enumerate(value):
        content = " ".join(message.content[span.begin : span.end] for span in kept.get(turn, []))
        if content or turn == len(value) - 1:
            turns.append(Message(message.role, content))
    return tuple(turns)


def _by_turn(pieces: Sequence[Piece]) -> dict[int, list[Span]]:
    found: dict[int, list[Span]] = {}
    for span in sorted(span for piece in pieces for span in piece.spans):
        found.setdefault(span.turn, []).append(span)
    return found


def _cut(text: str, spans: Sequence[Span]) -> str:
    """Leave spans out; of the blanks on both sides of one, those behind it go along."""
    for span in reversed(spans):
        before, behind = text[: span.begin], text[span.end :]
        if not before or before[-1].isspace():
            behind = behind.lstrip(" ")
        text = before + behind
    return text
