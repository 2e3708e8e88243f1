"""Prompts: what is asked of one text, as tokens in parts that many texts share.

    head      special tokens, instructions, separator        the same for every text
    body      the text, or prompt and response               one per text
    endings   separator, question, answer                    one per question, the same for every text

A body's text cannot fake a part of the prompt: the separator, and everything the tokenizer reads as a control token, is
broken up visibly by a dot after its first character ("<separator>" becomes "<·separator>"), whatever the case of its
letters and whatever forms of characters the tokenizer takes for the same. So is, in a pair, what the template says before
prompt and response ("Answer:"), and in a conversation a role at the beginning of a line ("assistant:"). That happens after
windows are cut, so that the character spans of an answer are those of the text as it came.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from modwright.errors import RecipeError, nearest
from modwright.models.label_tokens import answer_tokens, in_context
from modwright.models.tokens import Tokenizer
from modwright.recipe import PromptRecipe
from modwright.schema import Input, Role, Schema, Target, TargetKind

_DOTS = "·•¦"
_ROLE = re.compile(rf"^\s*(?:{'|'.join(Role)})\s*:", re.IGNORECASE | re.MULTILINE)


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
        found = [recipe.separator.strip() or recipe.separator, *tokenizer.control_texts()]
        self._marks = _pattern([text for text in found if text], "")
        self._dot = _dot_for(found, tokenizer)
        self._turns = _pattern(_literals(recipe.pair), r"(?<!\w)")
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
        found = in_context(self.tokenizer, self._heads[form], texts)
        # Without a head, a text of no tokens would leave nothing whose state could be read.
        return found if self.forms[form].head else [ids or self._blank() for ids in found]

    def guarded(self, text: str) -> str:
        """Return a text in which nothing can be taken for a part of the prompt."""
        text = self._broken(self._marks, text)
        for folded in (_folded, self.tokenizer.normalised):
            if self._marks is None or not self._marks.search(self.tokenizer.normalised(text)):
                break
            text = self._broken(self._marks, folded(text))
        return text

    def _broken(self, pattern: re.Pattern[str] | None, text: str) -> str:
        """Return a text in which nothing is left that a pattern finds."""
        while pattern is not None and pattern.search(text):
            text = pattern.sub(lambda found: _broken(found[0], self._dot), text)
        return text

    def _blank(self) -> list[int]:
        return self.tokenizer.plain_ids([" "])[0][:1] or [0]

    def _context(self, value: Input) -> str | None:
        """Return the turns before the last, shortened from the beginning; None where there are none."""
        if len(value) == 1:
            return None
        turns = value[:-1]
        text = (
            turns[0].content
            if len(turns) == 1
            else "\n".join(f"{turn.role}: {self._broken(_ROLE, turn.content)}" for turn in turns)
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
        context, text = (self._broken(self._turns, self.guarded(part)) for part in (context, text))
        return _filled(self.recipe.pair, {"prompt": context, "response": text})

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
        leading, start = self.tokenizer.leading(), self.tokenizer.plain_ids([head])[0]
        start = (
            start if start[: len(leading)] == leading else leading + start
        )  # instructions may name it themselves
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


def _pattern(marks: Sequence[str], before: str) -> re.Pattern[str] | None:
    """Return a pattern of what a text must not hold, whatever the case; None where that is nothing."""
    longest_first = sorted(dict.fromkeys(marks), key=len, reverse=True)
    every = "|".join(map(re.escape, longest_first))
    return re.compile(f"{before}(?:{every})", re.IGNORECASE) if every else None


def _dot_for(marks: Sequence[str], tokenizer: Tokenizer) -> str:
    """Return a character that occurs in no mark and that the tokenizer leaves as it is."""
    kept = [dot for dot in _DOTS if dot in tokenizer.normalised(dot)]
    return next((dot for dot in kept if not any(dot in text for text in marks)), _DOTS[0])


def _literals(template: str) -> list[str]:
    """Return what a template says around its places, where that shows a word."""
    return [part.strip() for part in re.split(r"\{\w+\}", template) if re.search(r"\w", part)]


def _folded(text: str) -> str:
    """Return a text in its plainest form: compatibility characters as the usual ones, invisible ones left out."""
    plain = unicodedata.normalize("NFKC", text)
    return "".join(character for character in plain if unicodedata.category(character) != "Cf")


def _broken(mark: str, dot: str) -> str:
    """Put a dot behind the first character that shows."""
    shown = len(mark) - len(mark.lstrip()) if mark.strip() else 0
    return mark[: shown + 1] + dot + mark[shown + 1 :] if len(mark) > 1 else dot


def _check_words(recipe: PromptRecipe, schema: Schema) -> None:
    labels = [label for target in schema for label in target.labels]
    for label in recipe.words:
        if label not in labels:
            raise RecipeError(
                f"[prompt.words] names '{label}', which is no label",
                where="prompt.words",
                remedy=nearest(label, labels),
            )
