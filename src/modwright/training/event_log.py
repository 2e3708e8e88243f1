"""A run's events as lines of JSON: appended one by one, and cut back where a resumed run does steps again."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from modwright.files import write_text_atomic
from modwright.training.events import (
    Chosen,
    Event,
    Looked,
    Resumed,
    RunStarted,
    Saved,
    Stage,
    Step,
    Tracked,
    Warned,
)

#: What each event is called in its line.
KINDS: dict[type[Any], str] = {
    Stage: "stage",
    Chosen: "chosen",
    Step: "step",
    RunStarted: "run_started",
    Looked: "looked",
    Saved: "saved",
    Resumed: "resumed",
    Warned: "warned",
    Tracked: "tracked",
}
#: Lines that are no event of a trainer: a process begins its work on the run, or has written the artifact.
OPENED, FINISHED = "opened", "finished"
#: The key that says after which step something happened.
_STEP_KEYS = {"step": "number", "looked": "step", "saved": "step"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log: its data, and the run and step that it belongs to (step -1 for none)."""

    data: dict[str, Any]

    @property
    def kind(self) -> str:
        """Return what happened."""
        return str(self.data.get("event", ""))

    @property
    def run(self) -> str:
        """Return the name of the run, empty where the work is one run."""
        return str(self.data.get("run", ""))

    @property
    def step(self) -> int:
        """Return after which step of its run this is, -1 where steps do not matter."""
        key = _STEP_KEYS.get(self.kind)
        return -1 if key is None else int(self.data.get(key, -1))


class EventLog:
    """`events.jsonl`: every line is whole, and no step of a run stands in it twice.

    A line is `{"event", "time", "run", ...}`: what happened, the wall time (UTC), the run it belongs to (left out before
    the first run and where the work is one run), and the event's own fields; a number that is not finite is null.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lines = read_lines(path)
        self._furthest: dict[str, int] = {}
        self._stream: BinaryIO | None = None
        self._run = ""
        self._write_all()

    def add(self, event: Event, now: datetime | None = None) -> Line:
        """Append an event; what the log already holds of steps that are done again is cut away first."""
        if isinstance(event, RunStarted):
            self._run = event.name
        line = Line(_data(event, self._run, now or datetime.now(UTC)))
        self._cut_back(line, event)
        self._append(line)
        if line.step >= 0:
            self._furthest[line.run] = max(line.step, self._furthest.get(line.run, -1))
        return line

    def mark(self, kind: str, now: datetime | None = None) -> None:
        """Append that a process has begun (OPENED) or ended (FINISHED) its work on the run."""
        self._append(Line({"event": kind, "time": _time(now or datetime.now(UTC))}))

    def _append(self, line: Line) -> None:
        self.lines.append(line)
        if self._stream is None:
            self._stream = self._path.open("ab", buffering=0)
        self._stream.write(_text(line).encode())

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _cut_back(self, new: Line, event: Event) -> None:
        if isinstance(event, Resumed):
            self._keep(lambda line: line.run != new.run or line.step <= event.step)
        elif isinstance(event, Chosen):
            again = (new.run, "chosen", event.target)
            self._keep(lambda line: (line.run, line.kind, line.data.get("target")) != again)
        elif 0 <= new.step <= self._furthest.get(new.run, -1):
            self._keep(lambda line: not _done_again(line, new))

    def _keep(self, wanted: Callable[[Line], bool]) -> None:
        kept = [line for line in self.lines if wanted(line)]
        if len(kept) < len(self.lines):
            self.lines = kept
            self._write_all()

    def _write_all(self) -> None:
        self.close()
        write_text_atomic(self._path, "".join(map(_text, self.lines)))
        self._furthest = {}
        for line in self.lines:
            self._furthest[line.run] = max(line.step, self._furthest.get(line.run, -1))


def _done_again(old: Line, new: Line) -> bool:
    """Say whether an old line is of a step that a new one does again: looks and saves follow their step."""
    if old.run != new.run or old.step < new.step:
        return False
    return old.step > new.step or new.kind == "step" or old.kind == new.kind


def _data(event: Event, run: str, now: datetime) -> dict[str, Any]:
    own = {field.name: _plain(getattr(event, field.name)) for field in fields(event)}
    named = {"run": run} if run else {}
    return {"event": KINDS[type(event)], "time": _time(now), **named, **own}


def _time(now: datetime) -> str:
    return now.isoformat(timespec="milliseconds")


def seconds_worked(lines: Sequence[Line]) -> float:
    """Return the seconds that processes worked on a run, the time between a kill and the next start left out."""
    total, last = 0.0, None
    for line in lines:
        now = datetime.fromisoformat(line.data["time"])
        if last is not None and line.kind != OPENED:
            total += max(0.0, (now - last).total_seconds())
        last = now
    return total


def _plain(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if hasattr(value, "items"):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return str(value)
    number = float(value)
    return number if math.isfinite(number) else None


def _text(line: Line) -> str:
    return json.dumps(line.data, ensure_ascii=False, allow_nan=False) + "\n"


def read_lines(path: Path) -> list[Line]:
    """Return the whole lines of a log, none where there is no file."""
    return list(_whole_lines(path))


def _whole_lines(path: Path) -> Iterator[Line]:
    """Yield the lines up to the first one that a kill or a full disk broke off."""
    if not path.is_file():
        return
    for raw in path.read_bytes().split(b"\n")[:-1]:
        try:
            data = json.loads(raw)
        except (ValueError, RecursionError):
            return
        if not isinstance(data, dict) or not {"event", "time"} <= data.keys():
            return
        yield Line(data)
