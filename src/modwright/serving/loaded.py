"""Trained models in memory: loaded once when they are asked for, the least recently used one gives way.

    lease -> slot (loads in a thread) -> deployment, kept until another model needs its room and nobody uses it

Everything here runs on one event loop; only loading and stopping happen in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from modwright.errors import UnavailableError
from modwright.serving.deployments import Deployment

#: Advice of when to ask again for a model that is being loaded, in seconds.
_RETRY_S = 5.0
#: Models that are loaded or stopped at the same time.
_THREADS = 4


@dataclass(slots=True, eq=False)
class _Slot:
    """A model on its way into memory, in it, or on its way out."""

    loading: asyncio.Task[Deployment] = field(init=False)
    leases: int = 0
    leaving: bool = False  # as soon as it is loaded and unused
    ending: bool = False

    @property
    def deployment(self) -> Deployment | None:
        """Return what was loaded; None while it is not, or where it failed."""
        task = self.loading
        done = task.done() and not task.cancelled() and task.exception() is None
        return task.result() if done else None


class LoadedModels:
    """Deployments that come and go, at most `limit` at once.

    A model that must give way takes no new requests, ends those it has, and is stopped then; requests for it that come
    later load it again. So the limit holds, nobody is cut off, and nobody waits for ever.

    Args:
        limit: models in memory, those that are loading or leaving included.
        timeout_s: how long a request waits for its model.
    """

    def __init__(self, limit: int, timeout_s: float) -> None:
        self._limit = limit
        self._timeout_s = timeout_s
        self._slots: OrderedDict[str, _Slot] = OrderedDict()  # the least recently used one first
        self._room = asyncio.Semaphore(limit)
        self._held = 0  # of the room
        self._waiting = 0  # for room
        self._live: set[_Slot] = set()  # all of them, forgotten ones too, until they failed or are stopped
        self._ending: set[asyncio.Task[None]] = set()
        # Not the loop's own threads: a slow store must not keep other requests from the database.
        self._threads = ThreadPoolExecutor(_THREADS, "model")
        self._closed = False

    def __len__(self) -> int:
        return sum(slot.deployment is not None for slot in self._slots.values())

    def __contains__(self, key: str) -> bool:
        return key in self._slots

    @contextlib.asynccontextmanager
    async def lease(self, key: str, load: Callable[[], Deployment]) -> AsyncIterator[Deployment]:
        """Give the deployment of a model, loaded first where it is not there; it is not stopped meanwhile.

        Args:
            key: of the model.
            load: makes its deployment; called in a thread, once for everybody who waits.

        Raises:
            UnavailableError: it was not loaded in time (loading goes on), or the server is going away.
            ModwrightError: what ``load`` raises; the next lease tries again.
        """
        if self._closed:
            raise UnavailableError("the server is shutting down", retry_after_s=_RETRY_S)
        slot = self._slots.get(key) or self._open(key, load)
        self._slots.move_to_end(key)
        async with self._using(slot):
            yield await self._loaded(key, slot)

    @contextlib.asynccontextmanager
    async def latest(self) -> AsyncIterator[Deployment | None]:
        """Give the loaded deployment that was asked last, or None; it is not stopped meanwhile."""
        for slot in reversed(self._slots.values()):
            if slot.deployment is not None:
                async with self._using(slot):
                    yield slot.deployment
                return
        yield None

    def forget(self, key: str) -> None:
        """Take a model out of memory as soon as nobody uses it; requests that come later do not meet it."""
        slot = self._slots.pop(key, None)
        if slot is not None:
            self._retire(slot)

    async def close(self) -> None:
        """Stop every model: what waits is refused, running batches end."""
        self._closed = True
        for slot in self._live:
            slot.loading.cancel()  # does nothing to one that is loaded
        loaded = [slot.deployment for slot in self._live]
        self._slots.clear()
        stops = [asyncio.to_thread(item.stop) for item in loaded if item is not None]
        await asyncio.gather(*stops, *self._ending, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _open(self, key: str, load: Callable[[], Deployment]) -> _Slot:
        slot = self._slots[key] = _Slot()
        self._live.add(slot)
        slot.loading = asyncio.create_task(self._bring(load))
        slot.loading.add_done_callback(lambda _: self._brought(key, slot))
        return slot

    async def _bring(self, load: Callable[[], Deployment]) -> Deployment:
        self._waiting += 1
        self._make_room()
        try:
            await self._room.acquire()
        finally:
            self._waiting -= 1
        self._held += 1
        try:
            deployment = await asyncio.get_running_loop().run_in_executor(self._threads, load)
            deployment.start()
        except BaseException:
            self._give_back()
            raise
        return deployment

    def _brought(self, key: str, slot: _Slot) -> None:
        if slot.deployment is None:  # it failed; the next lease tries again
            self._live.discard(slot)
            if self._slots.get(key) is slot:
                del self._slots[key]
            return
        if slot.leaving:  # forgotten while it was loaded
            self._retire(slot)
        self._make_room()

    async def _loaded(self, key: str, slot: _Slot) -> Deployment:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.shield(slot.loading)
        except TimeoutError:
            message = f"model '{key}' is being loaded, which took longer than {self._timeout_s:g} s"
            raise UnavailableError(message, retry_after_s=_RETRY_S) from None
        except asyncio.CancelledError:
            if slot.loading.cancelled():  # not this request, the server
                raise UnavailableError("the server is shutting down", retry_after_s=_RETRY_S) from None
            raise

    @contextlib.asynccontextmanager
    async def _using(self, slot: _Slot) -> AsyncIterator[None]:
        slot.leases += 1
        try:
            yield
        finally:
            slot.leases -= 1
            if slot.leaving:
                self._retire(slot)

    def _make_room(self) -> None:
        """Retire as many models as there are waiting ones without room: unused ones first, then by last use."""
        leaving = sum(slot.leaving and slot.deployment is not None for slot in self._live)
        short = self._waiting - (self._limit - self._held) - leaving
        if short <= 0:
            return
        loaded = [key for key, slot in self._slots.items() if slot.deployment is not None]
        loaded.sort(key=lambda key: self._slots[key].leases > 0)
        for key in loaded[:short]:
            self._retire(self._slots.pop(key))

    def _retire(self, slot: _Slot) -> None:
        """Stop a slot's deployment, now or when the last who uses it lets it go."""
        slot.leaving = True
        if slot.deployment is None or slot.leases or slot.ending:
            return
        slot.ending = True
        task = asyncio.create_task(self._stop(slot))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _stop(self, slot: _Slot) -> None:
        deployment = slot.deployment
        try:
            if deployment is not None:
                await asyncio.get_running_loop().run_in_executor(self._threads, deployment.stop)
        finally:
            self._live.discard(slot)
            self._give_back()

    def _give_back(self) -> None:
        self._held -= 1
        self._room.release()
