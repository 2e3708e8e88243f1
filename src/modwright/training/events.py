"""What trainers, which are generators, tell while they work; saving and showing belong to who consumes it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
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
    """One step of the solver (frozen) or the optimizer (encoder, causal).

    Attributes:
        number: from 1, within its run.
        train_loss: mean masked log-loss on the training rows (frozen) or on this step's rows.
        valid_loss: the same on the validation part, where it was measured at this step.
        epoch: how often all rows have been seen, in parts; None where there are no epochs.
        learning_rate: of the first group of weights.
        tokens: of this step, without padding.
        seconds: that this step took.
        total: steps of the whole run, 0 where unknown.
    """

    number: int
    train_loss: float
    valid_loss: float | None = None
    epoch: float | None = None
    learning_rate: float | None = None
    tokens: int = 0
    seconds: float = 0.0
    total: int = 0


@dataclass(frozen=True, slots=True)
class RunStarted:
    """One of the runs behind a model begins: `fold 1 of 4`, `final`; `steps` it will take, at most."""

    name: str
    steps: int


@dataclass(frozen=True, slots=True)
class Looked:
    """The held-out rows were scored: before training (step 0), after an epoch, every n steps.

    Attributes:
        step: after which.
        epoch: how often all rows have been seen, in parts.
        loss: mean masked log-loss over targets.
        metrics: by name.
        best: whether it is the best look so far.
    """

    step: int
    epoch: float
    loss: float
    metrics: Mapping[str, float]
    best: bool


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint was written after this step."""

    step: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """The run goes on after this step of a checkpoint."""

    step: int


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the user should know; the run goes on."""

    message: str


@dataclass(frozen=True, slots=True)
class Tracked:
    """A tracker has begun to show a run: by which name, and where, if that is known (offline it is nowhere)."""

    tracker: str
    run: str
    name: str
    url: str | None = None


Event = Stage | Chosen | Step | RunStarted | Looked | Saved | Resumed | Warned | Tracked


def follow(events: Generator[Event, None, Result], on_event: Callable[[Event], None]) -> Result:
    """Run a trainer to its end, handing each event on, and return its result."""
    while True:
        try:
            event = next(events)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        on_event(event)
