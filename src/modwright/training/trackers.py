"""Who else is told of a run: Weights & Biases and TensorBoard, by one recipe line each; neither can stop or hold a run."""

from __future__ import annotations

import os
import queue
import re
import threading
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from modwright.errors import MissingExtraError, UsageError
from modwright.files import sha256_json
from modwright.recipe import TrackersRecipe
from modwright.training.events import Event, Looked, RunStarted, Step, Tracked, Warned

WANDB, TENSORBOARD = "wandb", "tensorboard"
#: A tracker that lags by so many events, or closes no sooner than this, is left behind.
_MOST_WAITING = 50_000
CLOSE_TIMEOUT_S = 30.0


class Tracker(Protocol):
    """One place that a run's figures are sent to; every method may block or fail, which the run never feels."""

    def step(self, run: str, step: Step) -> None:
        """Take a step of the run of that name (empty where the work is one run)."""
        ...

    def look(self, run: str, look: Looked) -> None:
        """Take the scores of the held-out rows."""
        ...

    def close(self) -> None:
        """Write down what is left."""
        ...

    def shown(self) -> Sequence[tuple[str, str, str | None]]:
        """Return the runs that it has begun to show: name of each here and there, and its address, if it has any."""
        ...


class Trackers:
    """Hands steps and looks to trackers, each on a thread of its own; one that fails is told of once and left out."""

    def __init__(self, trackers: Mapping[str, Tracker], *, close_timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        self._couriers = [_Courier(name, tracker) for name, tracker in trackers.items()]
        self._close_timeout_s = close_timeout_s
        self._run = ""

    def on_event(self, event: Event) -> list[Warned | Tracked]:
        """Take an event at once; return which runs trackers show since, and warnings of those that have failed."""
        if isinstance(event, RunStarted):
            self._run = event.name
        if isinstance(event, (Step, Looked)):
            for courier in self._couriers:
                courier.send(self._run, event)
        return self._news()

    def close(self) -> list[Warned | Tracked]:
        """Close every tracker, waiting for all of them together no longer than the limit; return what `on_event` does."""
        for courier in self._couriers:
            courier.send_end()
        deadline = time.monotonic() + self._close_timeout_s
        for courier in self._couriers:
            courier.join(max(0.0, deadline - time.monotonic()), self._close_timeout_s)
        news = self._news()
        self._couriers = []
        return news

    def _news(self) -> list[Warned | Tracked]:
        shown = [tracked for courier in self._couriers for tracked in courier.newly_shown()]
        return [*shown, *self._left_out()]

    def _left_out(self) -> list[Warned]:
        failed = [courier for courier in self._couriers if courier.failure is not None]
        self._couriers = [courier for courier in self._couriers if courier.failure is None]
        return [
            Warned(f"the tracker '{courier.name}' is left out, the run goes on: {courier.failure}")
            for courier in failed
        ]


class _Courier:
    """A thread that carries events to one tracker."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        self.name = name
        self.failure: str | None = None
        self._tracker = tracker
        self._told = 0
        self._waiting: queue.Queue[tuple[str, Step | Looked] | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._carry, name=f"tracker {name}", daemon=True)
        self._thread.start()

    def newly_shown(self) -> list[Tracked]:
        """Return the runs that the tracker shows and that were not told yet."""
        shown = self._tracker.shown()[self._told :]
        self._told += len(shown)
        return [Tracked(self.name, *one) for one in shown]

    def send(self, run: str, event: Step | Looked) -> None:
        self._put((run, event))

    def send_end(self) -> None:
        self._put(None)

    def join(self, timeout_s: float, told_s: float) -> None:
        self._thread.join(timeout_s)
        if self._thread.is_alive() and self.failure is None:
            self.failure = f"it did not close within {told_s:g} s"

    def _put(self, item: tuple[str, Step | Looked] | None) -> None:
        try:
            self._waiting.put_nowait(item)
        except queue.Full:
            self.failure = f"it lags by {_MOST_WAITING:,} events"

    def _carry(self) -> None:
        try:
            while (item := self._waiting.get()) is not None:
                run, event = item
                if isinstance(event, Step):
                    self._tracker.step(run, event)
                else:
                    self._tracker.look(run, event)
            self._tracker.close()
        except BaseException as error:  # whatever a foreign library throws, SystemExit included
            self.failure = f"{type(error).__name__}: {error}"


def open_trackers(
    recipe: TrackersRecipe | None, folder: Path, name: str, config: Mapping[str, Any]
) -> Trackers:
    """Return the trackers that a recipe names; nothing is written before the first step.

    Args:
        recipe: None where the family has none.
        folder: of the run; each tracker's files lie in a folder below it.
        name: of the run as the trackers show it.
        config: JSON-ready: the recipe.

    Raises:
        MissingExtraError: a tracker's package is not installed.
    """
    found: dict[str, Tracker] = {}
    if recipe is not None and recipe.wandb is not None:
        _require("wandb", "Weights & Biases")
        found[WANDB] = WandbTracker(recipe.wandb, recipe.wandb_mode, folder, name, config)
    if recipe is not None and recipe.tensorboard:
        _require("tensorboard", "TensorBoard")
        found[TENSORBOARD] = TensorBoardTracker(folder / TENSORBOARD)
    return Trackers(found)


def _require(package: str, why: str) -> None:
    if find_spec(package) is None:
        raise MissingExtraError("trackers", why)


class WandbTracker:
    """One Weights & Biases run per run, grouped by name; offline its files lie in `<folder>/wandb` and nothing is sent."""

    def __init__(self, project: str, mode: str, folder: Path, name: str, config: Mapping[str, Any]) -> None:
        self._project, self._mode, self._folder = project, mode, folder
        self._name, self._config = name, config
        self._run: Any = None
        self._run_name: str | None = None
        self._shown: list[tuple[str, str, str | None]] = []

    def shown(self) -> Sequence[tuple[str, str, str | None]]:
        """Return the runs opened so far; those of offline runs have no address."""
        return tuple(self._shown)

    def step(self, run: str, step: Step) -> None:
        """Log a step's figures under `train/`."""
        self._log(run, step.number, _step_figures(step))

    def look(self, run: str, look: Looked) -> None:
        """Log the losses and metrics of held-out rows under `validation/`."""
        self._log(run, look.step, _look_figures(look))

    def close(self) -> None:
        """Finish the run: what is left is written, or sent."""
        if self._run is not None:
            self._run.finish()
            self._run = None

    def _log(self, run: str, step: int, figures: dict[str, float]) -> None:
        if run != self._run_name:
            self.close()
            self._run, self._run_name = self._open(run), run
        self._run.log({"step": step, **figures})

    def _open(self, run: str) -> Any:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when the package is imported
        import wandb

        if self._mode == "online" and not wandb.login(prompt=False):
            raise UsageError(
                "there is no key of Weights & Biases",
                remedy="set WANDB_API_KEY, run `wandb login`, or set wandb_mode = 'offline'",
            )
        identity = sha256_json([str(self._folder), self._name, run, self._config])[:16]
        opened = wandb.init(
            project=self._project,
            # Who sets the variable names the run; the library itself reads it once in a process.
            name=os.environ.get("WANDB_NAME") or f"{self._name} {run}".strip(),
            group=self._name,
            id=identity,
            resume="allow" if self._mode == "online" else None,
            config=dict(self._config),
            dir=str(self._folder),
            mode="online" if self._mode == "online" else "offline",
            reinit="create_new",
            settings=wandb.Settings(**_WANDB_SETTINGS),
        )
        opened.define_metric("*", step_metric="step")
        self._shown.append((run, str(opened.name), opened.url or None))
        return opened


#: Only what is logged leaves this process: no code, no command line, no host, no console.
_WANDB_SETTINGS: dict[str, Any] = {
    "silent": True,
    "console": "off",
    "disable_git": True,
    "disable_code": True,
    "save_code": False,
    "disable_job_creation": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
    "host": "modwright",
    "init_timeout": CLOSE_TIMEOUT_S,
    "finish_timeout": CLOSE_TIMEOUT_S,
}


class TensorBoardTracker:
    """TensorBoard's event files, one folder per run, by tensorboard's own writer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None
        self._run: str | None = None

    def shown(self) -> Sequence[tuple[str, str, str | None]]:
        """Return nothing: its files lie in the run's folder, whose name is known."""
        return ()

    def step(self, run: str, step: Step) -> None:
        """Write a step's figures under `train/`."""
        self._write(run, step.number, _step_figures(step))

    def look(self, run: str, look: Looked) -> None:
        """Write the losses and metrics of held-out rows under `validation/`."""
        self._write(run, look.step, _look_figures(look))

    def close(self) -> None:
        """Flush and close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, run: str, step: int, figures: Mapping[str, float]) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2

        if run != self._run:
            self.close()
            self._writer, self._run = self._open(run, step), run
        values = [summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in figures.items()]
        summary = summary_pb2.Summary(value=values)
        self._writer.add_event(event_pb2.Event(wall_time=time.time(), step=step, summary=summary))

    def _open(self, run: str, step: int) -> Any:
        """Begin a file; its first line tells TensorBoard to forget what an earlier file says from this step on."""
        from tensorboard.compat.proto import event_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        writer = EventFileWriter(str(self._folder / _safe(run)))
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        writer.add_event(event_pb2.Event(wall_time=time.time(), step=step, session_log=start))
        return writer


def _safe(run: str) -> str:
    return re.sub(r"[^\w.-]+", "-", run).strip("-.") or "run"


def _step_figures(step: Step) -> dict[str, float]:
    figures: dict[str, float | None] = {
        "train/loss": step.train_loss,
        "train/epoch": step.epoch,
        "train/learning_rate": step.learning_rate,
        "train/tokens_per_s": step.tokens / step.seconds if step.tokens and step.seconds > 0 else None,
        "validation/loss": step.valid_loss,
    }
    return {name: float(value) for name, value in figures.items() if value is not None}


def _look_figures(look: Looked) -> dict[str, float]:
    figures = {f"validation/{name}": float(value) for name, value in look.metrics.items()}
    return {"validation/loss": look.loss, **figures}
