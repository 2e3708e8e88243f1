"""The folder of a run beside its artifact: what is being trained, every event, the loss as a picture, checkpoints.

model-run/
  run.json        what is being trained: the recipe's hash, the dataset's id, the bases' hashes
  events.jsonl    every event, with its wall time
  loss.svg, loss.png
  checkpoints/    while the run is under way
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modwright.errors import IntegrityError, UsageError
from modwright.files import has_leftovers, locked, read_json, write_text_atomic
from modwright.pipeline.bases import portable
from modwright.recipe import FrozenRecipe, Recipe
from modwright.render.losses import LossCurve, draw_losses
from modwright.training.event_log import FINISHED, OPENED, EventLog, Line
from modwright.training.events import Event, Looked, RunStarted, Warned
from modwright.training.trackers import TENSORBOARD, WANDB, Trackers, open_trackers

RUN, EVENTS, CHECKPOINTS = "run.json", "events.jsonl", "checkpoints"
PICTURES = ("loss.svg", "loss.png")
FORMAT_VERSION = 1
#: Drawing takes at most this share of a run's time.
_DRAWING_SHARE = 0.02
_FIRST = frozenset({f".{RUN}.partial"})


def run_folder_of(out: Path) -> Path:
    """Return the folder of the run that makes an artifact folder."""
    whole = Path(os.path.abspath(out.expanduser()))  # noqa: PTH100 - a link stays, and `..` goes
    return whole.parent / f"{whole.name}-run"


class RunFolder:
    """A run under way: `on_event` keeps each event, draws the losses now and then, and hands the event on.

    Attributes:
        folder: `<out>-run`.
        checkpoints: the folder in it for states to go on from.
    """

    def __init__(self, folder: Path, title: str, tell: Callable[[Event], None], trackers: Trackers) -> None:
        self.folder = folder
        self.checkpoints = folder / CHECKPOINTS
        self._title = title
        self._tell = tell
        self._trackers = trackers
        self._log = EventLog(folder / EVENTS)
        self._log.mark(OPENED)
        self._draws_from = 0.0
        self._can_draw = True

    def on_event(self, event: Event) -> None:
        """Keep an event and hand it on."""
        self._keep(event)
        for news in self._trackers.on_event(event):
            self._keep(news)
        if isinstance(event, (Looked, RunStarted)) and time.monotonic() >= self._draws_from:
            self.draw()

    def _keep(self, event: Event) -> None:
        self._log.add(event)
        self._tell(event)

    def draw(self) -> None:
        """Draw the losses so far; a drawing that fails is told once and never stops a run."""
        curves = curves_of(self._log.lines)
        if not self._can_draw or not curves:
            return
        begun = time.monotonic()
        try:
            _draw(self.folder, curves, self._title)
        except Exception as error:
            self._can_draw = False
            self._keep(Warned(f"the losses are not drawn: {error}"))
        took = time.monotonic() - begun
        self._draws_from = time.monotonic() + took / _DRAWING_SHARE

    def finish(self) -> None:
        """Say that the artifact is there: checkpoints are removed, the rest stays."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        self._log.mark(FINISHED)
        _write_run(self.folder, self._read_identity(), finished=True)

    def close(self) -> None:
        """Draw what there is, and close the trackers and the file."""
        self.draw()
        for news in self._trackers.close():
            self._keep(news)
        self._log.close()

    def _read_identity(self) -> Any:
        return read_json(self.folder / RUN)["identity"]


