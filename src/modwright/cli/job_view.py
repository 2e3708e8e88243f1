"""How a job is shown: as a table of fields, as its log, and live while it works."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, Self

from modwright.cli.remote import moment, one_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from modwright.client import Checkpoint, Event, Job, Update

#: The loss shown is the mean of about so many steps.
_SMOOTHING = 20
_STATUS = "status-updated"
_AFTER_STEPS = ("SUCCESS", "FAILED", "CANCELLED")
_STEPS_RANK = 1


def job_fields(job: Job) -> list[tuple[str, str]]:
    """Return a job as names and values."""
    asked = dataclasses.asdict(job.hyperparameters)
    estimate, last = job.estimate, job.checkpoints[-1:]
    duration = estimate.expected_duration_seconds
    return [
        ("id", job.id),
        ("status", job.status + ("" if job.auto_start or job.status != "VALIDATED" else ", waits for start")),
        ("model", job.model + (f", trains {job.recipe}" if job.recipe else "")),
        ("created", moment(job.created_at)),
        ("files", ", ".join(job.training_files)),
        ("validation", ", ".join(job.validation_files)),
        ("asked", ", ".join(f"{key} {value:g}" for key, value in asked.items() if value is not None)),
        ("overrides", ", ".join(f"{key}={json.dumps(value)}" for key, value in job.overrides.items())),
        *((f"target {target.name}", ", ".join(target.labels)) for target in job.targets),
        ("takes", "" if duration is None else f"about {duration:,.0f} s, {_cost(job)}{_tokens(job)}"),
        *(("last step", step_line(step, job.hyperparameters.training_steps)) for step in last),
        ("trained", job.fine_tuned_model or ""),
        ("error", "" if job.error is None else f"{job.error.code}: {job.error.message}"),
    ]


def _cost(job: Job) -> str:
    cost, currency = job.estimate.cost, job.estimate.cost_currency
    return f"{cost:g}{f' {currency}' if currency else ''}, " if cost else ""


def _tokens(job: Job) -> str:
    tokens = job.estimate.train_tokens
    return "" if tokens is None else f"{tokens:,} tokens"


def event_line(event: Event) -> str:
    """Return an event as one line: when, what, and how much it matters where it does."""
    level = "" if event.level == "info" else f"{event.level}: "
    return f"{moment(event.created_at)}  {level}{one_line(_event_text(event))}"


def _event_text(event: Event) -> str:
    if event.name == _STATUS and event.data:
        return str(event.data.get("status"))
    return event.message or event.name


def _rank(event: Event) -> int:
    """Return where an event stands among the lines of one second: a job's end comes after its steps."""
    status = (event.data or {}).get("status") if event.name == _STATUS else None
    return _STEPS_RANK + 1 if status in _AFTER_STEPS else _STEPS_RANK - 1


def step_line(step: Checkpoint, total: int | None) -> str:
    """Return a step as one line: its number, and its losses."""
    of = f"/{total:,}" if total else ""
    valid = "" if step.valid_loss is None else f", validation {step.valid_loss:.4f}"
    return f"step {step.step_number:,}{of}: loss {step.train_loss:.4f}{valid}"


class Meter:
    """The figures of a job's steps for one line; speed by the server's clock."""

    def __init__(self) -> None:
        self._smooth = self._weight = 0.0
        self._first: Checkpoint | None = None
        self._last: Checkpoint | None = None
        self._best: float | None = None

    def take(self, steps: Iterable[Checkpoint]) -> None:
        """Take further steps."""
        keep = 1 - 1 / _SMOOTHING
        for step in steps:
            self._smooth = keep * self._smooth + (1 - keep) * step.train_loss
            self._weight = keep * self._weight + (1 - keep)
            self._first, self._last = self._first or step, step
            if step.valid_loss is not None:
                self._best = min(step.valid_loss, step.valid_loss if self._best is None else self._best)

    @property
    def done(self) -> int:
        """Return the last step's number, 0 before the first."""
        return 0 if self._last is None else self._last.step_number

    def detail(self, total: int | None) -> str:
        """Return step, smoothed loss, time left and best validation loss; nothing before the first step."""
        if self._last is None:
            return ""
        from modwright.cli.meter import clock_text

        left_s = self._left_s(total)
        parts = [
            f"{self.done:,}/{total:,}" if total else f"{self.done:,}",
            f"loss {self._smooth / self._weight:.4f}",
        ]
        parts += [] if left_s is None else [f"{clock_text(left_s)} left"]
        parts += [] if self._best is None else [f"best validation {self._best:.4f}"]
        return "  ".join(parts)

    def _left_s(self, total: int | None) -> float | None:
        if self._first is None or self._last is None or not total:
            return None
        steps = self._last.step_number - self._first.step_number
        seconds = self._last.created_at - self._first.created_at
        return seconds / steps * max(0, total - self.done) if steps > 0 else None


class Shown(Protocol):
    """Shows a job's updates as they come; for a `with`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def show(self, update: Update) -> None:
        """Show one update."""
        ...


class JsonLines:
    """An update's news as lines of JSON: events, then steps."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def show(self, update: Update) -> None:
        """Print what is new."""
        for event in update.events:
            self._print({"event": event.name, **dataclasses.asdict(event)})
        for step in update.checkpoints:
            self._print({"event": "step", **dataclasses.asdict(step)})
        if update.job.rests:
            told = {"status": update.job.status, "fine_tuned_model": update.job.fine_tuned_model}
            self._print({"event": "end", "id": update.job.id, **told})

    def _print(self, document: dict[str, object]) -> None:
        document.pop("name", None)
        print(json.dumps(document, ensure_ascii=False, allow_nan=False), flush=True)


class LiveJob:
    """Events and looks at held-out rows as lines; on a terminal one more line that moves, with the loss."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        self._console = Console()
        self._bar: Progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID = self._bar.add_task("", total=None, detail="")
        self._meter = Meter()
        self._told = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def show(self, update: Update) -> None:
        """Print what is new, and move the line."""
        total = update.job.hyperparameters.training_steps
        lines = [(event.created_at, _rank(event), event_line(event)) for event in update.events]
        for step in self._telling(update):
            text = f"{moment(step.created_at)}  {step_line(step, total)}"
            lines.append((step.created_at, _STEPS_RANK, text))
            self._told = step.step_number
        for _, _, text in sorted(lines, key=lambda line: line[:2]):
            self._say(text)
        self._meter.take(update.checkpoints)
        self._bar.update(
            self._task,
            description=str(update.job.status),
            total=total,
            completed=self._meter.done,
            detail=self._meter.detail(total),
        )

    def _telling(self, update: Update) -> list[Checkpoint]:
        """Return the steps worth a line: those after which held-out rows were scored, and the last of all."""
        looked = [step for step in update.checkpoints if step.valid_loss is not None]
        last = update.job.checkpoints[-1:] if update.job.status.ended else ()
        told = looked[-1].step_number if looked else self._told
        return [*looked, *(step for step in last if step.step_number > told)]

    def _say(self, text: str) -> None:
        """Print a line; one that goes to a pipe is not broken, however wide."""
        whole = not self._console.is_terminal
        self._console.print(text, markup=False, highlight=False, soft_wrap=whole)
        self._console.file.flush()
