"""The normaliser: disguised text in, the text as a reader takes it out, with every character's place in the original.

Zero-width characters, letters of other scripts that look the same, spaced-out words and their like hide an insult from a
model and not from people. Each step here undoes one such disguise, and only where what it finds is hardly ever meant
otherwise: a Cyrillic word stays Cyrillic, joiners stay in Persian and in emoji, `covid19` and `mp3` stay as they are.

A normaliser is part of a model: the artifact says which steps of which version it was trained with
(`model/normalise.json`), and every text that is scored goes through the same ones. What a version makes of a text never
changes; other rules are another version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from modwright.artifact import MODEL
from modwright.errors import ArtifactError, SchemaError, nearest
from modwright.files import read_json, write_json
from modwright.models.disguised_letters import compatibility, invisible
from modwright.models.disguised_words import leetspeak, repeats, spacing
from modwright.models.edits import Edit, edited
from modwright.models.lookalikes import lookalikes
from modwright.models.reading import reading_model
from modwright.schema import Input, IntArray, check_keys

VERSION = 1
NORMALISE_FILE = "normalise.json"
#: The steps by name, in the order in which they are applied, whatever the order they are named in.
STEPS: Mapping[str, Callable[[str], Iterable[Edit]]] = {
    "invisible": invisible,
    "compatibility": compatibility,
    "lookalikes": lookalikes,
    "spacing": spacing,
    "leetspeak": leetspeak,
    "repeats": repeats,
}


@dataclass(frozen=True, slots=True)
class Normalised:
    """A normalised text of n characters and where they stood.

    Attributes:
        text: what the model reads.
        begins: (n + 1,) where in the original what begins at each character begins; None where nothing was changed.
        ends: (n + 1,) where in the original what ends before each character ends; None where nothing was changed.
    """

    text: str
    begins: IntArray | None = None
    ends: IntArray | None = None

    def original(self, spans: IntArray) -> IntArray:
        """Return character spans [from, to) of the original for spans of the text, (..., 2); whole stays whole."""
        if self.begins is None or self.ends is None:
            return spans
        return np.stack([self.begins[spans[..., 0]], self.ends[spans[..., 1]]], axis=-1)


@dataclass(frozen=True, slots=True)
class Normaliser:
    """Steps of one version.

    Attributes:
        steps: names in `STEPS`, in the order of application.

    Raises:
        SchemaError: an unknown step; the nearest is named.
    """

    steps: tuple[str, ...]

    def __post_init__(self) -> None:
        for step in self.steps:
            if step not in STEPS:
                raise SchemaError(
                    f"unknown step '{step}'", where="normalise.steps", remedy=nearest(step, STEPS)
                )
        object.__setattr__(self, "steps", tuple(step for step in STEPS if step in self.steps))

    def text(self, text: str) -> str:
        """Return a text as the model reads it."""
        for step in self.steps:
            edits = list(STEPS[step](text))
            text = edited(text, edits) if edits else text
        return text

    def aligned(self, text: str) -> Normalised:
        """Return a text as the model reads it, and where each of its characters stood."""
        original, begins, ends = text, np.arange(len(text)), np.arange(1, len(text) + 1)
        for step in self.steps:
            if edits := list(STEPS[step](text)):
                begins, ends = _moved(begins, ends, edits)
                text = edited(text, edits)
        if text == original:
            return Normalised(text)
        last = np.asarray([len(original)], dtype=np.int64)
        begins, ends = np.concatenate([begins, last]), np.concatenate([last * 0, ends])
        begins[0], ends[-1] = 0, len(original)
        return Normalised(text, begins, ends)

    def inputs(self, inputs: Sequence[Input]) -> list[Input]:
        """Return inputs with every turn normalised; an input in which nothing changes is the very object given."""
        return [self._input(value) for value in inputs]

    def _input(self, value: Input) -> Input:
        contents = [self.text(message.content) for message in value]
        if all(text == message.content for text, message in zip(contents, value, strict=True)):
            return value
        return tuple(replace(message, content=text) for text, message in zip(contents, value, strict=True))

    def to_json(self) -> dict[str, Any]:
        """Return version and steps as JSON-ready data."""
        return {"version": VERSION, "steps": list(self.steps)}

    def save(self, folder: Path) -> None:
        """Write `model/normalise.json` below an artifact folder."""
        (folder / MODEL).mkdir(parents=True, exist_ok=True)
        write_json(folder / MODEL / NORMALISE_FILE, self.to_json())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; raises ArtifactError where it is malformed or of a version that is not known here."""
        path = folder / MODEL / NORMALISE_FILE
        with reading_model(folder):
            data = read_json(path)
            check_keys(data, {"version", "steps"}, str(path))
            if data["version"] != VERSION:
                raise ArtifactError(
                    f"the normaliser's version is {data['version']!r}, this modwright has {VERSION}",
                    where=str(path),
                    remedy="use the modwright version that wrote it, or train again",
                )
            return cls(tuple(str(step) for step in data["steps"]))


def _moved(begins: IntArray, ends: IntArray, edits: Sequence[Edit]) -> tuple[IntArray, IntArray]:
    """Return (n',) where the characters of the edited text begin and end in the original."""
    from_, to, size = np.asarray([(edit.begin, edit.end, len(edit.text)) for edit in edits]).T
    bounds = np.zeros(len(begins) + 1, dtype=np.int64)
    bounds[from_] += 1
    bounds[to] -= 1
    times = 1 - np.cumsum(bounds[:-1])  # how often each character's place stands in the edited text
    times[from_] = size
    last = ends.copy()
    last[from_] = ends[to - 1]
    return np.repeat(begins, times), np.repeat(last, times)
