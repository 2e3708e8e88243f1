"""Prompts: what is asked of one text, as tokens in parts that many texts share.

    head      special tokens, instructions, separator        the same for every text
    body      the text, or prompt and response               one per text
    endings   separator, question, answer                    one per question, the same for every text

A body's text cannot fake a part of the prompt: the separator, and everything the tokenizer reads as a special token, is
broken up visibly by a dot after its first character ("<separator>" becomes "<·separator>"), whatever the case of its
letters. That happens after windows are cut, so that the character spans of an answer are those of the text as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from modwright.errors import RecipeError, nearest
from modwright.models.label_tokens import answer_tokens, in_context
from modwright.models.tokens import Tokenizer
from modwright.recipe import PromptRecipe
from modwright.schema import Input, Schema, Target, TargetKind

_DOTS = "·•¦"


class Read(StrEnum):
    """How a target's scores are read."""

    LABELS = "labels"  # one word of several: a softmax over the words' first tokens
    QUESTIONS = "questions"  # yes or no for each label: a softmax over two tokens
    HEAD = "head"  # a linear layer on the last token's state


@dataclass(frozen=True, slots=True)
class Reading:
    """One target's answers within a form.

    Attributes:
        target: whose scores are read.
        read: how.
        endings: after which endings of the form: one, or one per label.
        words: tokens of what may be answered there: a word per label, or yes and no; none for a head.
    """

    target: Target
    read: Read
    endings: tuple[int, ...]
    words: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Form:
    """What is asked of every text under the same instructions: head, endings, and whose answers those are."""

    head: tuple[int, ...]
    endings: tuple[tuple[int, ...], ...]
    readings: tuple[Reading, ...]

    @property
    def extra_tokens(self) -> int:
        """Return the tokens of all endings, computed for every text."""
        return sum(len(ending) for ending in self.endings)


def read_of(target: Target, read: str) -> Read:
    """Return how a target is read under a recipe's `answer.read`.

    Raises:
        RecipeError: labels that hold independently cannot be one word of several.
    """
    wanted = Read(read)
    if wanted is Read.LABELS and target.kind is TargetKind.MULTI_LABEL:
        raise RecipeError(
            f"the labels of '{target.name}' hold independently, one word of several cannot say which",
            where="answer.read",
            remedy='read = "questions", or "head"',
        )
    if wanted is Read.QUESTIONS and target.kind is TargetKind.SINGLE_LABEL:
        return Read.LABELS
    return wanted


