"""Asking a foreign server: one address, one key from the environment, several questions at once, never a redirect.

The address is the user's own word on a command line; nothing that an answer says is ever followed. A key goes out only
to https, or to this very machine, and stands in no message.
"""

from __future__ import annotations

import ipaddress
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from modwright.client.address import Address, import_httpx
from modwright.client.failures import Lost, Reply, failure, loss, retry_after_s
from modwright.client.flow import Flow, Pause, Request, Send
from modwright.client.sync_runner import Runner
from modwright.errors import ModwrightError, UsageError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

#: Seconds before a server that has no room is asked again.
_PAUSES_S = (1.0, 2.0, 4.0, 8.0)
_LONGEST_PAUSE_S = 30.0
_NO_ROOM = (429, 503)
#: What no other row would be spared: who asks, the address, the method; or an address elsewhere.
_HOPELESS = frozenset({301, 302, 303, 307, 308, 401, 402, 403, 404, 405, 407, 410})
#: So many questions without an answer from the very beginning, or in a row later on, and the rest is not asked.
_AT_FIRST, _IN_A_ROW = 5, 50


@dataclass(frozen=True, slots=True)
class WireOptions:
    """How a server is asked.

    Attributes:
        key_variable: environment variable that holds the key; None sends none.
        timeout_s: seconds without a byte of an answer, after which a question has failed.
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
        origin, self.path = split_url(url)
        self._key = _key(options.key_variable)
        if self._key and origin.startswith("http://") and not _is_here(origin):
            raise UsageError(
                f"the key in {options.key_variable} would go out unencrypted",
                where=origin,
                remedy="use https://, or leave the key out",
            )
        self._httpx = import_httpx()
        self._runner = Runner(Address(origin, self._key, options.timeout_s, options.timeout_s))
        self._parallel = options.parallel
        self._counting = threading.Lock()
        self._answered = self._in_a_row = 0

    def close(self) -> None:
        """Let go of the connections."""
        self._runner.close()

    def ask(self, path: str, document: Any) -> Reply | Lost:
        """Post a document; a server without room is asked again a few times.

        Raises:
            ModwrightError: nobody would get an answer: the key is refused, there is no such address, or one question
                after the other stays without an answer.
        """
        outcome = self._outcome(Request("POST", path, document=document, repeatable=False))
        hopeless = isinstance(outcome, Reply) and outcome.status in _HOPELESS
        if hopeless or self._too_many(isinstance(outcome, Reply) and _is_answer(outcome)):
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

    def _outcome(self, request: Request) -> Reply | Lost:
        try:
            return self._runner.run(_asked(request))
        except self._httpx.HTTPError as error:  # such as a body that cannot be unpacked
            return Lost(f"the answer cannot be read: {type(error).__name__}")

    def _told(self, outcome: Reply | Lost) -> ModwrightError:
        """Return the error of a server that answers nobody, the key in it blotted out."""
        error = loss(outcome, repeatable=True) if isinstance(outcome, Lost) else failure(outcome)
        error.remedy = "check the address, the model's name and the key's variable"
        if self._key:
            error.message = error.message.replace(self._key, "***")
            error.args = (error.message,)
        return error


def _asked(request: Request) -> Flow[Reply | Lost]:
    """Send a request, again after a pause while the server has no room."""
    outcome: Reply | Lost = yield Send(request)
    for pause_s in _PAUSES_S:
        if not isinstance(outcome, Reply) or outcome.status not in _NO_ROOM:
            break
        yield Pause(min(max(pause_s, retry_after_s(outcome) or 0.0), _LONGEST_PAUSE_S))
        outcome = yield Send(request)
    return outcome


def _is_answer(reply: Reply) -> bool:
    """Return whether a server does answer, if only to refuse this text or an option."""
    return reply.succeeded or refused(reply) or refuses_options(reply)


def refuses_options(reply: Reply) -> bool:
    """Return whether a server does not take what it is told of length and temperature; some hosted models do not."""
    return reply.status == 400 and any(word in reply.content for word in (b"max_tokens", b"temperature"))


def refused(reply: Reply) -> bool:
    """Return whether a server will not look at this text, as hosted models' filters say it."""
    return reply.status == 400 and (b"content_filter" in reply.content or b"content_policy" in reply.content)


def split_url(url: str) -> tuple[str, str]:
    """Return scheme and host, and the path without a slash at its end; raises UsageError."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise UsageError(f"'{url[:200]}' is no address", remedy="write such as http://127.0.0.1:8000")
    if "@" in parts.netloc:
        raise UsageError(
            "the address holds a user or a password",
            where=parts.hostname,
            remedy="name a key's variable instead",
        )
    if parts.query or parts.fragment:
        raise UsageError(
            "the address has more behind its path", where=parts.hostname, remedy="leave out '?' and '#'"
        )
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    value = os.environ.get(variable, "").strip()
    if not value:
        raise UsageError(
            f"the variable {variable} is not set", remedy="export it, or name the one that holds the key"
        )
    if not (value.isascii() and value.isprintable()):
        raise UsageError(
            "holds what no key has", where=variable, remedy="copy it again, without blanks or line ends"
        )
    return value


def _is_here(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