@contextlib.contextmanager
def open_run(
    out: Path,
    identity: Mapping[str, Any],
    recipe: Recipe,
    on_event: Callable[[Event], None],
) -> Iterator[RunFolder]:
    """Open the run folder of an artifact folder, to go on with a killed run of the same identity.

    Another process that trains into the same folder is waited for. A run of another identity is dropped and an event
    says so. Whoever has written the artifact calls `finish`; without it the checkpoints stay for the next time.

    Args:
        out: of the artifact; the run is kept in `<out>-run`.
        identity: JSON-ready: what is being trained.
        recipe: says who else is told.
        on_event: told every event that the run folder's `on_event` is told, and its own warnings.

    Raises:
        UsageError: the folder holds something that is no run.
        MissingExtraError: the recipe names a tracker that is not installed.
    """
    folder = run_folder_of(out)
    refuse_foreign(folder)
    name = folder.name.removesuffix("-run")
    told = None if isinstance(recipe, FrozenRecipe) else recipe.trackers
    trackers = open_trackers(told, folder, name, portable(recipe).deciding())
    with locked(folder):
        dropped = _prepare(folder, json.loads(json.dumps(identity)))
        run = RunFolder(folder, name, on_event, trackers)
        try:
            if dropped:
                run.on_event(Warned(f"{folder} held the run of another recipe or dataset, which is dropped"))
            yield run
        finally:
            run.close()


def settle(out: Path) -> None:
    """Put right what a killed process left of the run behind an artifact that is there; nothing where all is well."""
    folder = run_folder_of(out)
    there = _read_run(folder)
    if there is None or (there["state"] == "finished" and not has_leftovers(folder)):
        return
    with locked(folder):
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        for name in PICTURES:
            _partial(folder, name).unlink(missing_ok=True)
        _write_run(folder, there["identity"], finished=True)


def refuse_foreign(folder: Path) -> None:
    """Raise UsageError unless a run may be kept in a folder: none yet, empty, or a run's."""
    remedy = "choose another --out, or move this away"
    if folder.exists() and not folder.is_dir():
        raise UsageError("is a file, a run's folder goes there", where=str(folder), remedy=remedy)
    if not folder.is_dir() or not {path.name for path in folder.iterdir()} - _FIRST:
        return
    if _read_run(folder) is None:
        raise UsageError(f"is no run's folder: there is no {RUN} of one", where=str(folder), remedy=remedy)


def _prepare(folder: Path, identity: Any) -> bool:
    """Make the folder fit for a run; return whether one of another identity was dropped."""
    refuse_foreign(folder)
    there = _read_run(folder)
    dropped = there is not None and there["identity"] != identity
    if dropped:
        _drop(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write_run(folder, identity, finished=False)
    (folder / CHECKPOINTS).mkdir(exist_ok=True)
    return dropped


def _drop(folder: Path) -> None:
    """Remove what a run wrote, and nothing else; run.json is written over last, so that a kill leaves a run's folder."""
    for name in (CHECKPOINTS, EVENTS, *PICTURES, WANDB, TENSORBOARD):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _read_run(folder: Path) -> dict[str, Any] | None:
    try:
        data = read_json(folder / RUN)
    except (IntegrityError, OSError):
        return None
    known = isinstance(data, dict) and data.get("modwright_run") == FORMAT_VERSION and "identity" in data
    return data if known else None


def _write_run(folder: Path, identity: Any, *, finished: bool) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    data = {
        "modwright_run": FORMAT_VERSION,
        "identity": identity,
        "state": "finished" if finished else "running",
        "since": now,
    }
    write_text_atomic(folder / RUN, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def curves_of(lines: list[Line]) -> list[LossCurve]:
    """Return the losses of every run in a log, in order of their beginning."""
    curves: dict[str, LossCurve] = {}
    for line in lines:
        if line.kind not in ("step", "looked"):
            continue
        curve = curves.setdefault(line.run, LossCurve(line.run))
        train, valid = (
            (line.data.get("train_loss"), line.data.get("valid_loss"))
            if line.kind == "step"
            else (None, line.data.get("loss"))
        )
        if train is not None:
            curve.train.append((line.step, float(train)))
        if valid is not None and (not curve.valid or curve.valid[-1][0] != line.step):
            curve.valid.append((line.step, float(valid)))
    return list(curves.values())


def _draw(folder: Path, curves: list[LossCurve], title: str) -> None:
    """Draw aside and rename, so that who looks never sees a half."""
    staged = [_partial(folder, name) for name in PICTURES]
    draw_losses(curves, f"{title}: training and validation loss", staged)
    for path, name in zip(staged, PICTURES, strict=True):
        path.replace(folder / name)


def _partial(folder: Path, name: str) -> Path:
    return folder / f".{name.replace('loss', 'loss-partial')}"
