"""A file of texts in, a file of scores out: JSONL lines, streamed, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from modwright.errors import DataError, UsageError, nearest
from modwright.files import locked
from modwright.schema import Input, Message, Role, pair_input, text_input
from modwright.serving.engine import DEFAULT_OPERATING_POINT, Engine, Judgement

_CHUNK = 256
_INPUT_KEYS = ("text", "messages", "prompt", "response")


@dataclass(frozen=True, slots=True)
class Line:
    """One input line: what is judged, and the id it is answered under."""

    id: str | int
    input: Input


def predict(
    engine: Engine,
    source: Path,
    output: Path,
    *,
    operating_point: str = DEFAULT_OPERATING_POINT,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Score every line of a JSONL file and write one JSONL line each, in order; returns how many.

    Each line holds `text`, or `messages`, or `prompt` and `response`; `id` is taken over, else the line's number. The
    output lines are `{"id", "scores": {target: {label: p}}, "flags": {target: [label]}, "windows": n, "span": [from, to]}`,
    and `"review": {target: "act" | "pass" | "review"}` where the model has a review band.

    Raises:
        DataError: a malformed line; nothing is written then.
        NotFoundError: no such operating point.
        UsageError: the output cannot be written there.
    """
    engine.operating_point(operating_point)
    output = output.resolve()  # a link stays, and what it points to is written
    staging = _staging(output)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(output))  # other runs that write the same file wait
        except OSError as error:
            raise UsageError(
                f"cannot be written: {error.strerror}", where=str(output), remedy="name another file"
            ) from None
        return _predict(engine, source, output, staging, operating_point, progress)


def _predict(
    engine: Engine,
    source: Path,
    output: Path,
    staging: Path,
    operating_point: str,
    progress: Callable[[int], None] | None,
) -> int:
    count = 0
    try:
        with staging.open("w", encoding="utf-8") as stream:
            lines = read_lines(source)
            while chunk := list(islice(lines, _CHUNK)):
                for line, judgement in zip(
                    chunk, engine.judge([one.input for one in chunk], operating_point), strict=True
                ):
                    stream.write(
                        json.dumps(answer(line.id, judgement), ensure_ascii=False, allow_nan=False) + "\n"
                    )
                count += len(chunk)
                if progress is not None:
                    progress(count)
        staging.replace(output)
    except BaseException:
        staging.unlink(missing_ok=True)
        raise
    return count


def _staging(output: Path) -> Path:
    if output.is_dir():
        raise UsageError("is a folder, one file is written", where=str(output), remedy="name a file")
    if output.exists() and not output.is_file():
        raise UsageError("is no plain file, and would be replaced", where=str(output), remedy="name a file")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the folder cannot be made: {error.strerror}",
            where=str(output.parent),
            remedy="name another file",
        ) from None
    return output.parent / f".{output.name}.partial"


def answer(id: str | int, judgement: Judgement) -> dict[str, Any]:
    """Return a judgement as an output line's data."""
    reviews = {name: str(target.review) for name, target in judgement.targets.items() if target.review}
    return {
        "id": id,
        "scores": {name: target.scores for name, target in judgement.targets.items()},
        "flags": {name: list(target.flags) for name, target in judgement.targets.items()},
        **({"review": reviews} if reviews else {}),
        "windows": judgement.windows,
        "span": list(judgement.span),
    }


def read_lines(source: Path) -> Iterator[Line]:
    """Yield the inputs of a JSONL file; raises DataError with file, line and field."""
    name = str(source)
    try:
        stream = source.open("rb")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=name, remedy="name a JSONL file") from None
    with stream:
        for number, raw in enumerate(stream, start=1):
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            if raw.strip():
                yield _line(name, number, raw)


def _line(name: str, number: int, raw: bytes) -> Line:
    try:
        data = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {error.start + 1} is not UTF-8", file=name, line=number, remedy="save the file as UTF-8"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"is not JSON: {error}", file=name, line=number, remedy="one JSON object a line"
        ) from None
    if not isinstance(data, dict):
        raise DataError(f"found {type(data).__name__}, expected a JSON object", file=name, line=number)
    identity = data.get("id", number)
    if isinstance(identity, bool) or not isinstance(identity, (str, int)):
        raise DataError(
            f"found {identity!r}, expected text or a whole number", file=name, line=number, field="id"
        )
    if isinstance(identity, str):
        _text(identity, name, number, "id")
    return Line(identity, _input(data, name, number))


def _input(data: dict[str, Any], name: str, number: int) -> Input:
    given = [key for key in _INPUT_KEYS if data.get(key) is not None]
    if given == ["text"]:
        return text_input(_text(data["text"], name, number, "text"))
    if given == ["prompt", "response"]:
        return pair_input(*(_text(data[key], name, number, key) for key in given))
    if given == ["messages"]:
        return _messages(data["messages"], name, number)
    empty = [key for key in _INPUT_KEYS if key in data and data[key] is None]
    if empty and not given:
        raise DataError("found null, expected a value", file=name, line=number, field=empty[0])
    raise DataError(
        f"found the keys {', '.join(map(repr, list(data)[:20])) or 'none'}, "
        "expected 'text', or 'messages', or 'prompt' and 'response'",
        file=name,
        line=number,
        remedy=nearest(next(iter(data), ""), _INPUT_KEYS),
    )


def _messages(value: Any, name: str, number: int) -> Input:
    if not isinstance(value, list) or not value:
        raise DataError("expected a list of at least one message", file=name, line=number, field="messages")
    messages = []
    for index, item in enumerate(value):
        field = f"messages.{index}"
        if not isinstance(item, dict) or "role" not in item or "content" not in item:
            raise DataError(
                "expected an object with 'role' and 'content'", file=name, line=number, field=field
            )
        if item["role"] not in list(Role):
            raise DataError(
                f"found {item['role']!r}",
                file=name,
                line=number,
                field=f"{field}.role",
                remedy="one of " + ", ".join(Role),
            )
        messages.append(Message(Role(item["role"]), _text(item["content"], name, number, f"{field}.content")))
    return tuple(messages)


def _text(value: Any, name: str, number: int, field: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"found {type(value).__name__}, expected text", file=name, line=number, field=field)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(
            "holds half of a surrogate pair", file=name, line=number, field=field, remedy="repair the text"
        ) from None
    return value
