"""Who is scored next: a queue that is fair to requests, however many inputs each of them brings.

Self-clocked fair queueing (Golestani 1994): an input's tag is the clock at arrival plus the cost of itself
and of the inputs of its own request before it. The smallest tag goes first, and the clock is the tag that
went last. So a small request passes the rest of a large one, and the large one is not passed for ever.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from typing import Generic, TypeVar

#: What an input costs beside its characters, so that a flood of empty inputs fills the queue too.
INPUT_COST = 32


class Waiting:
    """A request as the queue sees it; `dropped` and `queued` are the queue's own to write.

    Attributes:
        costs: what each of its inputs costs, in characters.
        queued: inputs not yet handed out.
        dropped: nobody waits for it any more; its inputs are never handed out again.
    """

    __slots__ = ("costs", "dropped", "queued")

    def __init__(self, costs: list[int]) -> None:
        self.costs = costs
        self.queued = 0
        self.dropped = False


RequestT = TypeVar("RequestT", bound=Waiting)
#: A request and the index of one of its inputs.
Place = tuple[RequestT, int]


class FairQueue(Generic[RequestT]):
    """Inputs waiting to be scored, handed out in batches; safe between event loop and worker thread.

    Args:
        max_cost: most that may wait. A request is let in while it fits, and into an empty queue always, so
            that one above the limit is not refused for ever.
    """

    def __init__(self, max_cost: int) -> None:
        self._max_cost = max_cost
        self._heap: list[tuple[int, int, RequestT, int]] = []
        self._sequence = itertools.count()
        self._clock = 0
        self._dead = 0
        self.closed = False
        self._changed = threading.Condition()
        self.waiting_cost = 0

    def put(self, request: RequestT, *, first: bool = False) -> bool:
        """Queue every input of a request; False where there is no room, or the queue is closed.

        With ``first`` it goes ahead of everything and is never refused: for the one probe of a health check.
        """
        with self._changed:
            cost = sum(request.costs)
            if self.closed:
                return False
            if not first and self.waiting_cost and self.waiting_cost + cost > self._max_cost:
                return False
            tag = -1 if first else self._clock
            for index, input_cost in enumerate(request.costs):
                tag += 0 if first else input_cost
                heapq.heappush(self._heap, (tag, next(self._sequence), request, index))
            request.queued = len(request.costs)
            self.waiting_cost += cost
            self._changed.notify()
            return True

    def take(self, max_cost: int) -> list[Place[RequestT]] | None:
        """Wait for inputs and return a batch of at most ``max_cost`` and at least one; None once closed."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._heap or self.closed)
                if self.closed:
                    return None
                if batch := self._batch(max_cost):
                    return batch

    def _batch(self, max_cost: int) -> list[Place[RequestT]]:
        batch: list[Place[RequestT]] = []
        room = max_cost
        while self._heap:
            tag, _, request, index = self._heap[0]
            cost = request.costs[index]
            if not request.dropped and batch and cost > room:
                break
            heapq.heappop(self._heap)
            if request.dropped:
                self._dead -= 1
                continue
            request.queued -= 1
            self.waiting_cost -= cost
            self._clock = max(self._clock, tag)
            room -= cost
            batch.append((request, index))
        if not self._heap:
            self._clock = 0
        return batch

    def drop(self, request: RequestT) -> None:
        """Forget a request: what is still queued of it leaves and makes room at once."""
        with self._changed:
            if request.dropped:
                return
            request.dropped = True
            if not request.queued:
                return
            self._dead += request.queued
            # Each request's inputs leave in order, so the last ones are those still queued.
            self.waiting_cost -= sum(request.costs[-request.queued :])
            request.queued = 0
            if self._dead * 2 > len(self._heap):
                self._heap = [entry for entry in self._heap if not entry[2].dropped]
                heapq.heapify(self._heap)
                self._dead = 0

    def close(self) -> list[RequestT]:
        """Let nothing more out; return the requests that were still waiting, each once."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()
            left = {id(entry[2]): entry[2] for entry in self._heap if not entry[2].dropped}
            return list(left.values())
