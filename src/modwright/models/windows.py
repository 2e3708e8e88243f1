"""Long texts as overlapping windows: nothing is cut, and the answer can say which characters decided.

Windows begin and end at words where a word fits. Each base sees the same characters, whatever its tokenizer
makes of them; a window that is too long for one of several tokenizers is halved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from modwright.models.tokens import Tokenizer, TokenSpan
from modwright.schema import FloatArray, IntArray, Target, TargetKind


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
    """

    tokens: int
    overlap: float
    single_label: SingleLabelRule

    def cut(self, texts: Sequence[str], tokenizers: Sequence[Tokenizer]) -> list[list[tuple[int, int]]]:
        """Return for each text its windows as character spans [from, to), in order, at least one each."""
        first, others = tokenizers[0], tokenizers[1:]
        budget = max(1, self.tokens - first.specials)
        result: list[list[tuple[int, int]]] = []
        for text, tokens in zip(texts, first.spans(texts), strict=True):
            if len(tokens) <= budget:
                result.append(_fit(text, [(0, len(text))], others, self.tokens))
            else:
                spans = list(_cut_tokens(tokens, budget, int(budget * self.overlap)))
                # A window that begins inside a word may hold other tokens than the text did: check the first
                # too.
                result.append(_fit(text, spans, tokenizers, self.tokens))
        return result


def _cut_tokens(tokens: Sequence[TokenSpan], budget: int, repeat: int) -> Iterator[tuple[int, int]]:
    """Yield windows of at most `budget` tokens; each ends later than the one before."""
    begin, end = 0, _end(tokens, 0, budget)
    while True:
        yield tokens[begin].begin, tokens[end - 1].end
        if end == len(tokens):
            return
        following = _back_to_word(tokens, max(begin + 1, end - repeat), begin + 1)
        # Words that are long against the window leave no room for a repetition.
        begin = following if _end(tokens, following, budget) > end else end
        end = _end(tokens, begin, budget)


def _end(tokens: Sequence[TokenSpan], begin: int, budget: int) -> int:
    end = min(begin + budget, len(tokens))
    return end if end == len(tokens) else _back_to_word(tokens, end, begin + 1)


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
        return spans
    fitting: list[tuple[int, int]] = []
    pending = list(reversed(spans))
    while pending:
        begin, end = pending.pop()
        longest = max(tokenizer.lengths([text[begin:end]])[0] for tokenizer in tokenizers)
        if longest <= max_tokens or end - begin <= 1:
            fitting.append((begin, end))
        else:
            middle = (begin + end) // 2
            space = text.rfind(" ", (begin + middle) // 2, middle)
            middle = space if space > begin else middle
            pending += [(middle, end), (begin, middle)]
    return _outermost(fitting)


def _outermost(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in order without those that lie inside another, as halves of overlapping windows may."""
    kept: list[tuple[int, int]] = []
    for begin, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not kept or end > kept[-1][1]:
            kept.append((begin, end))
    return kept


def owners(windows: Sequence[Sequence[tuple[int, int]]]) -> IntArray:
    """Return for every window, in order, the number of the document it belongs to: (W,)."""
    return np.repeat(np.arange(len(windows)), [len(spans) for spans in windows]).astype(np.int64)


def combine(
    target: Target, scores: FloatArray, starts: IntArray, rule: SingleLabelRule
) -> tuple[FloatArray, IntArray]:
    """Combine window scores into document scores.

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
        return _highest(scores, starts, counts)
    if rule is SingleLabelRule.WORST and target.negative_labels:
        harmful = 1.0 - scores[:, [target.index(label) for label in target.negative_labels]].sum(axis=1)
        _, deciding = _highest(harmful[:, None], starts, counts)
        windows = deciding[:, 0]
        return scores[windows], np.repeat(windows[:, None], scores.shape[1], axis=1)
    mean = np.add.reduceat(scores, starts, axis=0) / counts[:, None]
    _, deciding = _highest(scores, starts, counts)
    return mean, deciding


def _highest(scores: FloatArray, starts: IntArray, counts: IntArray) -> tuple[FloatArray, IntArray]:
    """Return each document's maximum per column and the first window that reaches it."""
    best = np.maximum.reduceat(scores, starts, axis=0)
    reached = scores >= np.repeat(best, counts, axis=0)
    numbers = np.where(reached, np.arange(len(scores))[:, None], len(scores))
    return best, np.minimum.reduceat(numbers, starts, axis=0).astype(np.int64)
