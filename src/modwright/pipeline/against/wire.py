"""Asking a foreign server: one address, one key from the environment, several questions at once, never a redirect.

The address is the user's own word on a command line; nothing that an answer says is ever followed. A key goes out only
to https, or to this very machine, and stands in no message.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from modwright.client.address import Address, import_httpx, is_loopback
from modwright.client.async_runner import Runner
from modwright.client.failures import Lost, Reply, failure, loss, retry_after_s
from modwright.client.flow import Flow, Request, Send
from modwright.errors import ModwrightError, UsageError
from modwright.pipeline.against.origin import Blotter, key_in, split_url
from modwright.pipeline.against.refusals import hopeless, refused, refused_option

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

#: Seconds before a server that has no room is asked again.
_PAUSES_S = (1.0, 2.0, 4.0, 8.0)
_LONGEST_PAUSE_S = 30.0
_NO_ROOM = (429, 503)
#: So many questions without an answer from the very beginning, or in a row later on, and the rest is not asked.
_AT_FIRST, _IN_A_ROW = 5, 50
#: Of one answer; a batch's scores are some thousand.
_MOST_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class WireOptions:
    """How a server is asked.

    Attributes:
        key_variable: environment variable that holds the key; None sends none.
        timeout_s: seconds until the answer is there, to its last byte; after them a question has failed.
        parallel: questions under way at once.
    """

    key_variable: str | None = None
    timeout_s: float = 60.0
    parallel: int = 4


class Wire:
    """Asks one server.

    Raises:
        UsageError: the address is none, holds a password, or would send the key in the clear.
        MissingExtraError: the extra 'client' is not installed.
    """

    def __init__(self, url: str, options: WireOptions) -> None:
        self._origin, self.path = split_url(url)
        key = key_in(options.key_variable)
        if key and self._origin.startswith("http://") and not is_loopback(self._origin):
            raise UsageError(
                f"the key in {options.key_variable} would go out unencrypted",
                where=self._origin,
                remedy="use https://, or leave the key out",
            )
        self._httpx = import_httpx()
        self._runner = Runner(Address(self._origin, key, options.timeout_s, options.timeout_s))
        self._loop = _Loop()
        self._blotter = Blotter(key)
        self._timeout_s, self._parallel = options.timeout_s, options.parallel
        self._counting = threading.Lock()
        self._answered = self._in_a_row = 0

    def close(self) -> None:
        """Let go of the connections."""
        self._loop.close(self._runner.close)

    def ask(self, path: str, document: Any, *, counts: bool = True) -> Reply | Lost:
        """Post a document; a server without room is asked again a few times.

        Args:
            counts: no answer speaks against the server; not where its rows are asked for again, one by one.

        Raises:
            ModwrightError: nobody would get an answer: the key is refused, there is no such address, or one question
                after the other stays without an answer.
        """
        request = Request("POST", path, document=document, repeatable=False, most_bytes=_MOST_BYTES)
        outcome = self._loop.run(self._asked(request))
        answered = isinstance(outcome, Reply) and _is_answer(outcome)
        nobody = isinstance(outcome, Reply) and hopeless(outcome)
        if nobody or ((answered or counts) and self._too_many(answered)):
            raise self._told(outcome)
        return outcome

    def each(self, ask: Callable[[ItemT], ResultT], items: Sequence[ItemT]) -> Iterator[ResultT]:
        """Give what each question gives, in order, several under way at once."""
        pool = ThreadPoolExecutor(self._parallel, thread_name_prefix="ask")
        try:
            yield from pool.map(ask, items)
        finally:
            pool.shutdown(cancel_futures=True)

    def _too_many(self, answered: bool) -> bool:
        """Count a question; return whether so many stayed without an answer that the rest would, too."""
        with self._counting:
            self._answered += answered
            self._in_a_row = 0 if answered else self._in_a_row + 1
            return self._in_a_row >= (_IN_A_ROW if self._answered else _AT_FIRST)

    async def _asked(self, request: Request) -> Reply | Lost:
        """Send a request, again after a pause while the server has no room."""
        outcome = await self._outcome(request)
        for pause_s in _PAUSES_S:
            if not isinstance(outcome, Reply) or outcome.status not in _NO_ROOM:
                break
            await asyncio.sleep(min(max(pause_s, retry_after_s(outcome) or 0.0), _LONGEST_PAUSE_S))
            outcome = await self._outcome(request)
        return outcome

    async def _outcome(self, request: Request) -> Reply | Lost:
        """Send a request once; it is given up when its time is over, whatever of the answer has arrived."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._runner.run(_sent(request))
        except TimeoutError:
            return Lost(f"no whole answer from {self._origin} within {self._timeout_s:g} s", timed_out=True)
        except self._httpx.HTTPError as error:  # such as a body that cannot be unpacked
            return Lost(f"the answer cannot be read: {type(error).__name__}")

    def _told(self, outcome: Reply | Lost) -> ModwrightError:
        """Return the error of a server that answers nobody, the key in it blotted out."""
        if isinstance(outcome, Lost):
            error: ModwrightError = loss(outcome, repeatable=True)
        else:  # before anything is cut, since half a key cannot be found any more
            headers = {name: self._blotter.text(value) for name, value in outcome.headers.items()}
            error = failure(Reply(outcome.status, headers, self._blotter.content(outcome.content)))
        error.remedy = "check the address, the model's name and the key's variable"
        self._blotter.blot(error)
        return error


class _Loop:
    """An event loop in a thread of its own, begun with the first question: only what is awaited can be given up."""

    def __init__(self) -> None:
        self._beginning = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Return what work returns, from any thread."""
        with self._beginning:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_turn, args=(self._loop,), name="asking", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do a last work and end; without a first question there is nothing to let go of."""
        if self._loop is not None:
            self.run(last())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _sent(request: Request) -> Flow[Reply | Lost]:
    outcome: Reply | Lost = yield Send(request)
    return outcome


def _is_answer(reply: Reply) -> bool:
    """Return whether a server does answer, if only to refuse this text or an option."""
    return reply.succeeded or refused(reply) or refused_option(reply) is not None
