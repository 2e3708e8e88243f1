"""Records that come as objects (JSONL lines, nested Parquet rows), gathered into columns chunk by chunk."""

from __future__ import annotations

import sys
from array import array
from typing import Any

import numpy as np

from modwright.data.columnar import pl, plain_series, stack_frames
from modwright.data.conversations import Conversations
from modwright.data.nested import NestedLabels
from modwright.data.options import Meaning
from modwright.data.problems import Problems
from modwright.data.statements import Statements, found, is_empty_number
from modwright.data.strict_json import decode
from modwright.data.tables import MESSAGES_TYPE, FileRows
from modwright.errors import nearest
from modwright.schema import Role

_CHUNK_ROWS = 20_000
_MAX_KEYS = 1_000
_LABELS = "labels"
_HEIGHT = "\0height"  # a column that keeps the height where no record has another key


class RowCollector:
    """Checks records and gathers them; at most a chunk of them is held as objects.

    Args:
        name: the file.
        meaning: which keys mean what.
        problems: collects what is wrong, with the line.
    """

    def __init__(self, name: str, meaning: Meaning, problems: Problems) -> None:
        self.name, self.meaning, self.problems = name, meaning, problems
        self.record_form = not meaning.columns
        self.statements = Statements(name, _LABELS, problems)
        self.stated = False
        self.lines = array("q")
        self.inputs: list[tuple[str | None, str | None, list[dict[str, str]] | None, float]] = []
        self.others: list[dict[str, Any]] = []
        self.keys: dict[str, None] = {}
        self.missed = _given_keys(meaning)
        self.input_frames: list[pl.DataFrame] = []
        self.other_frames: list[pl.DataFrame] = []
        self.conversations = Conversations(name, problems)
        self.nested = NestedLabels(name, meaning, problems)

    def add(self, line: int, record: dict[str, Any]) -> None:
        """Add one record; what is wrong with it becomes a problem."""
        others = dict(record)
        if self.missed:
            self.missed = {option: key for option, key in self.missed.items() if key not in record}
        text, messages = self._input(line, others)
        identity = self._id(line, others.pop(self.meaning.id or "id", None))
        weight = self._weight(line, others.pop(self.meaning.weight or "weight", None))
        if self.record_form:
            stated = others.pop(_LABELS, None)
            self.stated = self.stated or stated is not None
            if self.meaning.openai and stated is None:
                text, messages = self._answered(line, messages)
            self.statements.add(len(self.lines), line, stated)
        self.nested.take(len(self.lines), line, others)
        self.lines.append(line)
        self.inputs.append((identity, text, messages, weight))
        self.others.append(others)
        if len(self.inputs) >= _CHUNK_ROWS:
            self._flush()

    def _input(self, line: int, record: dict[str, Any]) -> tuple[str | None, list[dict[str, str]] | None]:
        """Take text or messages out of a record."""
        meaning = self.meaning
        if meaning.messages is not None:
            return self._named_messages(line, record, meaning.messages)
        if meaning.text is not None:
            return self._string(line, record, meaning.text), None
        if meaning.prompt is not None and meaning.response is not None:
            return None, self._pair(line, record, meaning.prompt, meaning.response)
        text, messages = record.get("text"), record.get("messages")
        pair = record.get("prompt") is not None or record.get("response") is not None
        ways = (
            ["text"] * (text is not None) + ["messages"] * (messages is not None) + ["prompt/response"] * pair
        )
        if len(ways) > 1:
            self._wrong(
                line, None, f"found {' and '.join(ways)}, expected one of them", "give --text KEY to choose"
            )
            return None, None
        if messages is not None:
            record.pop("text", None)
            return None, self.conversations.read(line, "messages", record.pop("messages"))
        if pair:
            return None, self._pair(line, record, "prompt", "response")
        if text is None and "text" not in record:
            expected = "expected 'text', 'messages' or 'prompt' and 'response'"
            keys = ", ".join(repr(key) for key in list(record)[:12]) or "no keys"
            self._wrong(
                line, "text", f"found {keys}; {expected}", "name the key that holds the text: --text KEY"
            )
            return None, None
        return self._string(line, record, "text"), None

    def _named_messages(
        self, line: int, record: dict[str, Any], key: str
    ) -> tuple[str | None, list[dict[str, str]] | None]:
        """Take the conversation under the key the user named, or the text beside it."""
        value, other = record.pop(key, None), self.meaning.text
        if value is not None:
            if other is not None and record.pop(other, None) is not None:
                self._wrong(
                    line, key, f"found '{key}' and '{other}', expected one of them", "leave one of them out"
                )
            return None, self.conversations.read(line, key, value)
        if other is not None:
            return self._string(line, record, other), None
        there = ", ".join(repr(name) for name in list(record)[:12]) or "no other"
        remedy = "add it, or name the right key with --messages"
        self._wrong(
            line, key, f"found nothing under '{key}', expected a conversation; there is {there}", remedy
        )
        return None, None

    def _answered(
        self, line: int, messages: list[dict[str, str]] | None
    ) -> tuple[str | None, list[dict[str, str]] | None]:
        """Take the label out of the last message; one user's turn that is left is a text."""
        if messages is None or len(messages) < 2 or messages[-1]["role"] != Role.ASSISTANT:
            shown = "no messages" if messages is None else f"{len(messages)} messages"
            if messages:
                shown += f", the last one of the role {messages[-1]['role']}"
            remedy = (
                "end the conversation with an assistant's message that is the label, or leave out --openai"
            )
            self._wrong(
                line, "messages", f"found {shown}, expected an assistant's message after another", remedy
            )
            return None, messages
        *rest, answer = messages
        place = f"messages[{len(rest)}].content"
        self.statements.state(len(self.lines), line, place, self.meaning.target, _answer(answer["content"]))
        if len(rest) == 1 and rest[0]["role"] == Role.USER:
            return rest[0]["content"], None
        return None, rest

    def _string(self, line: int, record: dict[str, Any], key: str) -> str | None:
        if key not in record:
            there = ", ".join(repr(other) for other in list(record)[:12]) or "no other"
            remedy = "add it, or name the right key with --text, --prompt or --response"
            self._wrong(line, key, f"the key '{key}' is missing, expected a string; there is {there}", remedy)
            return None
        value = record.pop(key)
        if isinstance(value, str):
            return value
        self._wrong(line, key, f"found {found(value)}, expected a string", "quote the text")
        return None

    def _pair(
        self, line: int, record: dict[str, Any], prompt: str, response: str
    ) -> list[dict[str, str]] | None:
        asked, answered = self._string(line, record, prompt), self._string(line, record, response)
        if asked is None or answered is None:
            return None
        return [{"role": Role.USER, "content": asked}, {"role": Role.ASSISTANT, "content": answered}]

    def _id(self, line: int, value: Any) -> str | None:
        if value is None or (isinstance(value, str) and value):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        shown = "an empty string" if value == "" else found(value)
        self._wrong(
            line, self.meaning.id or "id", f"found {shown}, expected a string or a whole number", "quote it"
        )
        return None

    def _weight(self, line: int, value: Any) -> float:
        if value is None or is_empty_number(value):
            return 1.0
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and 0 <= value <= sys.float_info.max:
            return float(value)
        key = self.meaning.weight or "weight"
        self._wrong(
            line, key, f"found {found(value)}, expected a finite number of at least 0", "1 counts a row once"
        )
        return 1.0

    def _wrong(self, line: int, place: str | None, message: str, remedy: str) -> None:
        self.problems.add(message, file=self.name, line=line, field=place, remedy=remedy)

    def _flush(self) -> None:
        """Turn the held records into columns."""
        ids, texts, messages, weights = zip(*self.inputs, strict=True)
        self.input_frames.append(
            pl.DataFrame(
                {
                    "id": pl.Series(ids, dtype=pl.String),
                    "text": pl.Series(texts, dtype=pl.String),
                    "messages": pl.Series(messages, dtype=MESSAGES_TYPE),
                    "weight": pl.Series(weights, dtype=pl.Float64),
                }
            )
        )
        keys = dict.fromkeys(key for record in self.others for key in record)
        if not self.has_room_for(keys):
            keys = {}
        columns = [plain_series(key, [record.get(key) for record in self.others]) for key in keys]
        frame = pl.DataFrame([pl.Series(_HEIGHT, [None] * len(self.others), dtype=pl.Null), *columns])
        self.other_frames.append(frame)
        self.inputs, self.others = [], []

    def has_room_for(self, keys: dict[str, None]) -> bool:
        """Add to the keys seen so far; False where they have become too many, which is a problem."""
        self.keys |= keys
        if len(self.keys) <= _MAX_KEYS:
            return True
        remedy = "keep what varies from record to record under one key"
        found = f"found {len(self.keys):,} different keys, expected at most {_MAX_KEYS:,}"
        self._wrong(self.lines[-1], None, found, remedy)
        return False

    def finish(self, notes: list[str]) -> FileRows:
        """Return the rows of the file."""
        if self.inputs:
            self._flush()
        notes += self.conversations.notes()
        number = len(self.lines)
        if number:
            self._refuse_missed_keys()
        columns = stack_frames(self.other_frames)
        return FileRows(
            name=self.name,
            lines=np.array(self.lines, dtype=np.int64),
            inputs=pl.concat(self.input_frames) if self.input_frames else pl.DataFrame(),
            columns=columns.drop(_HEIGHT) if number else columns,
            claims=self.statements.claims(number),
            notes=tuple(notes),
            nested=self.nested.claims(number),
            stated=self.stated,
        )

    def _refuse_missed_keys(self) -> None:
        """Add a problem for each key that was given and that no record has."""
        listed = ", ".join(repr(key) for key in list(self.keys)[:40]) or "none"
        for option, key in self.missed.items():
            self.problems.add(
                f"no record has the key '{key}' (--{option}); the other keys are {listed}",
                file=self.name,
                field=key,
                remedy=nearest(key, self.keys),
            )


def _given_keys(meaning: Meaning) -> dict[str, str]:
    """Return option to key where a record may lack the key; where it may not, every one that does is a problem."""
    both = meaning.text is not None and meaning.messages is not None
    options = ("id", "weight", "text", "messages") if both else ("id", "weight")
    given = {option: getattr(meaning, option) for option in options}
    return {option: key for option, key in given.items() if key is not None}


def _answer(content: str) -> Any:
    """Return the labels of an answer: a JSON list of labels, else one class."""
    if content.lstrip().startswith("["):
        try:
            listed = decode(content)
        except (ValueError, RecursionError):
            return content
        return listed if isinstance(listed, list) else content
    return content
