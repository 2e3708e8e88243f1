"""What a server that keeps things is made of: database, blobs, files, jobs, models and keys, in one hand.

`cli/serve.py` makes it; routes get it by `routes.common.factory`. A server without one answers for the models
it was started with and mounts none of the routes that need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from modwright.jobs.service import JobService
    from modwright.storage.blobs import Blobs
    from modwright.storage.database import Database
    from modwright.storage.files import FileStore
    from modwright.storage.jobs import JobStore
    from modwright.storage.models import ModelStore
    from modwright.storage.projects import KeyStore, ProjectStore
    from modwright.storage.secrets import Sealer


class FileChecker(Protocol):
    """Reads an uploaded file as training data, in a process of its own: the server itself never parses one."""

    async def check(self, path: Path, filename: str) -> Mapping[str, Any]:
        """Return what was found: {targets: {name: {kind, labels}}, lines, skipped, characters}.

        Args:
            path: the file on this machine; it is only read.
            filename: what its owner calls it, for messages.

        Raises:
            DataError: the file is no training data; each line that is wrong is named.
            MissingExtraError: this machine cannot read data, the extra 'data' is not installed.
            UnavailableError: too many files are being checked, or it took too long.
        """

    async def close(self) -> None:
        """End the processes; what is being checked is given up."""


@dataclass(frozen=True, slots=True)
class Factory:
    """The parts behind the routes of files, jobs, models and keys.

    All but `checker` are synchronous: routes call them through `asyncio.to_thread`. Each takes the asking
    project's id first and finds nothing of another project (NotFoundError, as if it did not exist).

    Attributes:
        database: where rows are.
        blobs: where bytes are.
        projects: who shares files, jobs and models with whom.
        keys: who may ask, and for what.
        files: uploaded files.
        jobs: the queue, with events and checkpoints.
        models: what jobs made, and aliases of it.
        service: creates and shows jobs; both dialects call it.
        checker: reads a file at upload.
        sealer: encrypts what must be kept but never shown.
    """

    database: Database
    blobs: Blobs
    projects: ProjectStore
    keys: KeyStore
    files: FileStore
    jobs: JobStore
    models: ModelStore
    service: JobService
    checker: FileChecker
    sealer: Sealer
