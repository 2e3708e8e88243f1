"""The folder in which a job is worked on: what the worker lays there for the trainer, and what the trainer makes of it.

<home>/jobs/<job id>/
  order.json    what to do: the job's spec, its files, what of the settings a trainer needs; no secret
  files/        the job's files, verified copies
  dataset/      the rows, checked
  checked.json  what validation found
  model/, model-run/   the artifact, and the run that makes it, with checkpoints to go on from

A worker that takes a job again on the same machine finds all of it; on another one it is made anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from modwright.errors import IntegrityError
from modwright.files import read_json, write_text_atomic
from modwright.jobs.specs import JobSpec

FOLDER = "jobs"
ORDER, CHECKED, FILES, DATASET, MODEL = "order.json", "checked.json", "files", "dataset", "model"


@dataclass(frozen=True, slots=True)
class OrderedFile:
    """A file of a job on this machine.

    Attributes:
        path: relative to the workspace.
        name: what its owner calls it.
        split: `train` or `validation`.
        weight: that multiplies its rows' weights.
        openai: whether a last assistant message is the label.
    """

    path: str
    sha256: str
    name: str
    split: str
    weight: float = 1.0
    openai: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What a trainer is to do.

    Attributes:
        spec: of the job.
        files: training files, then validation files.
        wandb_mode: "online" or "offline".
        price_per_hour: of this machine, in `price_currency`.
    """

    spec: JobSpec
    files: tuple[OrderedFile, ...]
    wandb_mode: str
    price_per_hour: float
    price_currency: str

    def to_json(self) -> dict[str, Any]:
        """Return the order as data for `from_json`."""
        return {
            "spec": self.spec.to_json(),
            "files": [asdict(file) for file in self.files],
            "wandb_mode": self.wandb_mode,
            "price_per_hour": self.price_per_hour,
            "price_currency": self.price_currency,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            JobSpec.from_json(data["spec"]),
            tuple(OrderedFile(**file) for file in data["files"]),
            data["wandb_mode"],
            float(data["price_per_hour"]),
            data["price_currency"],
        )


@dataclass(frozen=True, slots=True)
class Workspace:
    """A job's folder."""

    folder: Path

    @classmethod
    def of(cls, home: Path, job_id: str) -> Self:
        """Return the workspace of a job below a home folder; it may not be there yet."""
        return cls(home / FOLDER / job_id)

    @property
    def dataset(self) -> Path:
        """Return the folder of the rows."""
        return self.folder / DATASET

    @property
    def model(self) -> Path:
        """Return the folder of the artifact."""
        return self.folder / MODEL

    def read_order(self) -> Order | None:
        """Return the order that lies here, None where there is no whole one."""
        try:
            return Order.from_json(read_json(self.folder / ORDER))
        except (IntegrityError, KeyError, TypeError, ValueError):
            return None

    def write_order(self, order: Order) -> None:
        """Lay down an order."""
        self._write(ORDER, order.to_json())

    def read_checked(self) -> dict[str, Any] | None:
        """Return what validation found here, None where it was not done."""
        try:
            data = read_json(self.folder / CHECKED)
        except IntegrityError:
            return None
        return data if isinstance(data, dict) else None

    def write_checked(self, result: Mapping[str, Any]) -> None:
        """Keep what validation found."""
        self._write(CHECKED, result)

    def _write(self, name: str, data: Mapping[str, Any]) -> None:
        write_text_atomic(self.folder / name, json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n")
