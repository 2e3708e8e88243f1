"""Jobs as both dialects ask for them: created after every check that needs no reading of data, shown, started, ended.

Nothing here trains or reads a file: that is a worker's, in processes of its own.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from modwright.errors import NotFoundError, RequestError, UnprocessableError
from modwright.jobs.agreement import GivenFile, check_agreement
from modwright.jobs.file_summary import FileSummary
from modwright.jobs.naming import choose, recipe_of
from modwright.jobs.specs import JobSpec
from modwright.settings import Settings
from modwright.storage.job_rows import CheckpointRow, EventRow, JobFilters, JobRow, NewJob

if TYPE_CHECKING:
    from modwright.storage.files import FileRow, FileStore
    from modwright.storage.jobs import JobStore
    from modwright.storage.secrets import Sealer

#: The purpose of files that jobs read.
PURPOSE = "fine-tune"


@dataclass(frozen=True, slots=True)
class JobOrder:
    """A job as it was asked for.

    Attributes:
        spec: what to train.
        auto_start: train as soon as the files are validated; else wait for `start`.
        keys: type of an integration to its API key; sealed, never shown.
    """

    spec: JobSpec
    auto_start: bool = True
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class JobDetail:
    """A job with everything that happened: events oldest first, steps newest first."""

    job: JobRow
    events: Sequence[EventRow]
    checkpoints: Sequence[CheckpointRow]


class Estimator(Protocol):
    """Says what a job will take without keeping anything, in a process of its own."""

    def estimate(self, project_id: str, spec: JobSpec) -> Mapping[str, Any]:
        """Return what validation would put into the job's result: targets, hyperparameters, metadata, plan.

        Raises:
            RequestError: validation would fail.
            OverloadedError, UnavailableError: another one goes on, or it took too long.
        """
        ...


class JobService:
    """Creates jobs and shows them; synchronous, each method takes the asking project first.

    Args:
        settings: its `job_aliases` say what models' names stand for.
        files: where uploaded files are known.
        jobs: the queue.
        sealer: for keys of integrations.
        estimator: for dry runs; without one they are refused.
    """

    def __init__(
        self,
        settings: Settings,
        files: FileStore,
        jobs: JobStore,
        sealer: Sealer,
        estimator: Estimator | None = None,
    ) -> None:
        self._aliases = settings.job_aliases
        self._files, self._jobs, self._sealer, self._estimator = files, jobs, sealer, estimator

    def create(self, project_id: str, order: JobOrder, dialect: str, created_by: str | None = None) -> JobRow:
        """Check an order and queue it for validation.

        Raises:
            RequestError: a file, target, hyperparameter or override that cannot be; its field is named.
            ModelNotFoundError: no such model.
            ConflictError: an unfinished job is the same.
        """
        spec = self.checked(project_id, order.spec)
        choice = choose(spec.model, spec.recipe, self._aliases)
        return self._jobs.create(
            NewJob(
                project_id=project_id,
                dialect=dialect,
                model=spec.model,
                spec=spec.to_json(),
                twin=spec.twin(),
                auto_start=order.auto_start,
                suffix=spec.suffix,
                result={"recipe": choice.recipe, "why": choice.why},
                secrets=self._sealer.seal(json.dumps(dict(order.keys))) if order.keys else None,
                created_by=created_by,
            )
        )

    def checked(self, project_id: str, spec: JobSpec) -> JobSpec:
        """Return the spec as it will be stored, its seed filled in; raises as `create` does."""
        if not spec.training_files:
            raise RequestError(
                "At least one training file is required.",
                where="training_files",
                remedy="upload one with purpose 'fine-tune', and give its id",
            )
        recipe = recipe_of(spec, self._aliases)
        places = [f"training_files.{n}" for n in range(len(spec.training_files))]
        training = self._given(project_id, [file.file_id for file in spec.training_files], places)
        places = [f"validation_files.{n}" for n in range(len(spec.validation_files))]
        validation = self._given(project_id, list(spec.validation_files), places)
        check_agreement(spec, training, validation)
        if spec.hyperparameters.seed is not None:
            return spec
        filled = dataclasses.replace(spec.hyperparameters, seed=recipe.seed)
        return dataclasses.replace(spec, hyperparameters=filled)

    def dry_run(self, project_id: str, order: JobOrder) -> Mapping[str, Any]:
        """Return what validation would find and training would take; nothing is kept.

        Raises:
            RequestError, ModelNotFoundError: as `create`.
            OverloadedError, UnavailableError, TrainingError: as the estimator.
        """
        spec = self.checked(project_id, order.spec)
        if self._estimator is None:
            raise UnprocessableError(
                "this server makes no dry runs", remedy="create the job: auto_start=false"
            )
        return self._estimator.estimate(project_id, spec)

    def get(self, project_id: str, job_id: str) -> JobRow:
        """Return a job; raises NotFoundError."""
        return self._jobs.get(project_id, job_id)

    def detail(self, project_id: str, job_id: str) -> JobDetail:
        """Return a job with its events and steps; raises NotFoundError."""
        return self.detail_of(self._jobs.get(project_id, job_id))

    def detail_of(self, job: JobRow) -> JobDetail:
        """Return the events and steps of a job beside it; they are those of now, at the least of its own time."""
        events = self._jobs.events(job.project_id, job.id)
        return JobDetail(job, events, self._jobs.checkpoints(job.project_id, job.id))

    def page(
        self,
        project_id: str,
        filters: JobFilters,
        *,
        page: int = 0,
        page_size: int = 100,
        after: str | None = None,
    ) -> tuple[Sequence[JobRow], int]:
        """Return a page of jobs, newest first, and how many there are; raises NotFoundError for an unknown `after`."""
        return self._jobs.list(project_id, filters, page=page, page_size=page_size, after=after)

    def start(self, project_id: str, job_id: str) -> JobDetail:
        """Queue a validated job for training, at once; raises NotFoundError, ConflictError."""
        self._jobs.start(project_id, job_id)
        return self.detail(project_id, job_id)

    def cancel(self, project_id: str, job_id: str) -> JobDetail:
        """End a job, or have its worker end it; raises NotFoundError, ConflictError."""
        self._jobs.cancel(project_id, job_id)
        return self.detail(project_id, job_id)

    def events(self, project_id: str, job_id: str, *, after: int | None, limit: int) -> Sequence[EventRow]:
        """Return events newest first, those behind the event ``after``; raises NotFoundError."""
        return self._jobs.events(project_id, job_id, after=after, limit=limit, newest_first=True)

    def checkpoints(
        self, project_id: str, job_id: str, *, after: int | None, limit: int
    ) -> Sequence[CheckpointRow]:
        """Return steps newest first, those behind the step ``after``; raises NotFoundError."""
        return self._jobs.checkpoints(project_id, job_id, after=after, limit=limit, newest_first=True)

    def last_step(self, project_id: str, job_id: str) -> int | None:
        """Return the number of the newest step, None before the first; raises NotFoundError."""
        steps = self._jobs.checkpoints(project_id, job_id, limit=1, newest_first=True)
        return steps[0].step_number if steps else None

    def _given(self, project_id: str, ids: Sequence[str], places: Sequence[str]) -> list[GivenFile]:
        """Return the files of some ids; raises RequestError for one that is not there, of another purpose, or twice."""
        seen: dict[str, str] = {}
        given: list[GivenFile] = []
        for file_id, place in zip(ids, places, strict=True):
            if file_id in seen:
                raise RequestError(
                    f"'{file_id}' is {seen[file_id]} too",
                    where=place,
                    remedy="name it once; `weight` makes rows count more",
                )
            seen[file_id] = place
            given.append(_given(self._file(project_id, file_id, place), place))
        return given

    def _file(self, project_id: str, file_id: str, place: str) -> FileRow:
        try:
            file = self._files.get(project_id, file_id)
        except NotFoundError:
            raise RequestError(
                f"no file '{file_id}'", where=place, remedy="upload it, and give the id of the answer"
            ) from None
        if file.purpose != PURPOSE:
            raise RequestError(
                f"'{file.filename}' has the purpose '{file.purpose}', expected '{PURPOSE}'",
                where=place,
                remedy=f"upload it with purpose '{PURPOSE}'",
            )
        return file


def _given(file: FileRow, place: str) -> GivenFile:
    summary = FileSummary.from_json(file.summary) if file.summary else None
    return GivenFile(place, file.filename, file.sha256, summary)
