"""A dry run: the validation of a job that is not kept, in a process of its own and a folder that goes again."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modwright.errors import (
    IntegrityError,
    ModwrightError,
    OverloadedError,
    RequestError,
    TrainingError,
    UnavailableError,
)
from modwright.jobs.executors import LocalExecutor, Running, TrainerCommand, trainer_environment
from modwright.jobs.lines import Failed, Validated, read_line
from modwright.jobs.preparing import lay_down
from modwright.jobs.specs import JobSpec
from modwright.jobs.states import Phase
from modwright.jobs.workspace import Workspace
from modwright.settings import Settings

if TYPE_CHECKING:
    from modwright.storage.blobs import Blobs
    from modwright.storage.files import FileStore

#: Below the home folder, beside the workspaces of jobs: what a killed server leaves is no job's.
FOLDER = "dry-runs"
#: Share of the time a request may take that is given to the trainer.
_SHARE = 0.9
_RETRY_AFTER_S = 10.0


class DryRun:
    """Estimates one job at a time.

    Args:
        settings: where the home folder is, and how long a request may take.
        files: where uploaded files are known.
        blobs: where their bytes are.
    """

    def __init__(self, settings: Settings, files: FileStore, blobs: Blobs) -> None:
        self._settings, self._files, self._blobs = settings, files, blobs
        self._timeout_s = settings.max_request_s * _SHARE
        self._busy = threading.Lock()

    def estimate(self, project_id: str, spec: JobSpec) -> Mapping[str, Any]:
        """Return what validation would put into the job's result: targets, hyperparameters, metadata, plan.

        Raises:
            RequestError: validation would fail.
            DataError: a file was deleted meanwhile.
            OverloadedError: another dry run goes on.
            UnavailableError: it took too long.
            TrainingError: the process failed by no fault of the request.
        """
        if not self._busy.acquire(blocking=False):
            raise OverloadedError("another dry run goes on", retry_after_s=_RETRY_AFTER_S)
        workspace = Workspace(self._settings.home / FOLDER / uuid.uuid4().hex)
        try:
            lay_down(workspace, project_id, spec, self._files, self._blobs, self._settings)
            return self._run(workspace)
        finally:
            shutil.rmtree(workspace.folder, ignore_errors=True)
            self._busy.release()

    def _run(self, workspace: Workspace) -> Mapping[str, Any]:
        environment = trainer_environment(self._settings)
        running = LocalExecutor().start(TrainerCommand(Phase.VALIDATE, workspace.folder, environment))
        late = threading.Event()

        def give_up() -> None:
            late.set()
            running.kill()

        timer = threading.Timer(self._timeout_s, give_up)
        timer.start()
        try:
            return _outcome(running)
        except TrainingError:
            if late.is_set():
                raise UnavailableError(
                    f"the dry run took longer than {self._timeout_s:g} s", retry_after_s=_RETRY_AFTER_S
                ) from None
            raise
        finally:
            timer.cancel()
            running.kill()


def _outcome(running: Running) -> Mapping[str, Any]:
    for text in running.lines():
        try:
            line = read_line(text)
        except IntegrityError:  # the last words of a killed process
            continue
        if isinstance(line, Validated):
            return line.result
        if isinstance(line, Failed):
            raise _refusal(line)
    raise TrainingError(
        f"the trainer ended with {running.wait()} and said nothing", remedy="the server's log may tell"
    )


def _refusal(failed: Failed) -> ModwrightError:
    told = f"{failed.where}: {failed.message}" if failed.where else failed.message
    if failed.problems:
        first = failed.problems[0]
        told = f"{told}; the first: {first['where']}: {first['message']}"
    kind = RequestError if failed.of_input else TrainingError
    return kind(told, remedy=failed.remedy)
