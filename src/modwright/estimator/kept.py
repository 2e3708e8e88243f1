"""What a fit leaves behind, and how it goes into an artifact folder, a pickle, and back."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modwright.artifact import ESTIMATOR, MANIFEST, read_artifact
from modwright.errors import ArtifactError, SchemaError, UsageError
from modwright.files import read_json, staged_folder, write_json
from modwright.pipeline.fitting import Trained, save_trained
from modwright.schema import Target, TargetKind, check_keys
from modwright.serving.engine import Engine
from modwright.settings import load_settings


@dataclass(slots=True)  # not frozen: unpickling fills it
class FittedState:
    """A fitted model.

    Attributes:
        engine: that judges.
        target: the one that is answered.
        classes: (C,) of a 1-D y; None where y was a matrix.
        trained: where it was trained here; else its artifact is `folder`.
        folder: of the artifact.
        holder: keeps `folder` there as long as it is needed; None for a folder of the user's own.
    """

    engine: Engine
    target: str
    classes: Any
    trained: Trained | None = None
    folder: Path | None = None
    holder: Any = None

    def save(self, folder: Path, *, replace: bool = False) -> Path:
        """Write the artifact; see `ModerationClassifier.save`."""
        if self.trained is not None:
            save_trained(self.trained, folder, replace=replace, beside=self._write_classes)
            return folder
        assert self.folder is not None
        if folder.exists() and folder.resolve() == self.folder.resolve():
            return folder
        with staged_folder(folder, replace=replace, only=MANIFEST) as staging:
            shutil.copytree(self.folder, staging, dirs_exist_ok=True)
        return folder

    def _write_classes(self, staging: Path) -> None:
        values = None if self.classes is None else self.classes.tolist()
        write_json(staging / ESTIMATOR, {"classes": values})

    def __getstate__(self) -> dict[str, Any]:
        """Return the artifact as one zip, so that a fitted estimator can be sent to another process."""
        with tempfile.TemporaryDirectory(prefix="modwright-") as folder:
            self.save(Path(folder) / "model")
            return {"target": self.target, "artifact": _zipped(Path(folder) / "model")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpack the artifact beside, verify and load it."""
        holder = tempfile.TemporaryDirectory(prefix="modwright-")
        folder = Path(holder.name) / "model"
        with zipfile.ZipFile(io.BytesIO(state["artifact"])) as archive:
            archive.extractall(folder)
        found = state_of_artifact(folder, state["target"])
        self.engine, self.target, self.classes = found.engine, found.target, found.classes
        self.trained, self.folder, self.holder = None, folder, holder


def _zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return buffer.getvalue()


def state_of_fit(trained: Trained, classes: Any) -> FittedState:
    """Return the state after a fit of one target."""
    (name,) = trained.engine.schema.names
    return FittedState(trained.engine, name, classes, trained)


def state_of_artifact(folder: Path, target: str | None) -> FittedState:
    """Return the state of a saved model; one that this estimator did not write has its labels for classes.

    Raises:
        NotFoundError, ArtifactError: there is no artifact, or it is broken.
        UsageError: it has several targets and none was named.
    """
    artifact = read_artifact(folder)
    engine = Engine.load(folder, artifact=artifact, threads=load_settings().threads, bulk=True)
    chosen = artifact.schema.moderation_target if target is None else artifact.schema.target(target)
    if chosen is None:
        raise UsageError(
            f"the model has the targets {', '.join(artifact.schema.names)}",
            where=str(folder),
            remedy="name one: load(folder, target=…)",
        )
    if ESTIMATOR in artifact.files:
        return FittedState(engine, chosen.name, _classes(folder / ESTIMATOR, chosen), folder=folder)
    single = chosen.kind is TargetKind.SINGLE_LABEL
    return FittedState(engine, chosen.name, np.asarray(chosen.labels) if single else None, folder=folder)


def _classes(path: Path, target: Target) -> Any:
    """Return the values of the y that a saved estimator was fitted on, in label order; None for a matrix."""
    data = read_json(path)
    try:
        check_keys(data, {"classes"}, ESTIMATOR)
        classes = data["classes"] if data["classes"] is None else np.asarray(data["classes"])
    except (SchemaError, TypeError, ValueError) as error:
        raise ArtifactError(f"is malformed: {error}", where=str(path)) from None
    if classes is not None and classes.shape not in ((len(target.labels),), (2,)):
        raise ArtifactError(f"has classes of shape {classes.shape}", where=str(path))
    return classes