class Prompts:
    """The forms of a schema, and the bodies of inputs.

    Args:
        recipe: the templates and words.
        read: `answer.read` of the recipe.
        schema: the targets.
        tokenizer: of the base.
        context_tokens: of the turns before the last, at most; they are shortened from their beginning.

    Raises:
        RecipeError: a word of no label, words that cannot be told apart, or a target that cannot be read so.
    """

    def __init__(
        self, recipe: PromptRecipe, read: str, schema: Schema, tokenizer: Tokenizer, *, context_tokens: int
    ) -> None:
        self.recipe = recipe
        self.read = Read(read)
        self.tokenizer = tokenizer
        self.context_tokens = context_tokens
        self._marks = _marks(recipe.separator, tokenizer.special_texts())
        _check_words(recipe, schema)
        texts: dict[str, list[Target]] = {}
        for target in schema:
            texts.setdefault(self._head_text(target), []).append(target)
        self._heads = list(texts)
        self.forms = tuple(self._form(head, targets) for head, targets in texts.items())

    def bodies(
        self, form: int, inputs: Sequence[Input], windows: Sequence[Sequence[tuple[int, int]]]
    ) -> list[list[int]]:
        """Return the tokens of every window's body, inputs side by side: the window with its context around it."""
        texts = []
        for value, spans in zip(inputs, windows, strict=True):
            context = self._context(value)
            texts += [self._body_text(context, value[-1].content[begin:end]) for begin, end in spans]
        return in_context(self.tokenizer, self._heads[form], texts)

    def guarded(self, text: str) -> str:
        """Return a text in which nothing can be taken for a part of the prompt."""
        if self._marks is None:
            return text
        pattern, dot = self._marks
        while pattern.search(text):
            text = pattern.sub(lambda found: _broken(found[0], dot), text)
        return text

    def _context(self, value: Input) -> str | None:
        """Return the turns before the last, shortened from the beginning; None where there are none."""
        if len(value) == 1:
            return None
        turns = value[:-1]
        text = (
            turns[0].content
            if len(turns) == 1
            else "\n".join(f"{turn.role}: {turn.content}" for turn in turns)
        )
        (tokens,) = self.tokenizer.spans([text])
        if len(tokens) <= self.context_tokens:
            return text
        kept = tokens[-self.context_tokens :] if self.context_tokens else []
        start = next((token for token in kept if token.starts_word), kept[0] if kept else None)
        return text[start.begin :] if start is not None else ""

    def _body_text(self, context: str | None, text: str) -> str:
        if context is None:
            return _filled(self.recipe.text, {"text": self.guarded(text)})
        return _filled(self.recipe.pair, {"prompt": self.guarded(context), "response": self.guarded(text)})

    def _head_text(self, target: Target) -> str:
        words = ",".join(self._words(target).values())
        return (
            _filled(self.recipe.instructions, {"labels": words, "target": target.name})
            + self.recipe.separator
        )

    def _words(self, target: Target) -> dict[str, str]:
        return {label: self.recipe.words.get(label, label) for label in target.labels}

    def _form(self, head: str, targets: Sequence[Target]) -> Form:
        endings: dict[tuple[int, ...], int] = {}
        readings = []
        for target in targets:
            read = read_of(target, self.read)
            found = list(self._endings(target, read, head))
            places = tuple(endings.setdefault(ending, len(endings)) for ending, _ in found)
            readings.append(Reading(target, read, places, found[0][1]))
        start = self.tokenizer.leading() + self.tokenizer.plain_ids([head])[0]
        return Form(tuple(start), tuple(endings), tuple(readings))

    def _endings(
        self, target: Target, read: Read, head: str
    ) -> Iterator[tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]]:
        """Yield the tokens of each ending of a target, and of the words that may follow it."""
        recipe, answer = self.recipe, self.recipe.separator + self.recipe.answer
        if read is Read.HEAD:
            yield self._ending(answer), ()
        elif read is Read.LABELS:
            stem, words = answer_tokens(
                self.tokenizer, answer, self._words(target), f"target '{target.name}'"
            )
            yield self._ending(stem), tuple(words.values())
        else:
            sides = {"yes": recipe.yes, "no": recipe.no}
            for word in self._words(target).values():
                question = _filled(recipe.question, {"label": word, "target": target.name})
                whole = recipe.separator + question + answer
                stem, words = answer_tokens(self.tokenizer, whole, sides, "prompt.yes and prompt.no")
                yield self._ending(stem), (words["yes"], words["no"])

    def _ending(self, text: str) -> tuple[int, ...]:
        """Return an ending's tokens after a neutral text: no text's last character melts into them."""
        return tuple(in_context(self.tokenizer, _filled(self.recipe.text, {"text": "a"}), [text])[0])


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Put values into their places in one pass; braces inside a value mean nothing."""
    return re.sub(r"\{(\w+)\}", lambda place: values[place[1]], template)


def _marks(separator: str, specials: Sequence[str]) -> tuple[re.Pattern[str], str] | None:
    """Return a pattern of what a text must not hold, and a character that occurs in none of it."""
    found = [text for text in (separator.strip() or separator, *specials) if text]
    if not found:
        return None
    dot = next((dot for dot in _DOTS if not any(dot in text for text in found)), _DOTS[0])
    longest_first = sorted(dict.fromkeys(found), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE), dot


def _broken(mark: str, dot: str) -> str:
    return mark[0] + dot + mark[1:] if len(mark) > 1 else dot


def _check_words(recipe: PromptRecipe, schema: Schema) -> None:
    labels = [label for target in schema for label in target.labels]
    for label in recipe.words:
        if label not in labels:
            raise RecipeError(
                f"[prompt.words] names '{label}', which is no label",
                where="prompt.words",
                remedy=nearest(label, labels),
            )
