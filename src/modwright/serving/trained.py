"""Models that jobs trained: found by id or alias, brought from blobs to this machine, verified, kept in memory.

A model's files lie in ``<home>/served/<hash of its id>/`` from its first request until it is archived or deleted, so that
a restart, or a return to memory, copies nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import shutil
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modwright.artifact import MANIFEST, THRESHOLDS, Artifact, read_artifact
from modwright.errors import (
    ArtifactError,
    ConflictError,
    IntegrityError,
    ModelNotFoundError,
    ModwrightError,
    NotFoundError,
)
from modwright.serving.deployments import Deployment, load_deployment
from modwright.serving.loaded import LoadedModels
from modwright.settings import Settings
from modwright.storage.artifacts import install

if TYPE_CHECKING:
    from modwright.storage.blobs import Blobs
    from modwright.storage.models import ModelRow, ModelStore

_log = logging.getLogger("modwright.serving")


class TrainedModels:
    """What projects trained, ready to answer.

    Args:
        store: rows and aliases; asked at every request, so that what changes there holds at once, on every server.
        blobs: the models' files.
        settings: home, max_loaded_models, request_timeout_s, and what a deployment uses.
    """

    def __init__(self, store: ModelStore, blobs: Blobs, settings: Settings) -> None:
        self._store = store
        self._blobs = blobs
        self._settings = settings
        self._served = settings.home / "served"
        self.loaded = LoadedModels(settings.max_loaded_models, settings.request_timeout_s)

    @contextlib.asynccontextmanager
    async def lease(self, project_id: str, name: str) -> AsyncIterator[Deployment]:
        """Give the deployment of a project's model, by id or alias, loaded first where it is not in memory.

        Raises:
            ModelNotFoundError: the project has no such model.
            ConflictError: it is archived.
            ArtifactError: its files are not the ones that were trained.
            UnavailableError: it was not loaded in time.
            StorageError: database or blobs cannot be reached.
        """
        row = await self.find(project_id, name)
        if row.archived:
            raise ConflictError(
                f"model '{row.id}' is archived: it answers nothing",
                where="model",
                remedy=f"unarchive it: DELETE /v1/fine_tuning/models/{row.id}/archive",
            )
        async with self.loaded.lease(row.id, partial(self._load, row)) as deployment:
            yield deployment

    async def find(self, project_id: str, name: str) -> ModelRow:
        """Return a project's model by alias or id; raises ModelNotFoundError, StorageError."""
        return await asyncio.to_thread(self._store.resolve, project_id, name)

    async def names(self, project_id: str) -> list[str]:
        """Return everything that a project's models answer to."""
        rows = await asyncio.to_thread(self._store.list, project_id)
        aliases = await asyncio.to_thread(self._store.aliases, project_id)
        return [*aliases, *(row.id for row in rows)]

    async def operating_points(self, row: ModelRow) -> list[str] | None:
        """Return the names of a model's saved thresholds; None where its files cannot be read now."""
        try:
            return await asyncio.to_thread(self._operating_points, row)
        except (ModwrightError, ValueError, LookupError):
            return None  # its card is shown all the same

    def _operating_points(self, row: ModelRow) -> list[str]:
        content = b"".join(self._blobs.read(row.manifest[THRESHOLDS]["sha256"]))
        return sorted(json.loads(content)["operating_points"])

    async def forget(self, model_id: str) -> None:
        """Take a model that was archived or deleted from memory, when its last request is done, and from this machine."""
        self.loaded.forget(model_id)
        await asyncio.to_thread(shutil.rmtree, self.folder(model_id), ignore_errors=True)

    def sweep(self) -> None:
        """Remove files of models that were deleted or archived while this machine did not look."""
        there = [path for path in self._served.glob("*") if path.is_dir() and not path.name.startswith(".")]
        # Asked after: what is installed from now on is of a model that is there.
        needed = {self.folder(model_id) for model_id in self._store.answering()}
        for folder in there:
            if folder not in needed:
                shutil.rmtree(folder, ignore_errors=True)

    def folder(self, model_id: str) -> Path:
        """Return where a model's files lie on this machine once it was asked."""
        return self._served / hashlib.sha256(model_id.encode()).hexdigest()[:32]

    def _load(self, row: ModelRow) -> Deployment:
        try:
            deployment = self._read(row)
        except ModwrightError as error:
            self._check_kept(row)  # deleted meanwhile: that is why
            if not isinstance(error, (IntegrityError, NotFoundError)):
                raise
            _log.error("model '%s' cannot be loaded: %s", row.id, error)
            raise ArtifactError(
                f"model '{row.id}' cannot be loaded: its stored files are not the ones that were trained",
                where="model",
                remedy="the server's log says which; bring the store of blobs back, or train again",
            ) from None
        self._check_kept(row)
        return deployment

    def _read(self, row: ModelRow) -> Deployment:
        folder = self.folder(row.id)
        try:
            artifact = _verified(row, folder)
        except (NotFoundError, IntegrityError):  # the first time, or what is there was damaged
            install(row.manifest, self._blobs, folder)
            artifact = _verified(row, folder)
        deployment = load_deployment(row.id, folder, self._settings, artifact=artifact)
        deployment.created_at = int(row.created_at)
        return deployment

    def _check_kept(self, row: ModelRow) -> None:
        """Remove what was just installed, and raise ModelNotFoundError, where the model was deleted meanwhile."""
        try:
            self._store.get(row.project_id, row.id)
        except NotFoundError:
            shutil.rmtree(self.folder(row.id), ignore_errors=True)
            raise ModelNotFoundError(f"model '{row.id}' was deleted", where="model") from None


def _verified(row: ModelRow, folder: Path) -> Artifact:
    """Return the artifact in a folder, every byte of it hashed; raises where it is not the model's."""
    artifact = read_artifact(folder)
    promised = {name: entry["sha256"] for name, entry in row.manifest.items()}
    foreign = [name for name, digest in artifact.files.items() if promised.get(name) != digest]
    if artifact.id != row.artifact_id or foreign or MANIFEST not in promised:
        raise ArtifactError("the folder holds another model than the one that was trained", where=str(folder))
    return artifact
