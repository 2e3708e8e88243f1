"""Long texts as overlapping windows: nothing is cut, and the answer can say which characters decided.

Windows begin and end at sentences where one begins or ends in reach, else at words, so that what was written as one
thing is mostly scored as one thing. Each base sees the same characters, whatever its tokenizer makes of them; a window
that is too long for one of several tokenizers is halved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np

from modwright.models.tokens import Tokenizer, TokenSpan
from modwright.schema import FloatArray, IntArray, Target, TargetKind, check_keys

#: A text longer than this many windows is scored at its edges, too.
_MANY_WINDOWS = 4
#: Windows begin at least this part of a window apart, however short the sentences.
_LEAST_STEP = 4


class SingleLabelRule(StrEnum):
    """How the windows of one document are combined for a single-label target."""

    MEAN = "mean"  # average of the windows' probabilities
    WORST = "worst"  # the window in which the negative labels are least probable; mean where there is none


@dataclass(frozen=True, slots=True)
class WindowRule:
    """How texts become windows.

    Attributes:
        tokens: longest window in tokens, special tokens included.
        overlap: share of a window that the next one repeats, 0 to under 1.
        single_label: how the windows of a single-label target are combined.
        edges: shares of a window; a text of many windows is also scored in windows of these lengths at its beginning and
            end, where an insult hides behind, or before, a long harmless text.
    """

    tokens: int
    overlap: float
    single_label: SingleLabelRule
    edges: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the rule as JSON-ready data."""
        return {
            "tokens": self.tokens,
            "overlap": self.overlap,
            "single_label": str(self.single_label),
            "edges": list(self.edges),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str) -> Self:
        """Rebuild from `to_json` data; raises SchemaError, LookupError, TypeError or ValueError where it is malformed."""
        check_keys(data, {"tokens", "overlap", "single_label", "edges"}, where)
        return cls(
            int(data["tokens"]),
            float(data["overlap"]),
            SingleLabelRule(data["single_label"]),
            tuple(float(share) for share in data["edges"]),
        )

    def cut(self, texts: Sequence[str], tokenizers: Sequence[Tokenizer]) -> list[list[tuple[int, int]]]:
        """Return for each text its windows as character spans [from, to), in order, at least one each."""
        first, others = tokenizers[0], tokenizers[1:]
        budget = max(1, self.tokens - first.specials)
        result: list[list[tuple[int, int]]] = []
        for text, tokens in zip(texts, first.spans(texts), strict=True):
            if len(tokens) <= budget:
                result.append(_fit(text, [(0, len(text))], others, self.tokens))
            else:
                spans = [
                    *_cut_tokens(tokens, budget, int(budget * self.overlap)),
                    *self._edges(tokens, budget),
                ]
                # A window that begins inside a word may hold other tokens than the text did: check the first
                # too.
                result.append(_fit(text, spans, tokenizers, self.tokens))
        return result

    def _edges(self, tokens: Sequence[TokenSpan], budget: int) -> Iterator[tuple[int, int]]:
        if len(tokens) <= _MANY_WINDOWS * budget:
            return
        for share in self.edges:
            size = max(1, int(budget * share))
            yield tokens[0].begin, tokens[_back_to_word(tokens, size, 1) - 1].end
            last = _back_to_word(tokens, len(tokens) - size, len(tokens) - budget)
            yield tokens[last].begin, tokens[-1].end


def _cut_tokens(tokens: Sequence[TokenSpan], budget: int, repeat: int) -> Iterator[tuple[int, int]]:
    """Yield windows of at most `budget` tokens; each repeats about `repeat` of the one before, more for a sentence."""
    total, least = len(tokens), math.ceil(budget / _LEAST_STEP)
    begin = 0
    while True:
        end = _end(tokens, begin, budget)
        yield tokens[begin].begin, tokens[end - 1].end
        if end == total:
            break
        begin = _next(tokens, begin, end, least, budget - repeat)
    for start in _ends(tokens, begin, budget, least):
        yield tokens[start].begin, tokens[-1].end


def _ends(tokens: Sequence[TokenSpan], begin: int, budget: int, least: int) -> Iterator[int]:
    """Yield where else windows begin that reach the end of the text: its end reads there as it does alone.

    At sentences in the last window, `least` apart and long, and at the last sentence of all, however short.
    """
    total = len(tokens)
    for start in range(total - 1, total - budget - 1, -1):
        if tokens[start].starts_sentence:
            yield start
            break
    for start in range(begin + least, total - least + 1):
        if tokens[start].starts_sentence and start >= begin + least:
            begin = start
            yield start


