"""A base's tokenizer: ids for the graph, character offsets for windows; never truncation or padding."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from modwright.errors import ArtifactError, MissingExtraError

TOKENIZER_FILE = "tokenizer.json"
_BLANK = r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2060\ufeff]"
#: What stands between two sentences: a stop and a blank, a line's end, or a stop of scripts that write no spaces.
_SENTENCE_BREAK = re.compile(rf"[.!?…]{_BLANK}+|\n{_BLANK}*|[。！？]+{_BLANK}*")
_BRACKETED = re.compile(r"<\S.*>|\[\S.*\]")
#: Half a character, as broken JSON escapes give; no tokenizer takes one.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
#: Two texts of which a tokenizer makes something, whatever it was made for: what it puts around them is learnt from them.
_SAMPLES = (("a", "b"), ("1", "2"), ("а", "б"), ("的", "一"))


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """One token of a text: characters [begin, end) from its first that shows; whether it starts a word or a sentence."""

    begin: int
    end: int
    starts_word: bool
    starts_sentence: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of what the model reads: special tokens, or the place of a text (0 the first, 1 the second)."""

    text: int | None
    ids: tuple[int, ...]
    types: tuple[int, ...]


class Tokenizer:
    """Wraps a `tokenizer.json`.

    Args:
        path: the file.
        literal: a special token that a text spells ("[SEP]", "</s>") is its characters, or an unknown token where the
            model knows no other way to write it, so that no text can fake the border between two.

    Raises:
        ArtifactError: the file is missing or is no tokenizer.
    """

    def __init__(self, path: Path, *, literal: bool = False) -> None:
        try:
            from tokenizers import Tokenizer as Backend
        except ImportError:
            raise MissingExtraError("serve", "reading a tokenizer") from None
        try:
            self._backend: Any = Backend.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise ArtifactError(f"is not a tokenizer: {error}", where=str(path)) from None
        # Published files carry a truncation length (128 for MiniLM) that would cut texts silently.
        self._backend.no_truncation()
        self._backend.no_padding()
        self.literal = literal
        self._backend.encode_special_tokens = literal
        self.specials = int(self._backend.num_special_tokens_to_add(False))
        self.pair_specials = int(self._backend.num_special_tokens_to_add(True))

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return token ids with the special tokens, one list per text, never cut."""
        if self.literal:
            return [self.joined(ids)[0] for ids in self.plain_ids(texts)]
        return [encoding.ids for encoding in self._backend.encode_batch(_whole(texts))]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, special tokens included."""
        return [len(ids) for ids in self.ids(texts)]

    def plain_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return token ids without the special tokens that the tokenizer adds, one list per text, never cut."""
        encodings = self._backend.encode_batch(_whole(texts), add_special_tokens=False)
        return [self._unfaked(encoding.ids) for encoding in encodings]

    def _unfaked(self, ids: list[int]) -> list[int]:
        """Return the ids of a text without special tokens that its characters spell.

        `encode_special_tokens` keeps the tokenizer from looking for them, yet a unigram model finds them as words.
        """
        if not self.literal or self._spelled.isdisjoint(ids):
            return ids
        unknown = [] if self._unknown is None else [self._unknown]
        return [kept for token in ids for kept in (unknown if token in self._spelled else [token])]

    @cached_property
    def marks(self) -> dict[str, int]:
        """Return special tokens by what spells them, for templates that mean them; none where texts may hold them."""
        added = self._backend.get_added_tokens_decoder().items()
        return {token.content: number for number, token in added if token.special and self.literal}

    @cached_property
    def _spelled(self) -> frozenset[int]:
        return frozenset(self.marks.values()) - {self._unknown}

    @cached_property
    def _unknown(self) -> int | None:
        """Return the token of what is not in the vocabulary; a byte-level tokenizer has none."""
        model = self._backend.model
        if not hasattr(model, "unk_token"):  # a unigram model does not show it
            found = json.loads(self._backend.to_str())["model"].get("unk_id")
        else:
            found = None if model.unk_token is None else model.token_to_id(model.unk_token)
        return None if found is None else int(found)

    def leading(self) -> list[int]:
        """Return the special tokens that stand before every text, such as BOS; often none."""
        encoding = self._backend.encode("a")
        ordinary = encoding.special_tokens_mask.index(0) if 0 in encoding.special_tokens_mask else 0
        return list(encoding.ids[:ordinary])

    def names(self, ids: Sequence[int]) -> list[str]:
        """Return tokens as the vocabulary writes them."""
        return [str(self._backend.id_to_token(token)) for token in ids]

    def control_texts(self) -> list[str]:
        """Return the texts that are one token wherever they stand: special ones, and others in brackets ("<think>")."""
        added = self._backend.get_added_tokens_decoder().values()
        return [token.content for token in added if token.special or _BRACKETED.fullmatch(token.content)]

    def normalised(self, text: str) -> str:
        """Return what the tokenizer makes of a text before it cuts it; many fold forms of characters."""
        (text,) = _whole([text])
        normalizer = self._backend.normalizer
        return text if normalizer is None else str(normalizer.normalize_str(text))

    def spans(self, texts: Sequence[str]) -> list[list[TokenSpan]]:
        """Return each text's tokens with their characters, special tokens left out."""
        encodings = self._backend.encode_batch(_whole(texts), add_special_tokens=False)
        return [_spans(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]

    def joined(
        self, last: Sequence[int], context: Sequence[int] | None = None, most: int | None = None
    ) -> tuple[list[int], list[int]]:
        """Return token ids and their types with the special tokens: of a text, or of a context and what answers it.

        Args:
            last: tokens of `plain_ids`, never cut.
            context: tokens of `plain_ids`; only their last ones are kept where the whole would be longer than `most`.
            most: tokens, special ones included.

        Raises:
            ArtifactError: the tokenizer has no place for a text.
        """
        if context is None:
            texts, pieces = [last], self._around_one
        else:
            room = len(context) if most is None else max(0, most - self.pair_specials - len(last))
            texts, pieces = [context[max(0, len(context) - room) :], last], self._around_two
        ids: list[int] = []
        types: list[int] = []
        for piece in pieces:
            ids += piece.ids if piece.text is None else texts[piece.text]
            types += piece.types if piece.text is None else piece.types * len(texts[piece.text])
        return ids, types

    @cached_property
    def _around_one(self) -> tuple[_Piece, ...]:
        return self._around(1)

    @cached_property
    def _around_two(self) -> tuple[_Piece, ...]:
        return self._around(2)

    def _around(self, number: int) -> tuple[_Piece, ...]:
        """Return what the tokenizer puts around one text or two, learnt from samples."""
        for samples in _SAMPLES:
            given = self._backend.encode_batch(list(samples[:number]), add_special_tokens=False)
            if all(encoding.ids for encoding in given):
                pieces = _pieces(self._backend.post_process(*given), [encoding.ids for encoding in given])
                if {piece.text for piece in pieces} >= set(range(number)):
                    return pieces
        raise ArtifactError(
            f"the tokenizer has no place for {number} text(s) in what it makes", where="tokenizer"
        )


def _pieces(whole: Any, given: Sequence[list[int]]) -> tuple[_Piece, ...]:
    """Return the parts of what a tokenizer makes of texts, in order; its sequence numbers are not to be relied on."""
    ids, types = whole.ids, whole.type_ids
    ordinary = [place for place, special in enumerate(whole.special_tokens_mask) if not special]
    order = list(range(len(given)))
    if [ids[place] for place in ordinary] != [token for number in order for token in given[number]]:
        order.reverse()
    texts = dict(zip(ordinary, _repeated(order, given), strict=False))
    pieces: list[_Piece] = []
    for place, (token, kind) in enumerate(zip(ids, types, strict=True)):
        text = texts.get(place)
        if text is None:
            pieces.append(_Piece(None, (token,), (kind,)))
        elif not pieces or pieces[-1].text != text:
            pieces.append(_Piece(text, (), (kind,)))
    return tuple(pieces)


def _repeated(order: Sequence[int], given: Sequence[list[int]]) -> list[int]:
    """Return the number of each text once per token of it."""
    return [number for number in order for _ in given[number]]


def _whole(texts: Sequence[str]) -> list[str]:
    """Return the texts with U+FFFD for every lone surrogate; no character moves."""
    return [_LONE_SURROGATE.sub("\ufffd", text) for text in texts]


def _spans(text: str, encoding: Any) -> list[TokenSpan]:
    """Return the tokens of a text; some tokenizers give a space to the token after it, some a token of its own."""
    words, breaks = encoding.word_ids, _sentence_breaks(text)
    spans: list[TokenSpan] = []
    before = 0  # where the last token ended
    for index, (begin, end) in enumerate(encoding.offsets):
        shown = end - len(text[begin:end].lstrip())
        first, shows = shown >= before, shown < end  # several tokens of one character: only the first starts
        other = index == 0 or words[index] is None or words[index] != words[index - 1]
        sentence = first and shows and _pass(breaks, shown)
        word = first and (other or sentence or text[shown - 1 : shown].isspace())
        spans.append(TokenSpan(shown if shows else begin, end, index == 0 or word, index == 0 or sentence))
        before = max(before, end)
    return spans


def _sentence_breaks(text: str) -> list[int]:
    """Return where sentences begin after a break, last first."""
    return [match.end() for match in _SENTENCE_BREAK.finditer(text)][::-1]


def _pass(breaks: list[int], position: int) -> bool:
    """Drop the breaks up to a position from the end of the list; return whether there were any."""
    some = False
    while breaks and breaks[-1] <= position:
        breaks.pop()
        some = True
    return some
