"""What a server that keeps things is made of: database, blobs, files, jobs, models and keys, in one hand.

`cli/serve.py` makes it; routes get it by `routes.common.factory`. A server without one answers for the models
it was started with and mounts none of the routes that need it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from modwright.jobs.file_summary import FileSummary
    from modwright.jobs.service import JobService
    from modwright.storage.blobs import Blobs
    from modwright.storage.database import Database
    from modwright.storage.files import FileStore
    from modwright.storage.jobs import JobStore
    from modwright.storage.models import ModelStore
    from modwright.storage.projects import KeyStore, ProjectStore
    from modwright.storage.secrets import Sealer


class FileChecker(Protocol):
    """Reads an uploaded file as training data, in a process of its own: the server itself never parses one.

    Synchronous, callable from many threads; `jobs.checking.ProcessChecker` is the one that `serve` makes.
    """

    @property
    def parallel(self) -> int:
        """Return how many checks go on at once; further ones wait for one of them."""
        ...

    def check(self, content: Iterable[bytes], name: str, tolerated: float = 0.0) -> FileSummary:
        """Return what was found.

        Args:
            content: the file's bytes in pieces; an exception out of it ends the check and goes through.
            name: what its owner calls it, for messages; never used as a path.
            tolerated: share of the records that may be wrong, 0..1.

        Raises:
            FileProblemsError: the file is no training data; up to 100 problems, each with its line.
            MissingExtraError: this machine cannot read data, the extra 'data' is not installed.
            UnavailableError: it took too long, the process died, or the checker is closed.
        """
        ...

    def close(self) -> None:
        """End the processes."""
        ...


@dataclass(frozen=True, slots=True)
class Factory:
    """The parts behind the routes of files, jobs, models and keys.

    All are synchronous: routes call them through `asyncio.to_thread`. Each but the checker takes the asking
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
