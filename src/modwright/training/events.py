"""What trainers, which are generators, tell while they work; saving and showing belong to who consumes it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the work has begun or moved on: `done` of `total` units, total 0 where it cannot be known."""

    name: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """A target's head was chosen out of fold, with the mean log-loss that decided."""

    target: str
    kind: str
    c: float
    gamma: float
    log_loss: float


@dataclass(frozen=True, slots=True)
class Step:
    """One solver iteration: mean masked log-loss on the training rows, and on validation where measured."""

    number: int
    train_loss: float
    valid_loss: float | None = None


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the user should know; the run goes on."""

    message: str


Event = Stage | Chosen | Step | Warned


def follow(events: Generator[Event, None, Result], on_event: Callable[[Event], None]) -> Result:
    """Run a trainer to its end, handing each event on, and return its result."""
    while True:
        try:
            event = next(events)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        on_event(event)
