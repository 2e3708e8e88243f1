"""The process that does a job's work: `python -m modwright.jobs.trainer --phase validate|train --workspace DIR`.

It knows no database: what happens goes to its standard output, one JSON line each (see `lines`), and the worker that
started it keeps what it says. Whatever else prints goes to standard error. It dies with its parent. Started again
after a kill it tells the steps that were done before and goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from modwright.data.dataset import Dataset, read_dataset
from modwright.data.problems import DataProblemsError
from modwright.errors import (
    DataError,
    InputError,
    IntegrityError,
    MissingExtraError,
    ModwrightError,
    NotFoundError,
    TrainingError,
)
from modwright.jobs.lines import Failed, Line, Note, TrackedRun, Trained, TrainingStep, Validated
from modwright.jobs.states import Phase
from modwright.jobs.validating import check_data, describe, plan_of
from modwright.jobs.workspace import Order, Workspace
from modwright.pipeline.run_folder import EVENTS, run_folder_of
from modwright.pipeline.torchrun import as_worker, die_with_parent, is_worker, launch, shows
from modwright.pipeline.train import train
from modwright.settings import Settings, load_settings
from modwright.storage.job_rows import Level
from modwright.training.dealing import FINAL
from modwright.training.event_log import read_lines
from modwright.training.events import Event, Resumed, RunStarted, Stage, Step, Tracked, Warned

_PACKAGE = f"{os.sep}modwright{os.sep}"
#: Scoring comes first where processors are scarce.
_NICENESS = 5
#: Trying again does not help against these.
_FINAL_ERRORS = (InputError, NotFoundError, TrainingError, MissingExtraError)


class Teller:
    """Writes lines for the worker; of several processes only the first one speaks."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._run = ""
        self._stage = ""

    def tell(self, line: Line) -> None:
        """Write one line, at once."""
        if shows():
            self._stream.write(line.to_text() + "\n")
            self._stream.flush()

    def on_event(self, event: Event) -> None:
        """Tell what a trainer tells: steps of the run whose model remains, warnings, and each stage's beginning."""
        if isinstance(event, RunStarted):
            self._run = event.name
        elif isinstance(event, Step):
            if self._run in ("", FINAL):
                self.tell(TrainingStep.of(event))
        elif isinstance(event, Warned):
            self.tell(Note("warning", event.message, Level.WARN))
        elif isinstance(event, Tracked):
            if event.run in ("", FINAL):
                self.tell(TrackedRun(event.tracker, event.name, event.url))
        elif isinstance(event, Resumed):
            self.tell(Note("resumed", f"goes on after step {event.step}", Level.INFO, {"step": event.step}))
        elif isinstance(event, Stage) and event.name != self._stage:
            self._stage = event.name
            self.tell(Note("stage", event.name))


def validate(workspace: Workspace, settings: Settings, teller: Teller) -> None:
    """Read the files, resolve the recipe, estimate; tell the result."""
    order = _order(workspace)
    checked = check_data(order, workspace)
    for problem in checked.skipped:
        teller.tell(Note("skipped-line", str(problem), Level.WARN, _problem(problem)))
    result = describe(order, checked, settings, teller.on_event)
    workspace.write_checked(result)
    teller.tell(Note("training-plan", result["plan"], Level.INFO, {"recipe": result["recipe"]}))
    for told in (*result["ignored"], *result["notes"]):
        teller.tell(Note("warning" if told in result["ignored"] else "note", told, Level.WARN))
    teller.tell(Validated(result))


def run_training(workspace: Workspace, settings: Settings, teller: Teller) -> None:
    """Train the order's recipe on its rows into the workspace; tell every step and what came of it."""
    order = _order(workspace)
    dataset = _dataset(order, workspace)
    plan = plan_of(order, dataset, settings)
    _tell_done_before(workspace, teller)
    result = train(plan.recipe, dataset, workspace.model, settings, on_event=teller.on_event, replace=True)
    steps = _steps_done(workspace)
    tokens = sum(step.tokens or 0 for step in steps) or _data_tokens(workspace)
    teller.tell(
        Trained(
            folder=str(result.folder),
            artifact_id=result.artifact.id,
            root=plan.name,
            targets=result.artifact.schema.to_json()["targets"],
            trained_tokens=tokens,
            steps=len(steps),
        )
    )


def _order(workspace: Workspace) -> Order:
    order = workspace.read_order()
    if order is None:
        raise IntegrityError(
            "holds no order", where=str(workspace.folder), remedy="it is laid down by a worker"
        )
    return order


def _dataset(order: Order, workspace: Workspace) -> Dataset:
    """Return the rows that validation left here; they are read again where it was done on another machine."""
    try:
        return read_dataset(workspace.dataset)
    except (NotFoundError, IntegrityError):
        return check_data(order, workspace).dataset


