"""Steps that look at one row at a time: its length, its language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np

from modwright.data.columnar import pl
from modwright.data.curate.part import Part
from modwright.data.curate.steps import Choice, Context, keep_where, missing
from modwright.errors import UsageError, nearest
from modwright.schema import BoolArray, IntArray

#: Languages that are told from too little text are guesses.
_PASSES_BELOW_CHARACTERS = 20


def judged(frame: pl.DataFrame) -> pl.Series:
    """Return (N,) what is judged of each row: the text, or the last turn."""
    last = pl.col("messages").list.last().struct.field("content")
    return frame.select(judged=pl.coalesce(pl.col("text"), last).fill_null(""))["judged"]


@dataclass(frozen=True, slots=True)
class Length:
    """Rows whose judged text (the last turn of a conversation) is too short or too long go.

    Attributes:
        min: fewest units that stay; 0 sets no bound.
        max: most units that stay; None sets no bound.
        unit: `characters`, `words` (between white space) or `tokens` (of the tokenizer that is passed).
    """

    name: ClassVar[str] = "length"
    random: ClassVar[bool] = False
    min: int = 0
    max: int | None = None
    unit: Literal["characters", "words", "tokens"] = "characters"

    def __post_init__(self) -> None:
        if self.min < 0 or (self.max is not None and self.max < self.min):
            raise UsageError(f"min is {self.min} and max {self.max}, expected 0 <= min <= max")

    def choose(self, part: Part, context: Context) -> Choice:
        """Return the rows within the bounds."""
        length = part.compute(self._measure(context))
        short = length < self.min
        long = length > self.max if self.max is not None else np.zeros(len(part), dtype=bool)
        why = {"too short": int(short.sum()), "too long": int(long.sum())}
        kept = np.flatnonzero(~short & ~long).astype(np.int64)
        return Choice(kept, {reason: n for reason, n in why.items() if n})

    def _measure(self, context: Context) -> Callable[[pl.DataFrame], IntArray]:
        if self.unit == "tokens":
            count = context.tokens()
            return lambda frame: np.asarray(count(judged(frame).to_list()), dtype=np.int64)
        if self.unit == "words":
            return lambda frame: _numbers(judged(frame).str.count_matches(r"\S+"))
        return lambda frame: _numbers(judged(frame).str.len_chars())


def _numbers(series: pl.Series) -> IntArray:
    return series.to_numpy().astype(np.int64)


@dataclass(frozen=True, slots=True)
class Language:
    """Rows in other languages go; texts that are too short to tell, stay.

    The language of a judged text is what py3langid says (Lui and Baldwin 2012, "langid.py: an off-the-shelf
    language identification tool").

    Attributes:
        allowed: ISO 639-1 codes, such as `en`.
        min_probability: a row goes only where the other language is at least so probable. Higher keeps more.
    """

    name: ClassVar[str] = "language"
    random: ClassVar[bool] = False
    allowed: tuple[str, ...]
    min_probability: float = 0.8

    def __post_init__(self) -> None:
        if not self.allowed or not 0 <= self.min_probability <= 1:
            raise UsageError("expected at least one allowed language, and min_probability in 0..1")

    def choose(self, part: Part, context: Context) -> Choice:
        """Return the rows in an allowed language, and those too short to tell."""
        identifier = _identifier()
        known = set(identifier.labels)
        for code in self.allowed:
            if code not in known:
                raise UsageError(f"the language '{code}' is not known", remedy=nearest(code, known))
        return keep_where(
            part.compute(lambda frame: self._allowed(judged(frame).to_list(), identifier)), "another language"
        )

    def _allowed(self, texts: list[str], identifier: Any) -> BoolArray:
        keep = np.ones(len(texts), dtype=bool)
        for row, text in enumerate(texts):
            if len(text) >= _PASSES_BELOW_CHARACTERS:
                code, probability = identifier.classify(text)
                keep[row] = code in self.allowed or probability < self.min_probability
        return keep


@lru_cache(maxsize=1)
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise missing("py3langid") from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
