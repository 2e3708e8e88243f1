"""Scores of texts and conversations: inputs told apart, sent in as many requests as they need, answers put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from modwright.client.answers import Classification, Moderation, read
from modwright.client.calls import health
from modwright.client.flow import Flow, Request, call
from modwright.errors import InputError, OverloadedError, UsageError

if TYPE_CHECKING:
    from modwright.schema import Message

    #: Turns with `role` and `content`, the last of which is judged; alone or below `messages`.
    Conversation = Sequence[Mapping[str, Any] | Message] | Mapping[str, Any]
    Inputs = str | Conversation | Iterable[str | Conversation]

Turns = list[dict[str, Any]]
#: What is judged: a text, or turns of which the last is judged.
Judged = str | Turns

ResultT = TypeVar("ResultT", Classification, Moderation)

#: Any server takes so many at once unless it was told otherwise.
_ALWAYS_TAKEN = 64
#: Characters of one request; more would only wait in the server's queue.
_MOST_CHARS = 64_000


@dataclass
class Limits:
    """What the server takes at once, asked when it matters; kept by a client."""

    max_inputs: int | None = None


def classify(inputs: Inputs, model: str, operating_point: str | None, limits: Limits) -> Flow[Classification]:
    """Score inputs against every target of a model."""
    items = judged_inputs(inputs)
    return _scored(Classification, "classifications", items, model, operating_point, limits)


def moderate(
    inputs: Inputs, model: str | None, operating_point: str | None, limits: Limits
) -> Flow[Moderation]:
    """Say which categories inputs fall into."""
    items = judged_inputs(inputs)
    return _scored(Moderation, "moderations", items, model, operating_point, limits)


def _scored(
    kind: type[ResultT],
    what: str,
    items: list[Judged],
    model: str | None,
    operating_point: str | None,
    limits: Limits,
) -> Flow[ResultT]:
    most = _ALWAYS_TAKEN
    if len(items) > _ALWAYS_TAKEN:
        most = yield from _max_inputs(limits)
    asked = {"model": model, "operating_point": operating_point}
    more = {key: value for key, value in asked.items() if value is not None}
    found: list[ResultT] = []
    for where, begin, batch in _batches(what, items, most):
        request = Request("POST", where, document={**more, "input": batch})
        try:
            part = yield from call(request, lambda document: read(kind, document))
        except InputError as error:
            error.where = _shifted(error.where, begin)
            raise
        found.append(part)
    return kind(found[0].model, tuple(result for part in found for result in part.results))


def _shifted(where: str | None, begin: int) -> str | None:
    """Return the place of an input among all of them, from that in one request."""
    first, _, rest = (where or "").partition(".")
    number, _, below = rest.partition(".")
    if first != "input" or not number.isdecimal():
        return where
    return ".".join(part for part in ("inputs", str(int(number) + begin), below) if part)


def _max_inputs(limits: Limits) -> Flow[int]:
    if limits.max_inputs is None:
        try:
            found = yield from health()
        except OverloadedError:  # its own models are not well; the one that is asked may be
            return _ALWAYS_TAKEN
        limits.max_inputs = found.max_inputs
    return limits.max_inputs


def judged_inputs(inputs: Any) -> list[Judged]:
    """Return inputs as a list of texts and conversations.

    Raises:
        UsageError: there is none, or something is neither.
    """
    if isinstance(inputs, str) or _is_turns(inputs) or isinstance(inputs, Mapping):
        items = [inputs]
    elif isinstance(inputs, Iterable) and not isinstance(inputs, bytes | bytearray):
        items = list(inputs)
    else:
        raise UsageError(f"inputs are {_kind(inputs)}, expected a text, a conversation, or several")
    if not items:
        raise UsageError("there is no input", where="inputs", remedy="give at least one")
    return [_judged(item, f"inputs.{place}") for place, item in enumerate(items)]


def _judged(item: Any, where: str) -> Judged:
    if isinstance(item, str):
        return str(item)
    if isinstance(item, Mapping) and "messages" in item:
        item = item["messages"]
    if _is_turns(item):
        return [_turn(turn) for turn in item]
    raise UsageError(
        f"is {_kind(item)}, expected a text or a conversation",
        where=where,
        remedy='a conversation is a list of turns: {"role": "user", "content": "..."}',
    )


def _is_turns(value: Any) -> bool:
    listed = isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value) > 0
    return listed and all(_is_turn(item) for item in value)


def _is_turn(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "role" in value
    return hasattr(value, "role") and hasattr(value, "content")


def _turn(turn: Any) -> dict[str, Any]:
    return dict(turn) if isinstance(turn, Mapping) else {"role": str(turn.role), "content": turn.content}


def _kind(value: Any) -> str:
    """Say what a value is, never what it holds."""
    return "None" if value is None else f"of the type {type(value).__name__}"


def _batches(what: str, items: list[Judged], most: int) -> Iterator[tuple[str, int, Any]]:
    """Give of each request the path, the place of its first input among all, and the body's inputs."""
    if any(not isinstance(item, str) for item in items):
        turns = [_as_turns(item) for item in items]
        # A moderation of conversations takes bare lists, a classification objects.
        bare = what == "moderations"
        shaped: list[Any] = turns if bare else [{"messages": item} for item in turns]
        where = f"/v1/chat/{what}"
    else:
        shaped, where = list(items), f"/v1/{what}"
    begin, chars = 0, 0
    for place, item in enumerate(items):
        length = _chars(item)
        if place > begin and (place - begin >= most or chars + length > _MOST_CHARS):
            yield where, begin, shaped[begin:place]
            begin, chars = place, 0
        chars += length
    yield where, begin, shaped[begin:]


def _as_turns(item: Judged) -> Turns:
    """Return a text as the one turn that it is, so that it can stand beside conversations."""
    return [{"role": "user", "content": item}] if isinstance(item, str) else item


def _chars(item: Judged) -> int:
    return len(item) if isinstance(item, str) else sum(len(str(turn.get("content"))) for turn in item)
