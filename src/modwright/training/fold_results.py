"""What a finished fold leaves behind, so that a resumed process does not train it again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from modwright.errors import ModwrightError
from modwright.files import read_json, write_json
from modwright.schema import FloatArray, Schema
from modwright.training.checkpoints import check_written, written_together
from modwright.training.parallel import Parallel
from modwright.training.rows import TrainingRows

_SCORES = "scores.safetensors"
_RESULT = "result.json"


@dataclass(frozen=True, slots=True)
class JudgedFold:
    """What one look at a fold's held-out rows gave.

    Attributes:
        share: of the planned steps that had been taken.
        value: of the recipe's metric, higher is better.
        scores: target to (N, L) raw scores.
    """

    share: float
    value: float
    scores: Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True)
class FoldResult:
    """A fold that has been trained.

    Attributes:
        looks: in order; only the last where there is nothing to choose.
    """

    looks: tuple[JudgedFold, ...]


class FoldResults:
    """Where one fold's result is kept: a folder that appears whole, of this very run."""

    def __init__(self, folder: Path, run: str, parallel: Parallel) -> None:
        self._folder = folder
        self._run = run
        self._parallel = parallel

    def write(self, result: FoldResult) -> None:
        """Write it."""
        with written_together(self._folder, self._parallel, self._run) as staging:
            if self._parallel.rank == 0:
                arrays = {
                    f"{place}/{name}": np.ascontiguousarray(values)
                    for place, look in enumerate(result.looks)
                    for name, values in look.scores.items()
                }
                save_file(arrays, staging / _SCORES)
                write_json(staging / _RESULT, {"looks": [[look.share, look.value] for look in result.looks]})

    def read(self, schema: Schema, rows: int) -> FoldResult | None:
        """Return what was written for this run, None where there is nothing whole of the expected shapes."""
        if not self._folder.is_dir():
            return None
        try:
            check_written(self._folder, self._run)
            arrays = load_file(self._folder / _SCORES)
            looks = tuple(
                JudgedFold(
                    float(share),
                    float(value),
                    {name: arrays[f"{place}/{name}"] for name in schema.names},
                )
                for place, (share, value) in enumerate(read_json(self._folder / _RESULT)["looks"])
            )
        except (ModwrightError, SafetensorError, OSError, KeyError, TypeError, ValueError):
            return None
        shapes = {target.name: (rows, len(target.labels)) for target in schema}
        fit = all(look.scores[name].shape == shape for look in looks for name, shape in shapes.items())
        return FoldResult(looks) if looks and fit else None


def rows_digest(rows: TrainingRows) -> str:
    """Return the sha256 of rows: inputs, labels, weights and groups."""
    digest = hashlib.sha256()
    for value, group in zip(rows.inputs, rows.groups, strict=True):
        for message in value:
            digest.update(f"{message.role}\0{message.content}\0".encode("utf-8", "surrogatepass"))
        digest.update(f"{group}\1".encode("utf-8", "surrogatepass"))
    for name in sorted(rows.labels):
        digest.update(name.encode() + np.ascontiguousarray(rows.labels[name]).tobytes())
    digest.update(np.ascontiguousarray(rows.weights).tobytes())
    return digest.hexdigest()