def _end(tokens: Sequence[TokenSpan], begin: int, budget: int) -> int:
    """Return where a window ends: at the last sentence end in its second half, else at a word."""
    end = min(begin + budget, len(tokens))
    if end == len(tokens):
        return end
    for candidate in range(end, begin + budget // 2, -1):
        if tokens[candidate].starts_sentence:
            return candidate
    return _back_to_word(tokens, end, begin + 1)


def _next(tokens: Sequence[TokenSpan], begin: int, end: int, least: int, step: int) -> int:
    """Return where the next window begins: at the first sentence at least `least` on, else a full step on, at a word."""
    furthest = min(begin + max(1, step), end)
    for candidate in range(begin + least, furthest + 1):
        if tokens[candidate].starts_sentence:
            return candidate
    return _back_to_word(tokens, furthest, min(begin + least, furthest))


def _back_to_word(tokens: Sequence[TokenSpan], index: int, lowest: int) -> int:
    """Return the nearest word start from `index` down to `lowest`, or `index` itself where there is none."""
    for candidate in range(index, lowest - 1, -1):
        if tokens[candidate].starts_word:
            return candidate
    return index


def _fit(
    text: str, spans: list[tuple[int, int]], tokenizers: Sequence[Tokenizer], max_tokens: int
) -> list[tuple[int, int]]:
    """Halve, at a space where there is one, what is too long for one of the tokenizers."""
    if not tokenizers:
        return sorted(set(spans))
    return halved(
        text,
        spans,
        lambda part: max(tokenizer.lengths([part])[0] for tokenizer in tokenizers) <= max_tokens,
    )


def halved(text: str, spans: Sequence[tuple[int, int]], fits: Callable[[str], bool]) -> list[tuple[int, int]]:
    """Return spans in order, each halved, at a space where there is one, until it fits or is one character."""
    fitting: list[tuple[int, int]] = []
    pending = list(reversed(spans))
    while pending:
        begin, end = pending.pop()
        if end - begin <= 1 or fits(text[begin:end]):
            fitting.append((begin, end))
        else:
            middle = (begin + end) // 2
            space = text.rfind(" ", (begin + middle) // 2, middle)
            middle = space if space > begin else middle
            pending += [(middle, end), (begin, middle)]
    return sorted(set(fitting))


def owners(windows: Sequence[Sequence[tuple[int, int]]]) -> IntArray:
    """Return for every window, in order, the number of the document it belongs to: (W,)."""
    return np.repeat(np.arange(len(windows)), [len(spans) for spans in windows]).astype(np.int64)


def combine(
    target: Target, scores: FloatArray, starts: IntArray, rule: SingleLabelRule
) -> tuple[FloatArray, IntArray]:
    """Combine window scores into document scores.

    Multi-label: the highest score of each label; of a negative label the lowest, for a text is harmless only where all of
    it is. Single-label: by the rule.

    Args:
        target: whose labels the columns are.
        scores: (W, L) window probabilities, the windows of one document side by side.
        starts: (N,) where each document's windows begin.
        rule: for single-label targets.

    Returns:
        Document probabilities (N, L), and (N, L) the number of the window that decided each label.
    """
    counts = np.diff(np.append(starts, len(scores)))
    if target.kind is TargetKind.MULTI_LABEL:
        signs = signs_of(target)
        best, deciding = _highest(signs * scores, starts, counts)
        return signs * best, deciding
    if rule is SingleLabelRule.WORST and target.negative_labels:
        harmful = 1.0 - scores[:, [target.index(label) for label in target.negative_labels]].sum(axis=1)
        _, deciding = _highest(harmful[:, None], starts, counts)
        windows = deciding[:, 0]
        return scores[windows], np.repeat(windows[:, None], scores.shape[1], axis=1)
    mean = np.add.reduceat(scores, starts, axis=0) / counts[:, None]
    _, deciding = _highest(scores, starts, counts)
    return mean, deciding


def signs_of(target: Target) -> FloatArray:
    """Return (L,) -1 for negative labels, 1 for the others: what makes the window that decides the highest."""
    return np.asarray([-1.0 if label in target.negative_labels else 1.0 for label in target.labels])


def _highest(scores: FloatArray, starts: IntArray, counts: IntArray) -> tuple[FloatArray, IntArray]:
    """Return each document's maximum per column and the first window that reaches it."""
    best = np.maximum.reduceat(scores, starts, axis=0)
    reached = scores >= np.repeat(best, counts, axis=0)
    numbers = np.where(reached, np.arange(len(scores))[:, None], len(scores))
    return best, np.minimum.reduceat(numbers, starts, axis=0).astype(np.int64)
