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


@dataclass(frozen=True, slots=True)
class JoinedRule(InputRule):
    """How inputs become rows of tokens; a text without context stands as it is.

    Attributes:
        pair: a template that holds {response}, and {prompt} where the model is to see it.
    """

    pair: str = PROMPT + " " + RESPONSE

    def encode(self, inputs: Sequence[Input], tokenizer: Tokenizer) -> TokenRows:
        """Return the rows of inputs, at least one each."""
        texts: list[str] = []
        spans: list[tuple[int, int]] = []
        counts = []
        for value in inputs:
            windows = list(self._texts(value, tokenizer))
            spans += [span for span, _ in windows]
            texts += [text for _, text in windows]
            counts.append(len(windows))
        return packed([tokenizer.joined(tokens) for tokens in tokenizer.plain_ids(texts)], spans, counts)

    def _texts(self, value: Input, tokenizer: Tokenizer) -> Iterator[tuple[tuple[int, int], str]]:
        """Yield the windows of a last turn: their characters, and the text that is scored."""
        last, context = value[-1].content, context_text(value)
        if len(value) == 1:
            (windows,) = self.window.cut([last], [tokenizer])
            yield from ((span, last[slice(*span)]) for span in windows)
            return
        whole = self._filled(context, last)
        if tokenizer.lengths([whole])[0] <= self.window.tokens:
            yield (0, len(last)), whole
            return
        alone = tokenizer.lengths([self._filled("", "")])[0]
        available = max(1, self.window.tokens - alone)
        before, context = self._end_of(context, tokenizer) if PROMPT in self.pair else (0, "")
        room = available - min(before, int(available * self.context_share))
        rule = replace(self.window, tokens=max(1, room) + tokenizer.specials)
        (windows,) = rule.cut([last], [tokenizer])
        if alone < self.window.tokens:
            # A template's pieces may melt with the text or part what was one token in it: no budget foresees that.
            windows = halved(last, windows, lambda part: self._fits(self._filled("", part), tokenizer))
        for span in windows:
            yield span, self._fitted(context, last[slice(*span)], tokenizer)

    def _end_of(self, context: str, tokenizer: Tokenizer) -> tuple[int, str]:
        """Return a context's number of tokens, and as much of its end as any window could hold."""
        (tokens,) = tokenizer.spans([context])
        kept = tokens[-self.window.tokens :]
        begin = kept[0].begin if len(kept) < len(tokens) else 0
        return len(tokens), context[max(begin, len(context) - _CHARACTERS * self.window.tokens) :]

    def _fits(self, text: str, tokenizer: Tokenizer) -> bool:
        return tokenizer.lengths([text])[0] <= self.window.tokens

    def _fitted(self, context: str, part: str, tokenizer: Tokenizer) -> str:
        """Return the template filled with a window and as much of the context's end as there is room for."""
        text = self._filled(context, part)
        while context and (excess := tokenizer.lengths([text])[0] - self.window.tokens) > 0:
            (tokens,) = tokenizer.spans([context])
            # One character may be several tokens: whatever begins where the context does takes nothing away.
            begin = next((token.begin for token in tokens[excess:] if token.begin > 0), len(context))
            context = context[begin:]
            text = self._filled(context, part)
        return text

    def _filled(self, context: str, part: str) -> str:
        given = {PROMPT: context, RESPONSE: part}
        return "".join(given.get(piece, piece) for piece in _PLACES.split(self.pair))
