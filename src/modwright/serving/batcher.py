"""Gathers the inputs of many requests into batches for one engine, in a thread of its own.

    submit (event loop) -> FairQueue, limited at the door -> worker thread -> engine -> each request's future

A batch that fails is halved until only the inputs that fail alone are left, and only their requests fail.
The worker catches everything, so it lives as long as the process, and a health check travels the same road as
any request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence

from modwright.errors import ModwrightError, OverloadedError, ScoringError, UnavailableError
from modwright.schema import Input
from modwright.serving.engine import DEFAULT_OPERATING_POINT, Judgement
from modwright.serving.fair_queue import INPUT_COST, FairQueue, Place, Waiting
from modwright.settings import Settings

_log = logging.getLogger("modwright.serving")
#: Bounds of the advice when to try again, in seconds.
_RETRY_S = (1.0, 60.0)

#: Judges inputs at an operating point: what `Engine.judge` does.
Judge = Callable[[Sequence[Input], str], list[Judgement]]


class _Request(Waiting):
    """One caller's inputs, the answers so far, and the future the caller waits on."""

    __slots__ = ("answers", "future", "inputs", "loop", "missing", "operating_point")

    def __init__(self, inputs: Sequence[Input], operating_point: str) -> None:
        super().__init__([cost(item) for item in inputs])
        self.inputs = inputs
        self.operating_point = operating_point
        self.answers: list[Judgement | None] = [None] * len(inputs)
        self.missing = len(inputs)
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[list[Judgement]] = self.loop.create_future()

    def settle(self, outcome: list[Judgement] | ModwrightError) -> None:
        """Give the caller its outcome, from any thread; nothing happens where nobody waits."""
        with contextlib.suppress(RuntimeError):  # its event loop is closed
            self.loop.call_soon_threadsafe(self._settle, outcome)

    def _settle(self, outcome: list[Judgement] | ModwrightError) -> None:
        if self.future.done():
            return
        if isinstance(outcome, ModwrightError):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


def cost(item: Input) -> int:
    """Return what scoring an input costs, in characters."""
    return INPUT_COST + sum(len(message.content) for message in item)


