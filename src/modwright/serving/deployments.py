"""The models a server answers with: names and aliases to engines, each behind its own batcher."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from modwright import artifact as artifact_folder
from modwright.errors import ModelNotFoundError, RequestError, SettingsError, UsageError, nearest
from modwright.files import read_json
from modwright.schema import Input, text_input
from modwright.serving.batcher import Batcher
from modwright.serving.checks import CheckedClassifier, check_judgements
from modwright.serving.engine import DEFAULT_OPERATING_POINT, Engine, Judgement
from modwright.settings import Settings

#: Characters of an artifact id that name it in short.
_SHORT_ID = 12
#: What a health check has the model read.
_PROBE = (text_input("How are you today?"),)


class Deployment:
    """One engine under one name.

    Attributes:
        name: what requests call it.
        aliases: the artifact id, short and whole; they answer too.
        created_at: Unix seconds.
        root: the bases it was trained on, for the model card.
    """

    def __init__(self, name: str, engine: Engine, settings: Settings, *, root: str = "") -> None:
        self.name = _checked_name(name)
        self.engine = engine
        self.aliases = tuple(alias for alias in (engine.id[:_SHORT_ID], engine.id) if alias != name)
        self.created_at = engine.created_at
        self.root = root or engine.id
        if not isinstance(engine.classifier, CheckedClassifier):
            engine.classifier = CheckedClassifier(engine.classifier)
        self._batcher = Batcher(self._judge_checked, settings, name)
        self._probe: asyncio.Task[list[Judgement]] | None = None

    def _judge_checked(self, inputs: Sequence[Input], operating_point: str) -> list[Judgement]:
        judgements = self.engine.judge(inputs, operating_point)
        check_judgements(self.engine.schema, judgements, len(inputs))
        return judgements

    def start(self) -> None:
        """Start answering."""
        self._batcher.start()

    def stop(self) -> None:
        """Refuse what waits, finish the running batch, and stop."""
        self._batcher.stop()

    async def judge(
        self, inputs: Sequence[Input], operating_point: str = DEFAULT_OPERATING_POINT
    ) -> list[Judgement]:
        """Judge inputs, batched with those of other callers; one judgement each, in order.

        Raises:
            RequestError: the model has no such operating point.
            OverloadedError, UnavailableError, ScoringError: see `Batcher.submit`.
        """
        if operating_point not in self.engine.operating_points:
            raise RequestError(
                f"model '{self.name}' has no operating point '{operating_point}'",
                where="operating_point",
                remedy=nearest(operating_point, self.engine.operating_points),
            )
        return await self._batcher.submit(inputs, operating_point)

    async def check(self) -> None:
        """Run the model once, on the road of every request; callers at the same time share one run.

        Raises:
            ScoringError, UnavailableError: it failed, or gave no answer in time.
        """
        if self._probe is None or self._probe.done():
            self._probe = asyncio.ensure_future(self._batcher.submit(_PROBE, self._any_point(), probe=True))
            self._probe.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._probe)

    def _any_point(self) -> str:
        points = self.engine.operating_points
        return (
            DEFAULT_OPERATING_POINT
            if DEFAULT_OPERATING_POINT in points
            else next(iter(points), DEFAULT_OPERATING_POINT)
        )


class Deployments:
    """Every deployment of a server, in the order they were given.

    Args:
        deployments: names and aliases must differ from each other.
        settings: default_model names the one that answers requests which name none.
        keeping: the server keeps models too, so that default_model may be one of those.

    Raises:
        UsageError: two deployments share a name, or are the same model.
        SettingsError: default_model names none of them.
    """

    def __init__(
        self, deployments: Iterable[Deployment], settings: Settings, *, keeping: bool = False
    ) -> None:
        self._by_name: dict[str, Deployment] = {}
        self._by_alias: dict[str, Deployment] = {}
        for deployment in deployments:
            self._add(deployment)
        default = self._default_name = settings.default_model
        if default is not None and self._by_name and self.find(default) is None and not keeping:
            raise SettingsError(
                f"MODWRIGHT_DEFAULT_MODEL is '{default}', which is not served",
                remedy=nearest(default, self._by_name),
            )

    @classmethod
    def load(cls, specs: Sequence[str], settings: Settings, *, keeping: bool = False) -> Self:
        """Load artifact folders given as "[NAME=]PATH"; the name is the folder's where none is given.

        Raises:
            UsageError: a name that is none, or twice the same.
            NotFoundError: no such artifact.
            ArtifactError: an artifact is broken.
        """
        named = [_parse_spec(spec) for spec in specs]
        names = [name for name, _ in named]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"two models are named '{name}'", remedy="give one another name: NAME=PATH")
        loaded = (load_deployment(name, path, settings) for name, path in named)
        return cls(loaded, settings, keeping=keeping)

    def _add(self, deployment: Deployment) -> None:
        for name in (deployment.name, *deployment.aliases):
            other = self.find(name)
            if other is not None:
                raise UsageError(
                    f"models '{other.name}' and '{deployment.name}' both answer to '{name}'",
                    remedy="give one another name (NAME=PATH), or serve the same model once",
                )
        self._by_name[deployment.name] = deployment
        self._by_alias.update(dict.fromkeys(deployment.aliases, deployment))

    def find(self, name: str) -> Deployment | None:
        """Return the deployment of that name or alias, or None."""
        return self._by_name.get(name) or self._by_alias.get(name)

    def __iter__(self) -> Iterator[Deployment]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> Deployment:
        """Return the deployment of that name or alias; raises ModelNotFoundError naming the nearest."""
        deployment = self.find(name)
        if deployment is None:
            remedy = nearest(name, self._by_name) if self._by_name else "no model is served here"
            raise ModelNotFoundError(f"unknown model '{name[:200]}'", where="model", remedy=remedy)
        return deployment

    def default(self) -> Deployment:
        """Return what answers requests that name no model: the configured default, else the only one.

        Raises:
            RequestError: there are several, or none.
        """
        if self._default_name is not None and self._by_name:
            return self.get(self._default_name)
        if len(self) == 1:
            return next(iter(self))
        names = ", ".join(self._by_name)
        raise RequestError(
            "names no model, and the server has no default"
            if names
            else "names no model, and none is served here",
            where="model",
            remedy=f"name one of: {names}"
            if names
            else "train one, or start the server with an artifact folder",
        )

    def start(self) -> None:
        """Start every deployment."""
        for deployment in self:
            deployment.start()

    def stop(self) -> None:
        """Stop every deployment."""
        for deployment in self:
            deployment.stop()

    async def check(self) -> None:
        """Run every model once; raises what the first failing one raises."""
        await asyncio.gather(*(deployment.check() for deployment in self))


def _parse_spec(spec: str) -> tuple[str, Path]:
    name, separator, path = spec.partition("=")
    # A path may hold '=' itself; then the whole of it exists.
    if separator and not Path(spec).exists():
        return _checked_name(name), Path(path).expanduser()
    folder = Path(spec).expanduser()
    return _checked_name(folder.resolve().name), folder


def _checked_name(name: str) -> str:
    plain = (
        name.isprintable() and name == name.strip() and not name.startswith("/") and not name.endswith("/")
    )
    if not name or not plain or len(name) > 200:
        raise UsageError(
            f"model name {name!r} is empty or not plain", remedy="use letters, digits, '-', '_', '.' and ':'"
        )
    return name


def load_deployment(
    name: str, folder: Path, settings: Settings, *, artifact: artifact_folder.Artifact | None = None
) -> Deployment:
    """Load an artifact folder under a name; ``artifact`` is what was just verified there, see `Engine.load`."""
    engine = Engine.load(folder, artifact=artifact, threads=settings.threads)
    manifest = folder / artifact_folder.MANIFEST
    if not engine.created_at:
        engine.created_at = int(manifest.stat().st_mtime)
    bases = [base["name"] for base in read_json(manifest)["bases"]]
    return Deployment(name, engine, settings, root="+".join(bases))
