"""Carries out flows over httpx, awaited."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from modwright.client.address import Address, import_httpx, proxies_of
from modwright.client.failures import Lost, Reply
from modwright.client.flow import Action, Body, Flow, Item, Request, Send, Stream
from modwright.client.reasons import Gathered, headers_of, lost, timeout_of, total_of

if TYPE_CHECKING:
    import httpx


ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class _Returned:
    """The end of a flow, with what it returns."""

    value: Any


def _step(flow: Flow[Any], answer: Any) -> Action | _Returned:
    try:
        return flow.send(answer)
    except StopIteration as stop:  # cannot leave a thread or a coroutine
        return _Returned(stop.value)


async def _in_thread(work: Callable[..., ValueT], *arguments: Any) -> ValueT:
    """Return what work in a thread returns; who is cancelled meanwhile waits for its end: it holds files open."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


class Runner:
    """Carries out flows: sends their requests over httpx, sleeps their pauses; files are read and written in threads."""

    def __init__(self, where: Address) -> None:
        self._httpx = import_httpx()
        self._where = where
        self._http: httpx.AsyncClient = self._httpx.AsyncClient(
            headers=where.headers,
            timeout=timeout_of(self._httpx, where, slow=False),
            mounts=proxies_of(where),
        )

    async def run(self, flow: Flow[ValueT], *, writing: bool = False) -> ValueT:
        """Return what a flow returns; one that is `writing` files does its own work in threads."""
        answer: Any = None
        with contextlib.closing(flow):
            while True:
                taken = await _in_thread(_step, flow, answer) if writing else _step(flow, answer)
                if isinstance(taken, _Returned):
                    value: ValueT = taken.value
                    return value
                answer = await self._perform(taken)

    async def each(self, stream: Stream[ValueT]) -> AsyncIterator[ValueT]:
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
                    answer = await self._perform(action)

    async def close(self) -> None:
        await self._http.aclose()

    async def _perform(self, action: Action) -> Reply | Lost | None:
        if isinstance(action, Send):
            return await self._send(action.request)
        await asyncio.sleep(action.seconds)
        return None

    async def _send(self, request: Request) -> Reply | Lost:
        content = request.content() if request.body is None else _pieces(request.body)
        try:
            async with self._http.stream(
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
                    async for piece in response.aiter_bytes():
                        if not gathered.takes(piece):
                            return gathered.lost(self._where)
                    return gathered.reply(found)
                request.sink.begin(total_of(found))
                async for piece in response.aiter_bytes():
                    await _in_thread(request.sink.write, piece)
                return found
        except self._httpx.TransportError as error:
            return lost(self._httpx, error, self._where, slow=request.slow)


async def _pieces(body: Body) -> AsyncIterator[bytes]:
    pieces = body.pieces()
    while (piece := await _in_thread(next, pieces, None)) is not None:
        yield piece
