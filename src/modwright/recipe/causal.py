"""The recipe of the family `causal`: a decoder LLM whose answer is read from the logits of label tokens, or of a head."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, model_validator

from modwright.recipe.strict import Strict
from modwright.recipe.tuned import CommonTunedRecipe

#: What each part of a prompt may hold in braces.
_PLACES = {
    "instructions": ("labels", "target"),
    "text": ("text",),
    "pair": ("prompt", "response"),
    "question": ("label", "target"),
}
_MUST_HOLD = (("text", "text"), ("pair", "prompt"), ("pair", "response"), ("question", "label"))


class PromptRecipe(Strict):
    """The prompt as data: parts joined by the separator, and the words that the model answers with.

    The prompt is instructions, text (or pair), answer; with questions it is instructions, text, question, answer.
    `text` holds {text}, `pair` {prompt} and {response}, `question` {label}; `instructions` may hold {labels}, and both
    `instructions` and `question` {target}.
    """

    instructions: str
    separator: str
    text: str
    pair: str
    answer: str
    question: str
    yes: str = Field(min_length=1)
    no: str = Field(min_length=1)
    words: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_places(self) -> PromptRecipe:
        for key, places in _PLACES.items():
            for found in re.findall(r"\{(\w+)\}", getattr(self, key)):
                if found not in places:
                    known = ", ".join(f"{{{place}}}" for place in places)
                    raise ValueError(f"{key} holds {{{found}}}, expected {known}")
        for key, place in _MUST_HOLD:
            if f"{{{place}}}" not in getattr(self, key):
                raise ValueError(f"{key} does not hold {{{place}}}")
        for label, word in self.words.items():
            if not word.strip():
                raise ValueError(f"the word of '{label}' is {word!r}, expected one that shows")
        return self


class AnswerRecipe(Strict):
    """Where scores are read, and what the loss looks at."""

    read: Literal["labels", "questions", "head"]
    loss: Literal["label", "sequence"]

    @model_validator(mode="after")
    def _has_words(self) -> AnswerRecipe:
        if self.read == "head" and self.loss == "sequence":
            raise ValueError('read = "head" answers in no words, so loss = "sequence" has none to learn')
        return self


class AdapterRecipe(Strict):
    """Which weights are trained: low-rank adapters (LoRA), all, or none (zero-shot)."""

    method: Literal["lora", "full", "none"]
    rank: int = Field(ge=1)
    alpha: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    modules: list[str] = Field(min_length=1)


class ShardsRecipe(Strict):
    """Over how many processes the model is sharded; 1 is none."""

    processes: int = Field(ge=1)


class CausalRecipe(CommonTunedRecipe):
    """A resolved recipe of the family `causal`: every value stated."""

    family: Literal["causal"]
    prompt: PromptRecipe
    answer: AnswerRecipe
    adapter: AdapterRecipe
    shards: ShardsRecipe

    @model_validator(mode="after")
    def _has_answers(self) -> CausalRecipe:
        if self.adapter.method == "none" and self.answer.read == "head":
            raise ValueError(
                'adapter.method = "none" trains no head, so answer.read = "head" has none to read'
            )
        return self
