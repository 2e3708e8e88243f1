"""Carries out flows over httpx, one after the other."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from modwright.client.address import Address, import_httpx, proxies_of
from modwright.client.failures import Lost, Reply
from modwright.client.flow import Action, Flow, Item, Request, Stream
from modwright.client.flow import Send as SendAction
from modwright.client.reasons import Gathered, headers_of, lost, timeout_of, total_of

if TYPE_CHECKING:
    import httpx


ValueT = TypeVar("ValueT")


class Runner:
    """Carries out flows: sends their requests over httpx, sleeps their pauses."""

    def __init__(self, where: Address) -> None:
        self._httpx = import_httpx()
        self._where = where
        self._http: httpx.Client = self._httpx.Client(
            headers=where.headers,
            timeout=timeout_of(self._httpx, where, slow=False),
            mounts=proxies_of(where),
        )

    def run(self, flow: Flow[ValueT]) -> ValueT:
        """Return what a flow returns."""
        answer: Any = None
        with contextlib.closing(flow):
            while True:
                try:
                    action = flow.send(answer)
                except StopIteration as stop:
                    value: ValueT = stop.value
                    return value
                answer = self._perform(action)

    def each(self, stream: Stream[ValueT]) -> Iterator[ValueT]:
        """Give what a stream gives."""
        answer: Any = None
        with contextlib.closing(stream):
            while True:
                try:
                    action = stream.send(answer)
                except StopIteration:
                    return
                if isinstance(action, Item):
                    yield action.value
                    answer = None
                else:
                    answer = self._perform(action)

    def close(self) -> None:
        self._http.close()

    def _perform(self, action: Action) -> Reply | Lost | None:
        if isinstance(action, SendAction):
            return self._send(action.request)
        time.sleep(action.seconds)
        return None

    def _send(self, request: Request) -> Reply | Lost:
        content = request.content() if request.body is None else request.body.pieces()
        try:
            with self._http.stream(
                request.method,
                self._where.url + request.path,
                params=request.query or None,
                content=content,
                headers=headers_of(request),
                timeout=timeout_of(self._httpx, self._where, slow=request.slow),
            ) as response:
                found = Reply(response.status_code, dict(response.headers))
                if request.sink is None or not found.succeeded:
                    gathered = Gathered(request.most_bytes)
                    for piece in response.iter_bytes():
                        if not gathered.takes(piece):
                            return gathered.lost(self._where)
                    return gathered.reply(found)
                request.sink.begin(total_of(found))
                for piece in response.iter_bytes():
                    request.sink.write(piece)
                return found
        except self._httpx.TransportError as error:
            return lost(self._httpx, error, self._where, slow=request.slow)
