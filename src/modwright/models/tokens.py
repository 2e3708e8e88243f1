"""A base's tokenizer: ids for the graph, character offsets for windows; never truncation or padding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modwright.errors import ArtifactError, MissingExtraError

TOKENIZER_FILE = "tokenizer.json"
#: What ends a sentence when white space follows, and what ends one by itself.
_STOPS = frozenset(".!?…。！？")
_WIDE_STOPS = frozenset("。！？")
#: Half a character, as broken JSON escapes give; no tokenizer takes one.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """One token of a text: characters [begin, end), and whether it starts a word or a sentence."""

    begin: int
    end: int
    starts_word: bool
    starts_sentence: bool


class Tokenizer:
    """Wraps a `tokenizer.json`.

    Args:
        path: the file.

    Raises:
        ArtifactError: the file is missing or is no tokenizer.
    """

    def __init__(self, path: Path) -> None:
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
        self.specials = int(self._backend.num_special_tokens_to_add(False))

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return token ids with the special tokens, one list per text, never cut."""
        return [encoding.ids for encoding in self._backend.encode_batch(_whole(texts))]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, special tokens included."""
        return [len(ids) for ids in self.ids(texts)]

    def spans(self, texts: Sequence[str]) -> list[list[TokenSpan]]:
        """Return each text's tokens with their characters, special tokens left out."""
        encodings = self._backend.encode_batch(_whole(texts), add_special_tokens=False)
        return [_spans(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]


def _whole(texts: Sequence[str]) -> list[str]:
    """Return the texts with U+FFFD for every lone surrogate; no character moves."""
    return [_LONE_SURROGATE.sub("\ufffd", text) for text in texts]


def _spans(text: str, encoding: Any) -> list[TokenSpan]:
    words, offsets = encoding.word_ids, encoding.offsets
    spans = []
    for index, (begin, end) in enumerate(offsets):
        word = index == 0 or words[index] is None or words[index] != words[index - 1]
        gap = (offsets[index - 1][1], begin) if index else (0, 0)
        spans.append(TokenSpan(begin, end, word, word and _is_sentence_break(text, *gap)))
    return spans


def _is_sentence_break(text: str, end: int, begin: int) -> bool:
    """Return whether a sentence ends between a token's end and the next one's begin: a stop and a space, or a line."""
    between = text[end:begin]
    stops = _WIDE_STOPS if not between else _STOPS
    return "\n" in between or (end > 0 and text[end - 1] in stops)
