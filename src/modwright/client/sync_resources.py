"""Files, jobs, models and keys of the synchronous client."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from modwright.client import calls, file_calls, job_calls, model_files, watching
from modwright.client.answers import ApiKey, File, Model, NewApiKey
from modwright.client.file_calls import Progress
from modwright.client.job_answers import Checkpoint, Estimate, Event, Job
from modwright.client.job_calls import JobFilters, JobOptions, TrainingFiles

if TYPE_CHECKING:
    pass

from modwright.client.sync_runner import Runner


class Files:
    """Uploaded files."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def upload(
        self,
        source: str | os.PathLike[str],
        *,
        purpose: str = "fine-tune",
        filename: str | None = None,
        expires_in_hours: int | None = None,
        invalid_sample_skip_percentage: float | None = None,
        progress: Progress | None = None,
    ) -> File:
        """Send a file, read while it is sent; one to train on is checked line by line.

        Args:
            source: path of the file.
            purpose: `fine-tune`, or one that the server does not check.
            filename: its name there; its own when not given.
            expires_in_hours: when it is deleted by itself.
            invalid_sample_skip_percentage: share of its lines that may be wrong, 0 to 0.5; the server's own if None.
            progress: called with the bytes sent so far and in all.

        Raises:
            NotFoundError: there is no such file here.
            DataError: lines of it are wrong; `problems` has each where there are several.
        """
        flow = file_calls.upload(
            source,
            purpose=purpose,
            filename=filename,
            expires_in_hours=expires_in_hours,
            invalid_sample_skip_percentage=invalid_sample_skip_percentage,
            progress=progress,
        )
        return self._runner.run(flow)

    def list(self, *, purpose: str | None = None, search: str | None = None) -> Iterator[File]:
        """Give every file, newest first, page by page as they are wanted; ``search`` is a part of the name."""
        return self._runner.each(file_calls.list_files(purpose, search))

    def get(self, file_id: str) -> File:
        """Return a file; raises NotFoundError."""
        return self._runner.run(file_calls.get_file(file_id))

    def delete(self, file_id: str) -> None:
        """Delete a file; jobs that have begun have their own copy. Raises NotFoundError."""
        self._runner.run(file_calls.delete_file(file_id))

    def download(
        self,
        file_id: str,
        destination: str | os.PathLike[str],
        *,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> Path:
        """Fetch a file to a path, or into a folder under its own name; it appears whole or not at all.

        Raises:
            NotFoundError: there is no such file.
            UsageError: the path exists and may not be replaced.
            IntegrityError: what came is not what was uploaded.
        """
        flow = file_calls.download(file_id, destination, replace=replace, progress=progress)
        return self._runner.run(flow)


class Jobs:
    """Jobs that train classifiers."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def create(self, model: str, training_files: TrainingFiles, **options: Unpack[JobOptions]) -> Job:
        """Create a job.

        Args:
            model: a recipe, a base or a hosted model's name; `models.list` names them.
            training_files: uploaded ones, or their ids; `TrainingFile` gives one a weight.
            options: see `JobOptions`.

        Raises:
            RequestError, ModelNotFoundError: the server cannot train that; the field is named.
            ConflictError: an unfinished job is the same.
        """
        document = job_calls.job_document(model, training_files, options)
        return self._runner.run(job_calls.create_job(document))

    def dry_run(self, model: str, training_files: TrainingFiles, **options: Unpack[JobOptions]) -> Estimate:
        """Return what a job would take, as `create` is called; nothing is kept."""
        document = job_calls.job_document(model, training_files, options)
        return self._runner.run(job_calls.dry_run(document))

    def list(self, **filters: Unpack[JobFilters]) -> Iterator[Job]:
        """Give every job, newest first, page by page as they are wanted."""
        return self._runner.each(job_calls.list_jobs(filters))

    def get(self, job_id: str) -> Job:
        """Return a job with all that happened in it; raises NotFoundError."""
        return self._runner.run(job_calls.get_job(job_id))

    def start(self, job_id: str) -> Job:
        """Queue a validated job for training; raises NotFoundError, ConflictError."""
        return self._runner.run(job_calls.start_job(job_id))

    def cancel(self, job_id: str) -> Job:
        """End a job, or have its worker end it; raises NotFoundError, ConflictError where it has ended otherwise."""
        return self._runner.run(job_calls.cancel_job(job_id))

    def events(self, job_id: str) -> Sequence[Event]:
        """Return what happened, oldest first; raises NotFoundError."""
        return self.get(job_id).events

    def checkpoints(self, job_id: str) -> Sequence[Checkpoint]:
        """Return the steps with their losses, oldest first; raises NotFoundError."""
        return self.get(job_id).checkpoints

    def watch(
        self, job_id: str, *, every_s: float = watching.EVERY_S, patience_s: float = watching.PATIENCE_S
    ) -> Iterator[watching.Update]:
        """Give an update whenever something is new, until the job has ended or waits for `start`.

        Args:
            job_id: which job.
            every_s: seconds between two looks.
            patience_s: seconds for which a server that does not answer is waited for.
        """
        return self._runner.each(watching.watch_job(job_id, every_s, patience_s))

    def wait(
        self,
        job_id: str,
        *,
        timeout_s: float | None = None,
        every_s: float = watching.EVERY_S,
        patience_s: float = watching.PATIENCE_S,
    ) -> Job:
        """Return a job once it has succeeded or waits for `start`.

        Raises:
            DataError, TrainingError: it failed, or was cancelled (TrainingError).
            UnavailableError: that takes longer than ``timeout_s``.
        """
        return self._runner.run(watching.wait_for_job(job_id, timeout_s, every_s, patience_s))


class Models:
    """Models that answer, and names that jobs may train."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def list(self) -> Sequence[Model]:
        """Return every model that answers, then what jobs may train (type `base`)."""
        return self._runner.run(calls.list_models())

    def get(self, model: str) -> Model:
        """Return a model by its id or an alias; raises ModelNotFoundError."""
        return self._runner.run(calls.get_model(model))

    def update(self, model_id: str, **changes: Unpack[calls.ModelChanges]) -> Model:
        """Give a trained model a name or a description; None clears one, what is not given stays."""
        return self._runner.run(calls.update_model(model_id, changes))

    def download(
        self,
        model: str,
        folder: str | os.PathLike[str],
        *,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> Path:
        """Fetch a trained model, by its id or an alias, as an artifact folder; it appears whole and verified or not at all.

        Args:
            model: which; an archived one, too.
            folder: that is written; made where it is not there.
            replace: an artifact that is there.
            progress: called with the bytes that came so far and in all.

        Raises:
            ModelNotFoundError: there is no such model.
            UsageError: it was not trained, or the folder holds something that may not be replaced.
            IntegrityError: what came is not what was trained, or leads out of the folder.
        """
        flow = model_files.download_model(model, folder, replace=replace, progress=progress)
        return self._runner.run(flow)

    def archive(self, model_id: str) -> None:
        """Let a trained model rest: it is kept and answers no request."""
        self._runner.run(calls.archive_model(model_id, archived=True))

    def unarchive(self, model_id: str) -> None:
        """Let an archived model answer again."""
        self._runner.run(calls.archive_model(model_id, archived=False))

    def delete(self, model_id: str) -> None:
        """Delete a trained model with its files and aliases."""
        self._runner.run(calls.delete_model(model_id))

    def set_alias(self, model_id: str, alias: str) -> Model:
        """Let a trained model answer to another name, too; the name leaves the model that had it."""
        return self._runner.run(calls.set_alias(model_id, alias))

    def drop_alias(self, model_id: str, alias: str) -> Model:
        """Take a name from a trained model; raises NotFoundError where it has none such."""
        return self._runner.run(calls.drop_alias(model_id, alias))


class Keys:
    """Keys of the asking project; only who may administer it can see them."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def create(
        self, name: str, *, scopes: Sequence[str] | None = None, expires_in_days: float | None = None
    ) -> NewApiKey:
        """Make a key; its secret is in this answer and never again. Scopes: read, classify, train, admin."""
        return self._runner.run(calls.create_key(name, scopes, expires_in_days))

    def list(self) -> Sequence[ApiKey]:
        """Return the project's keys, newest first, revoked ones too."""
        return self._runner.run(calls.list_keys())

    def revoke(self, key_id: str) -> ApiKey:
        """Revoke a key; raises NotFoundError."""
        return self._runner.run(calls.revoke_key(key_id))
