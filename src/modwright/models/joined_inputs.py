"""A prompt and its response as one text, by a template, for models that were trained on such texts.

As everywhere, the response is never cut: the prompt is shortened first, from its beginning, and a response that is longer
still is scored in overlapping windows, each filled into the template with the end of the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from modwright.models.encoder_inputs import InputRule, TokenRows, packed
from modwright.models.features import context_text
from modwright.models.tokens import Tokenizer
from modwright.models.windows import halved
from modwright.schema import Input

PROMPT, RESPONSE = "{prompt}", "{response}"
_PLACES = re.compile(r"(\{prompt\}|\{response\})")
#: Characters of a prompt per token of a window, at most, beside a response of several windows: words are far shorter, and
#: what is longer (one unknown "word" of thousands of letters) would be read again for each of them.
_CHARACTERS = 16

#: A filled template: texts at the even places, between them the special tokens that the template spells.
Filled = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JoinedRule(InputRule):
    """How inputs become rows of tokens; a text without context stands as it is.

    Attributes:
        pair: a template that holds {response}, and {prompt} where the model is to see it.
    """

    pair: str = PROMPT + " " + RESPONSE

    def encode(self, inputs: Sequence[Input], tokenizer: Tokenizer) -> TokenRows:
        """Return the rows of inputs, at least one each."""
        texts: list[Filled] = []
        spans: list[tuple[int, int]] = []
        counts = []
        for value in inputs:
            windows = list(self._texts(value, tokenizer))
            spans += [span for span, _ in windows]
            texts += [text for _, text in windows]
            counts.append(len(windows))
        return packed([tokenizer.joined(tokens) for tokens in _ids(texts, tokenizer)], spans, counts)

    def _texts(self, value: Input, tokenizer: Tokenizer) -> Iterator[tuple[tuple[int, int], Filled]]:
        """Yield the windows of a last turn: their characters, and the text that is scored."""
        last, context = value[-1].content, context_text(value)
        if len(value) == 1:
            (windows,) = self.window.cut([last], [tokenizer])
            yield from ((span, (last[slice(*span)],)) for span in windows)
            return
        whole = self._filled(context, last, tokenizer)
        if _length(whole, tokenizer) <= self.window.tokens:
            yield (0, len(last)), whole
            return
        alone = _length(self._filled("", "", tokenizer), tokenizer)
        available = max(1, self.window.tokens - alone)
        before, context = self._end_of(context, tokenizer) if PROMPT in self.pair else (0, "")
        room = available - min(before, int(available * self.context_share))
        rule = replace(self.window, tokens=max(1, room) + tokenizer.specials)
        (windows,) = rule.cut([last], [tokenizer])
        if alone < self.window.tokens:
            # A template's pieces may melt with the text or part what was one token in it: no budget foresees that.
            windows = halved(last, windows, lambda part: self._fits(part, tokenizer))
        for span in windows:
            yield span, self._fitted(context, last[slice(*span)], tokenizer)

    def _end_of(self, context: str, tokenizer: Tokenizer) -> tuple[int, str]:
        """Return a context's number of tokens, and as much of its end as any window could hold."""
        (tokens,) = tokenizer.spans([context])
        kept = tokens[-self.window.tokens :]
        begin = kept[0].begin if len(kept) < len(tokens) else 0
        return len(tokens), context[max(begin, len(context) - _CHARACTERS * self.window.tokens) :]

    def _fits(self, part: str, tokenizer: Tokenizer) -> bool:
        return _length(self._filled("", part, tokenizer), tokenizer) <= self.window.tokens

    def _fitted(self, context: str, part: str, tokenizer: Tokenizer) -> Filled:
        """Return the template filled with a window and as much of the context's end as there is room for."""
        filled = self._filled(context, part, tokenizer)
        while context and (excess := _length(filled, tokenizer) - self.window.tokens) > 0:
            (tokens,) = tokenizer.spans([context])
            # One character may be several tokens: whatever begins where the context does takes nothing away.
            begin = next((token.begin for token in tokens[excess:] if token.begin > 0), len(context))
            context = context[begin:]
            filled = self._filled(context, part, tokenizer)
        return filled

    def _filled(self, context: str, part: str, tokenizer: Tokenizer) -> Filled:
        given = {PROMPT: context, RESPONSE: part}
        pieces = _split(self.pair, tokenizer)
        return tuple("".join(given.get(text, text) for text in _PLACES.split(piece)) for piece in pieces)


def _split(template: str, tokenizer: Tokenizer) -> list[str]:
    """Return a template parted at the special tokens that it spells, which stand at the odd places."""
    marks = [mark for mark in tokenizer.marks if mark and mark in template]
    if not marks:
        return [template]
    return re.split("(" + "|".join(map(re.escape, sorted(marks, key=len, reverse=True))) + ")", template)


def _ids(filled: Sequence[Filled], tokenizer: Tokenizer) -> list[list[int]]:
    """Return the tokens of filled templates: only what the template spells is special, never what a text does."""
    found = iter(tokenizer.plain_ids([text for pieces in filled for text in pieces[::2]]))
    rows = []
    for pieces in filled:
        row: list[int] = []
        for place, piece in enumerate(pieces):
            row += [tokenizer.marks[piece]] if place % 2 else next(found)
        rows.append(row)
    return rows


def _length(filled: Filled, tokenizer: Tokenizer) -> int:
    return len(_ids([filled], tokenizer)[0]) + tokenizer.specials
