"""What the client does, without doing it: requests and pauses that a flow asks for, replies that it is given.

A flow is a generator. It yields `Send` and is given a `Reply` or `Lost`; it yields `Pause` and is given None when that
time is over; its return value is the call's result. A stream yields `Item`s for the caller between those.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote

from modwright.client.failures import (
    Lost,
    Reply,
    body_of,
    failure,
    loss,
    retry_after_s,
)
from modwright.errors import IntegrityError, ModwrightError, OverloadedError, StorageError, UsageError

ValueT = TypeVar("ValueT")

#: How often one request is repeated, and the seconds before the first time, doubled before each other one.
_MOST_REPEATS = 2
_FIRST_PAUSE_S = 0.5
#: A server that wants a longer wait than this is told to the caller instead.
_LONGEST_PAUSE_S = 30.0
#: Files of a page of a list.
_PAGE = 100


class Body(Protocol):
    """A request's body that is read while it is sent; `pieces` begins anew for each attempt."""

    @property
    def name(self) -> str:
        """Return what is sent, for messages."""
        ...

    @property
    def content_type(self) -> str:
        """Return its media type."""
        ...

    @property
    def length(self) -> int:
        """Return the bytes of it."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """Give the bytes, `length` of them in all."""
        ...


class Sink(Protocol):
    """Takes an answer's body while it arrives."""

    def begin(self, total: int | None) -> None:
        """Forget what an earlier attempt wrote; ``total`` bytes will come, where that is known."""
        ...

    def write(self, piece: bytes) -> None:
        """Take the next bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the server.

    Attributes:
        path: below the server's address, percent-encoded; see `path`.
        document: body as JSON-ready data; None sends none.
        body: body that is read while it is sent.
        sink: what takes the answer's body.
        repeatable: sending it twice does what sending it once does.
        slow: the answer may take as long as a file's transfer.
        most_bytes: of the answer, where no sink takes it; a longer one is lost. None reads all.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    document: Any = None
    body: Body | None = None
    sink: Sink | None = None
    repeatable: bool = True
    slow: bool = False
    most_bytes: int | None = None

    def content(self) -> bytes | None:
        """Return the JSON document's bytes; raises UsageError for what JSON does not have."""
        if self.document is None:
            return None
        try:
            return json.dumps(self.document, ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"a text holds the lone surrogate U+{ord(error.object[error.start]):04X}",
                remedy="half of an emoji was cut off; send whole characters",
            ) from None
        except (TypeError, ValueError) as error:
            raise UsageError(f"what is to be sent is not JSON: {error}") from None


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; the flow is given a `Reply` or `Lost`."""

    request: Request


@dataclass(frozen=True, slots=True)
class Pause:
    """Let some seconds go by."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Item(Generic[ValueT]):
    """Hand a value to the caller."""

    value: ValueT


Action = Send | Pause
Flow = Generator[Action, Any, ValueT]
Stream = Generator[Action | Item[ValueT], Any, None]


def path(*parts: str) -> str:
    """Return a path of fixed words and names from elsewhere; raises UsageError for a name that stands for nothing."""
    quoted = [quote(part.encode(errors="replace"), safe="") for part in parts]
    for part in quoted:
        if not part or part in (".", ".."):
            raise UsageError(f"'{part}' is no id", remedy="give the id of the answer that named it")
    return "/" + "/".join(quoted)


def exchange(request: Request) -> Flow[Reply]:
    """Send a request until it is answered, or is not to be repeated any more.

    Raises:
        ModwrightError: what the server says is wrong; see `failures.failure`.
        UnavailableError: no answer came.
    """
    for attempt in itertools.count():
        outcome: Reply | Lost = yield Send(request)
        if isinstance(outcome, Reply) and outcome.succeeded:
            return outcome
        pause_s = _pause_s(request, outcome, attempt)
        if pause_s is None:
            raise _failed(request, outcome)
        yield Pause(pause_s)
    raise AssertionError("unreachable")


def _failed(request: Request, outcome: Reply | Lost) -> ModwrightError:
    if isinstance(outcome, Lost):
        return loss(outcome, request.repeatable)
    return failure(outcome, None if request.body is None else request.body.name)


def _pause_s(request: Request, outcome: Reply | Lost, attempt: int) -> float | None:
    """Return the seconds after which a request is worth repeating; None where it is not."""
    if attempt >= _MOST_REPEATS:
        return None
    backoff_s = _FIRST_PAUSE_S * 2.0**attempt
    if isinstance(outcome, Lost):
        return backoff_s if request.repeatable else None
    # 429 is told at the door; behind a 503 the work may have been done.
    if outcome.status == 429 or (outcome.status == 503 and request.repeatable):
        wanted_s = retry_after_s(outcome)
        if wanted_s is not None and wanted_s <= _LONGEST_PAUSE_S:
            return max(wanted_s, backoff_s)
    return None


def call(request: Request, read: Callable[[Any], ValueT]) -> Flow[ValueT]:
    """Send a request and return what ``read`` makes of the answer's JSON.

    Raises:
        ModwrightError: as `exchange`.
        IntegrityError: the answer is none of this API's.
    """
    reply = yield from exchange(request)
    return read(body_of(reply))


def done(_: Any) -> None:
    """Read an answer that says no more than that it is done."""


def pages(
    request_of: Callable[[str | None, int], Request],
    read: Callable[[Any], ValueT],
    id_of: Callable[[ValueT], str],
) -> Stream[ValueT]:
    """Give every item of a list, page by page as they are wanted.

    Args:
        request_of: the request of the page behind an id (None: the first page), of so many items.
        read: makes an item.
        id_of: an item's id.
    """
    after: str | None = None
    while True:
        page = yield from call(request_of(after, _PAGE), _mapping)
        items = [read(item) for item in page.get("data", ())]
        for item in items:
            yield Item(item)
        if not items or not page.get("has_more"):
            return
        after = id_of(items[-1])


def _mapping(document: Any) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise IntegrityError(
            "the server's answer is no JSON object", remedy="does the url lead to modwright?"
        )
    return document


@dataclass
class Patience:
    """Bears with a server that cannot be reached, or has no room, for so long since it last answered."""

    longest_s: float
    pause_s: float
    _since: float | None = field(default=None, init=False)

    def attempt(self, flow: Callable[[], Flow[ValueT]]) -> Flow[ValueT]:
        """Return what a flow returns, begun anew until it does; raises what it raises last."""
        while True:
            try:
                value = yield from flow()
            except (OverloadedError, StorageError) as error:
                self._bear(error)
                yield Pause(self.pause_s)
            else:
                self._since = None
                return value

    def _bear(self, error: ModwrightError) -> None:
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since + self.pause_s > self.longest_s:
            raise error
