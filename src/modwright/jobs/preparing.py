"""Lays a job's order and verified copies of its files into a workspace; what is there already is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modwright.errors import DataError, NotFoundError
from modwright.files import sha256_file
from modwright.jobs.specs import JobSpec
from modwright.jobs.workspace import FILES, Order, OrderedFile, Workspace
from modwright.settings import Settings

if TYPE_CHECKING:
    from modwright.storage.blobs import Blobs
    from modwright.storage.files import FileRow, FileStore

_TRAIN, _VALIDATION = "train", "validation"


def lay_down(
    workspace: Workspace,
    project_id: str,
    spec: JobSpec,
    files: FileStore,
    blobs: Blobs,
    settings: Settings,
) -> Order:
    """Make a workspace ready for a trainer.

    Raises:
        DataError: a file was deleted since the job was created.
        StorageError, StorageFullError, IntegrityError: its bytes cannot be had.
    """
    workspace.folder.mkdir(parents=True, exist_ok=True)
    there = workspace.read_order()
    if there is not None and there.spec == spec:
        ordered = there.files
    else:
        ordered = tuple(_ordered(project_id, spec, files))
    order = Order(spec, ordered, settings.wandb_mode, settings.price_per_hour, settings.price_currency)
    if not (workspace.dataset / "dataset.json").is_file():
        for file in ordered:
            _copy(file, workspace, blobs)
    if order != there:
        workspace.write_order(order)
    return order


def _ordered(project_id: str, spec: JobSpec, files: FileStore) -> list[OrderedFile]:
    wanted = [(file.file_id, _TRAIN, file.weight) for file in spec.training_files]
    wanted += [(file_id, _VALIDATION, 1.0) for file_id in spec.validation_files]
    return [
        _file(_row(project_id, file_id, files), number, split, weight)
        for number, (file_id, split, weight) in enumerate(wanted)
    ]


def _row(project_id: str, file_id: str, files: FileStore) -> FileRow:
    try:
        return files.get(project_id, file_id)
    except NotFoundError:
        raise DataError(
            f"the file '{file_id}' was deleted after the job was created",
            remedy="upload it, and create the job again",
        ) from None


def _file(row: FileRow, number: int, split: str, weight: float) -> OrderedFile:
    summary: Mapping[str, Any] = row.summary or {}
    return OrderedFile(
        path=f"{FILES}/{number:04d}.jsonl",
        sha256=row.sha256,
        name=row.filename,
        split=split,
        weight=weight,
        openai=bool(summary.get("openai", False)),
    )


def _copy(file: OrderedFile, workspace: Workspace, blobs: Blobs) -> None:
    """Fetch a file, unless a worker that was here before has."""
    path = workspace.folder / file.path
    path.parent.mkdir(exist_ok=True)
    if path.is_file() and sha256_file(path) == file.sha256:
        return
    try:
        blobs.get_to(file.sha256, path)
    except NotFoundError:
        raise DataError(
            "was deleted after the job was created",
            file=file.name,
            remedy="upload it, and create the job again",
        ) from None
