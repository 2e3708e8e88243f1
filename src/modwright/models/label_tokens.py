"""Label words as tokens in their prompt: which token's logit stands for which label.

A word's tokens depend on what stands before it, so it is tokenized with the prompt and against it. Two conditions make a
logit an answer: the word leaves the prompt's own tokens as they are, and no two words begin with the same token. Both are
checked once, when the prompts are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modwright.errors import RecipeError
from modwright.models.tokens import Tokenizer

_WHERE = "prompt.words"


def continuations(tokenizer: Tokenizer, before: str, pieces: Sequence[str]) -> list[list[int] | None]:
    """Return the tokens that each piece adds after a text; None where it would change the text's own tokens."""
    start = tokenizer.plain_ids([before])[0]
    whole = tokenizer.plain_ids([before + piece for piece in pieces])
    return [ids[len(start) :] if ids[: len(start)] == start else None for ids in whole]


def in_context(tokenizer: Tokenizer, before: str, pieces: Sequence[str]) -> list[list[int]]:
    """Return each piece's tokens after a text; where the two would melt into each other, those it has alone."""
    found = continuations(tokenizer, before, pieces)
    missing = [piece for piece, ids in zip(pieces, found, strict=True) if ids is None]
    alone = iter(tokenizer.plain_ids(missing))
    return [next(alone) if ids is None else ids for ids in found]


def answer_tokens(
    tokenizer: Tokenizer, before: str, words: Mapping[str, str], what: str
) -> tuple[str, dict[str, tuple[int, ...]]]:
    """Return the prompt's text right before the answer, and each label's tokens after it.

    Blanks at the prompt's end belong to the word where the tokenizer writes them as one token with it (" Yes"), as
    nearly all do; then the text that is returned has none.

    Args:
        tokenizer: of the base.
        before: the prompt's end.
        words: label to the word that stands for it.
        what: whose answers these are, for messages.

    Raises:
        RecipeError: a word changes the prompt's tokens, or two begin with the same one; the tokens are shown.
    """
    for stem in dict.fromkeys((before, before.rstrip(" "))):
        blanks = before[len(stem) :]
        found = continuations(tokenizer, stem, [blanks + word for word in words.values()])
        if all(found):
            tokens = {label: tuple(ids or ()) for label, ids in zip(words, found, strict=True)}
            _refuse_alike(tokenizer, tokens, words, what)
            return stem, tokens
    _refuse_melting(tokenizer, before, words, what)
    raise AssertionError("a word without tokens was found and is not there")


def _refuse_alike(
    tokenizer: Tokenizer, tokens: Mapping[str, tuple[int, ...]], words: Mapping[str, str], what: str
) -> None:
    first: dict[int, str] = {}
    for label, ids in tokens.items():
        other = first.setdefault(ids[0], label)
        if other == label:
            continue
        shown = "; ".join(f"{words[name]!r} is {tokenizer.names(of)}" for name, of in tokens.items())
        raise RecipeError(
            f"the words of '{other}' and '{label}' ({what}) begin with the same token after this prompt, so no logit "
            f"tells them apart: {shown}",
            where=_WHERE,
            remedy=_remedy(label),
        )


def _refuse_melting(tokenizer: Tokenizer, before: str, words: Mapping[str, str], what: str) -> None:
    stem = before.rstrip(" ")
    blanks = before[len(stem) :]
    for label, word in words.items():
        if not continuations(tokenizer, stem, [blanks + word])[0]:
            alone, together = tokenizer.plain_ids([stem, before + word])
            raise RecipeError(
                f"the word {word!r} of '{label}' ({what}) melts into the prompt before it: its end is "
                f"{tokenizer.names(alone[-3:])}, with the word {tokenizer.names(together[-4:])}",
                where=_WHERE,
                remedy=_remedy(label) + ", or end prompt.answer otherwise",
            )


def _remedy(label: str) -> str:
    return f'give the label another word: [prompt.words] with "{label}" = "…"'
