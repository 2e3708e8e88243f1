"""Inputs as an encoder's token ids: a text alone, or the context and the last turn as a pair; nothing is lost unsaid.

The last turn is what is judged, so it is never cut: where it is too long for the window beside its context, the context
is shortened first, from its beginning, for its end is what the last turn answers. A last turn that is longer still is
cut into overlapping windows, each of them with the end of the context before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modwright.models.features import context_text
from modwright.models.runtime import Int64Array
from modwright.models.tokens import Tokenizer
from modwright.models.windows import WindowRule
from modwright.schema import Input, IntArray

#: A last turn of several windows leaves this share of each to its context; a shorter one leaves it all the rest.
CONTEXT_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class TokenRows:
    """The token ids of N inputs, one row per window.

    Attributes:
        ids: all rows' ids, one after the other, special tokens included.
        types: 1 for the tokens of the last turn of a pair where the tokenizer tells them apart, else 0.
        ends: (W,) where each row ends in `ids`.
        starts: (N,) where each input's windows begin.
        spans: (W, 2) characters [from, to) of the last turn.
    """

    ids: NDArray[np.int32]
    types: NDArray[np.uint8]
    ends: IntArray
    starts: IntArray
    spans: IntArray

    @property
    def lengths(self) -> IntArray:
        """Return (W,) the tokens of each row."""
        return np.diff(self.ends, prepend=0)

    @property
    def counts(self) -> IntArray:
        """Return (N,) the windows of each input."""
        return np.diff(np.append(self.starts, len(self.ends)))

    def batch(self, rows: Sequence[int] | IntArray) -> tuple[Int64Array, Int64Array, Int64Array]:
        """Return ids, mask and types (B, T) of some rows, padded on the right with 0 where the mask is 0."""
        lengths = self.lengths[rows]
        mask = np.arange(int(lengths.max(initial=1)))[None, :] < lengths[:, None]
        ids, types = np.zeros(mask.shape, dtype=np.int64), np.zeros(mask.shape, dtype=np.int64)
        for place, row in enumerate(rows):
            end, length = self.ends[row], lengths[place]
            ids[place, :length] = self.ids[end - length : end]
            types[place, :length] = self.types[end - length : end]
        return ids, mask.astype(np.int64), types


@dataclass(frozen=True, slots=True)
class InputRule:
    """How inputs become rows of tokens.

    Attributes:
        window: of the whole row, special tokens included.
        context_share: of a window that stays with the context where the last turn has several.
    """

    window: WindowRule
    context_share: float = CONTEXT_SHARE

    def encode(self, inputs: Sequence[Input], tokenizer: Tokenizer) -> TokenRows:
        """Return the rows of inputs, at least one each, none longer than the window."""
        lasts = [value[-1].content for value in inputs]
        contexts = [context_text(value) for value in inputs]
        plain = tokenizer.plain_ids(lasts)
        context_tokens = iter(tokenizer.plain_ids([text for text in contexts if text]))
        rows: list[tuple[list[int], list[int]]] = []
        spans: list[tuple[int, int]] = []
        counts = []
        for last, text, context in zip(plain, lasts, contexts, strict=True):
            before = next(context_tokens) if context else None
            windows = self._windows(text, last, before, tokenizer)
            rows += [tokenizer.joined(tokens, before, self.window.tokens) for _, tokens in windows]
            spans += [span for span, _ in windows]
            counts.append(len(windows))
        return packed(rows, spans, counts)

    def _windows(
        self, text: str, last: list[int], context: list[int] | None, tokenizer: Tokenizer
    ) -> list[tuple[tuple[int, int], list[int]]]:
        """Return the windows of a last turn: their characters and their tokens without special ones."""
        if context is None:
            room = self.window.tokens - tokenizer.specials
        else:
            available = self.window.tokens - tokenizer.pair_specials
            room = available - min(len(context), int(available * self.context_share))
        if len(last) <= room:
            return [((0, len(text)), last)]
        rule = replace(self.window, tokens=max(1, room) + tokenizer.specials)
        (windows,) = rule.cut([text], [tokenizer])
        return list(
            zip(windows, tokenizer.plain_ids([text[begin:end] for begin, end in windows]), strict=True)
        )


def packed(
    rows: Sequence[tuple[list[int], list[int]]], spans: Sequence[tuple[int, int]], counts: Sequence[int]
) -> TokenRows:
    """Return rows of ids and types with the characters of each, (W), and how many rows each input has, (N).

    An empty text under a tokenizer that adds no special tokens is one token 0: a mean over no token is no number.
    """
    rows = [row if row[0] else ([0], [0]) for row in rows]
    number = np.asarray(counts, dtype=np.int64)
    return TokenRows(
        ids=np.asarray([token for ids, _ in rows for token in ids], dtype=np.int32),
        types=np.asarray([kind for _, types in rows for kind in types], dtype=np.uint8),
        ends=np.cumsum([len(ids) for ids, _ in rows], dtype=np.int64),
        starts=(np.cumsum(number) - number).astype(np.int64),
        spans=np.asarray(spans, dtype=np.int64).reshape(-1, 2),
    )