def _tell_done_before(workspace: Workspace, teller: Teller) -> None:
    """Tell the steps that a killed process did: it may have died before its worker kept them."""
    for step in _steps_done(workspace):
        teller.tell(step)


def _steps_done(workspace: Workspace) -> list[TrainingStep]:
    lines = read_lines(run_folder_of(workspace.model) / EVENTS)
    return [
        TrainingStep(
            int(line.data["number"]),
            line.data["train_loss"],
            line.data.get("valid_loss"),
            line.data.get("learning_rate"),
            line.data.get("tokens") or None,
        )
        for line in lines
        if line.kind == "step" and line.run in ("", FINAL) and line.data["train_loss"] is not None
    ]


def _data_tokens(workspace: Workspace) -> int | None:
    """Return what validation counted, for families whose steps see no tokens; None where it was done elsewhere."""
    checked = workspace.read_checked() or {}
    tokens = checked.get("metadata", {}).get("train_tokens")
    return None if tokens is None else int(tokens)


def failure(error: BaseException) -> Failed:
    """Return what is told of an error: its words, the lines that are wrong, and whether trying again may help."""
    if not isinstance(error, ModwrightError):
        message = f"the trainer failed: {type(error).__name__}"
        return Failed("internal_error", message, where=_place(error), retry=True)
    problems: Sequence[ModwrightError] = ()
    if isinstance(error, DataProblemsError):
        problems = error.problems
    elif isinstance(error, DataError):
        problems = (error,)
    message = f"{error.total:,} problems" if isinstance(error, DataProblemsError) else error.message
    return Failed(
        error.code,
        message,
        where=error.where,
        remedy=error.remedy,
        problems=tuple(_problem(problem) for problem in problems),
        retry=not isinstance(error, _FINAL_ERRORS),
        of_input=isinstance(error, (InputError, NotFoundError)),
    )


def _place(error: BaseException) -> str | None:
    """Return the line of modwright's own that an unexpected error came out of."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _PACKAGE in frame.filename]
    return f"{own[-1].filename.rpartition(_PACKAGE)[2]}:{own[-1].lineno}" if own else None


def _problem(error: ModwrightError) -> dict[str, Any]:
    remedy = (
        None if error.remedy is None or "--" in error.remedy else error.remedy
    )  # no options of a command line
    told = {"message": error.message, "where": error.where, "remedy": remedy}
    extra = {key: getattr(error, key, None) for key in ("file", "line", "field")}
    return told | extra


@contextlib.contextmanager
def _own_output() -> Iterator[TextIO]:
    """Give the standard output to this module alone; what libraries print goes to standard error."""
    own = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(own, "w", encoding="utf-8") as stream:
        yield stream


def main(arguments: Sequence[str] | None = None) -> None:
    """Work on a phase and end with 0 when its outcome, be it a failure, was told."""
    parser = argparse.ArgumentParser(prog="modwright.jobs.trainer")
    parser.add_argument("--phase", choices=[str(phase) for phase in Phase], required=True)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--parent", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(arguments)
    if not is_worker():
        _die_with(given.parent)
        os.nice(_NICENESS)
    agent = given.processes > 1 and not is_worker()
    with contextlib.nullcontext(sys.stdout) if agent else _own_output() as stream:
        teller = Teller(stream)
        try:
            with as_worker():
                _work_of(given)(Workspace(given.workspace), load_settings(), teller)
        except Exception as error:
            if is_worker():  # the agent tells
                raise
            _report(error)
            teller.tell(failure(error))


def _work_of(given: argparse.Namespace) -> Callable[[Workspace, Settings, Teller], None]:
    """Return what this process does: a phase, or to be the agent of several processes that do it."""
    if given.processes == 1 or is_worker():
        return validate if given.phase == Phase.VALIDATE else run_training
    again = ["--phase", given.phase, "--workspace", str(given.workspace), "--processes", str(given.processes)]

    def share(workspace: Workspace, settings: Settings, teller: Teller) -> None:
        launch(again, given.processes, program=("-m", "modwright.jobs.trainer"))

    return share


def _report(error: Exception) -> None:
    """Leave a traceback where the operator finds it, without the words of an error: they may be of the data."""
    frames = traceback.extract_tb(error.__traceback__)
    shown = "".join(traceback.format_list(frames))
    print(f"{type(error).__name__}\n{shown}", file=sys.stderr)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the worker dies; Linux only."""
    die_with_parent()
    if parent and os.getppid() != parent:  # it died before this could be arranged
        os._exit(1)


if __name__ == "__main__":
    main()
