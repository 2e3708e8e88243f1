"""Every model that answers: those the server was started with, for everybody, and those a project trained."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from modwright.errors import ModelNotFoundError, RequestError, StorageError, nearest
from modwright.serving.deployments import Deployment, Deployments
from modwright.serving.trained import TrainedModels
from modwright.settings import Settings

_LONGEST_HINT = 500


class Served:
    """Resolves the name in a request to the deployment that answers it.

    Args:
        deployments: of artifact folders; their names and aliases come first, in every project.
        settings: default_model is a name of any kind; a trained model's is looked up in the asking project.
        trained: None where the server keeps no models.
    """

    def __init__(
        self, deployments: Deployments, settings: Settings, trained: TrainedModels | None = None
    ) -> None:
        self.deployments = deployments
        self.trained = trained
        self._default = settings.default_model

    def __len__(self) -> int:
        return len(self.deployments) + (len(self.trained.loaded) if self.trained is not None else 0)

    @contextlib.asynccontextmanager
    async def lease(self, project_id: str, name: str | None) -> AsyncIterator[Deployment]:
        """Give the deployment of that name, or of none; it is not stopped meanwhile.

        Raises:
            ModelNotFoundError: nothing of that name answers in the project; the nearest is named.
            RequestError: no name is given, and there is no default in this project.
            ConflictError, ArtifactError, UnavailableError, StorageError: see `TrainedModels.lease`.
        """
        wanted = self._default if name is None else name
        found = None if wanted is None else self.deployments.find(wanted)
        if found is not None:
            yield found
        elif self.trained is None or wanted is None:
            yield self.deployments.default() if name is None else self.deployments.get(name)
        else:
            async with contextlib.AsyncExitStack() as stack:
                try:
                    deployment = await stack.enter_async_context(self.trained.lease(project_id, wanted))
                except ModelNotFoundError:
                    if name is None:
                        raise _no_default(wanted) from None
                    raise await self.unknown(project_id, name) from None
                yield deployment

    async def unknown(self, project_id: str, name: str) -> ModelNotFoundError:
        """Return the error of a name that nothing answers to, with the nearest one that does in the project."""
        trained = [] if self.trained is None else await self.trained.names(project_id)
        known = [*(deployment.name for deployment in self.deployments), *trained]
        hint = nearest(name, known) if known else "no model is served here"
        if len(hint) > _LONGEST_HINT:
            hint = "GET /v1/models lists them"
        return ModelNotFoundError(f"unknown model '{name[:200]}'", where="model", remedy=hint)

    async def start(self) -> None:
        """Start the deployments; trained models start when they are asked."""
        self.deployments.start()
        if self.trained is not None:
            with contextlib.suppress(StorageError):  # files that nobody needs may lie there a little longer
                await asyncio.to_thread(self.trained.sweep)

    async def close(self) -> None:
        """Stop every model: what waits is refused, running batches end."""
        if self.trained is not None:
            await self.trained.loaded.close()
        await asyncio.to_thread(self.deployments.stop)

    async def check(self) -> None:
        """Run every deployment once, where there is none the trained model that was asked last, if any.

        One project's broken model is not the server's, so the others in memory are not run.

        Raises:
            ScoringError, UnavailableError: the first that failed, or gave no answer in time.
        """
        if len(self.deployments) or self.trained is None:
            await self.deployments.check()
            return
        async with self.trained.loaded.latest() as deployment:
            if deployment is not None:
                await deployment.check()


def _no_default(wanted: str) -> RequestError:
    return RequestError(
        f"names no model, and the server's default '{wanted}' is none of this project",
        where="model",
        remedy=f"name a model, or give one the alias '{wanted}'",
    )