class Batcher:
    """Continuous batching in front of one engine.

    Args:
        judge: scores inputs at an operating point; called from one thread only, and may raise anything.
        settings: max_batch_chars, max_queue_chars and request_timeout_s are used.
        name: of the deployment, for the thread and the log.
    """

    def __init__(self, judge: Judge, settings: Settings, name: str) -> None:
        self._judge = judge
        self._settings = settings
        self._name = name
        self._queue: FairQueue[_Request] = FairQueue(settings.max_queue_chars)
        self._cost_per_s = 0.0
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Return whether the worker takes requests."""
        return self._thread is not None and self._thread.is_alive() and not self._queue.closed

    def start(self) -> None:
        """Start the worker's thread, with an empty queue; nothing happens while it runs.

        Raises:
            UnavailableError: the thread of before `stop` is still in a batch.
        """
        if self.running:
            return
        if self._thread is not None and self._thread.is_alive():
            raise self._unavailable("still ends its last batch")
        self._queue = FairQueue(self._settings.max_queue_chars)
        # A daemon: a model that hangs must not keep the process from ending.
        self._thread = threading.Thread(
            target=self._work, args=(self._queue,), name=f"score {self._name}", daemon=True
        )
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Refuse what still waits, let the running batch end, and stop the thread."""
        for request in self._queue.close():
            request.settle(self._unavailable("is shutting down"))
        if self._thread is not None:
            self._thread.join(timeout_s)

    async def submit(
        self, inputs: Sequence[Input], operating_point: str = DEFAULT_OPERATING_POINT, *, probe: bool = False
    ) -> list[Judgement]:
        """Score inputs together with those of other callers; one judgement each, in order.

        A cancelled caller's inputs leave the queue. A ``probe`` passes the door and goes first.

        Raises:
            OverloadedError: the queue has no room for the request.
            UnavailableError: no answer within request_timeout_s, or the worker is not running.
            ScoringError: the model failed on one of the inputs.
        """
        if not self.running:
            raise self._unavailable("is not running")
        if not inputs:
            return []
        request = _Request(inputs, operating_point)
        if not self._queue.put(request, first=probe):
            raise self._overloaded(sum(request.costs))
        timeout_s = self._settings.request_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await request.future
        except TimeoutError:
            raise self._unavailable(f"gave no answer within {timeout_s:g} s") from None
        finally:
            self._queue.drop(request)

    def _overloaded(self, size: int) -> OverloadedError:
        waiting, limit = self._queue.waiting_cost, self._settings.max_queue_chars
        return OverloadedError(
            f"model '{self._name}' has {waiting} characters waiting, no room for {size} more (limit {limit})",
            retry_after_s=self._retry_after_s(),
        )

    def _unavailable(self, what: str) -> UnavailableError:
        return UnavailableError(f"model '{self._name}' {what}", retry_after_s=self._retry_after_s())

    def _retry_after_s(self) -> float:
        """Return when the queue should be half empty, at the pace of the last batches."""
        estimate_s = self._queue.waiting_cost / 2 / self._cost_per_s if self._cost_per_s else 0.0
        return float(round(min(max(estimate_s, _RETRY_S[0]), _RETRY_S[1])))

    def _work(self, queue: FairQueue[_Request]) -> None:
        while True:
            try:
                batch = queue.take(self._settings.max_batch_chars)
                if batch is None:
                    return
                self._score(batch)
            except BaseException as error:  # whatever it is, the next batch is somebody else's
                _log_failure(self._name, error)

    def _score(self, batch: list[Place[_Request]]) -> None:
        began_s = time.monotonic()
        points: dict[str, list[Place[_Request]]] = {}
        for place in batch:
            points.setdefault(place[0].operating_point, []).append(place)
        for operating_point, places in points.items():
            places.sort(key=lambda place: place[0].costs[place[1]])
            self._attempt(operating_point, places)
        pace = sum(request.costs[index] for request, index in batch) / max(time.monotonic() - began_s, 1e-6)
        self._cost_per_s = pace if not self._cost_per_s else 0.8 * self._cost_per_s + 0.2 * pace

    def _attempt(self, operating_point: str, places: list[Place[_Request]]) -> None:
        """Score places; on any failure halve them until the failing inputs stand alone."""
        places = [place for place in places if not place[0].dropped]
        if not places:
            return
        try:
            answers = self._judge([request.inputs[index] for request, index in places], operating_point)
            if len(answers) != len(places):
                raise ScoringError(f"the model gave {len(answers)} answers to {len(places)} inputs")
        except BaseException as error:
            if len(places) == 1:
                self._fail(*places[0], error)
                return
            half = len(places) // 2
            self._attempt(operating_point, places[:half])
            self._attempt(operating_point, places[half:])
            return
        for (request, index), answer in zip(places, answers, strict=True):
            self._answer(request, index, answer)

    def _answer(self, request: _Request, index: int, answer: Judgement) -> None:
        request.answers[index] = answer
        request.missing -= 1
        if request.missing == 0:
            request.settle([item for item in request.answers if item is not None])

    def _fail(self, request: _Request, index: int, error: BaseException) -> None:
        """Fail one request for one input; the error's message is not told, since it may quote the text."""
        _log_failure(self._name, error)
        self._queue.drop(request)
        reason = error.message if isinstance(error, ScoringError) else f"it raised {type(error).__name__}"
        which = f"input {index} of {len(request.inputs)}" if len(request.inputs) > 1 else "this input"
        request.settle(ScoringError(f"model '{self._name}' failed on {which}: {reason}"))


def _log_failure(name: str, error: BaseException) -> None:
    """Log what failed and where in the code; never the message, which may hold a text."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
    _log.error("model '%s' failed: %s at %s", name, type(error).__name__, where)
