"""A run's state on disk: staged aside, hashed, renamed; verified before it is used; never a pickle.

<folder>/step-00000120/   checkpoint.json (manifest, written last), state.json, state*.safetensors
<folder>/best-00000080/   the same with weights*.safetensors: the trainable weights of a look
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from modwright.errors import IntegrityError, ModwrightError, TrainingError
from modwright.files import file_hashes, read_json, sync_tree, verify, write_json
from modwright.training.parallel import Parallel, Single

MANIFEST = "checkpoint.json"
STATE = "state"
WEIGHTS = "weights"
_VERSION = 2
_NAME = re.compile(r"^(step|best)-(\d{8})$")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified checkpoint: its step, its JSON-ready state, and where its tensors lie."""

    step: int
    state: dict[str, Any]
    folder: Path


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        folder: made when something is written.
        keep_last: newest checkpoints that are kept, at least 1.
        keep_best: best looks whose weights are kept; those that a kept checkpoint goes back to are kept besides.
        run: what the run is, such as a hash; checkpoints of another run are passed over.
        parallel: the processes that write together.
    """

    def __init__(
        self, folder: Path, *, keep_last: int, keep_best: int, run: str, parallel: Parallel | None = None
    ) -> None:
        self.folder = folder
        self._keep_last = keep_last
        self._keep_best = keep_best
        self._run = run
        self._parallel = parallel or Single()

    @property
    def keeps_best(self) -> bool:
        """Return whether weights of the best looks are kept even where no run goes back to them."""
        return self._keep_best > 0

    def save(self, step: int, state: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
        """Write the state after a step, then remove what is no longer kept.

        `state` is JSON-ready; its `best` is the step whose best weights it goes back to, or None, and its `values` are
        pairs of a step and how good it looked.
        """
        with self._written(f"step-{step:08d}") as staging:
            self._parallel.save(tensors, staging, STATE)
            if self._parallel.rank == 0:
                write_json(staging / f"{STATE}.json", dict(state))
        if self._parallel.rank == 0:
            self._prune(step, state)
        self._parallel.barrier()

    def save_best(self, step: int, weights: Mapping[str, Any]) -> None:
        """Write the trainable weights of a look."""
        with self._written(f"best-{step:08d}") as staging:
            self._parallel.save(weights, staging, WEIGHTS)

    def latest(self, on_damage: Callable[[str], None]) -> Checkpoint | None:
        """Return the newest checkpoint of this run that is whole, with the best weights it goes back to; None if none.

        Those passed over are told in words.
        """
        for step, folder in reversed(self._found("step")):
            try:
                self._check(folder)
                state = read_json(folder / f"{STATE}.json")
                if state["best"] is not None:
                    self._check(self._path("best", state["best"]))
                return Checkpoint(step, state, folder)
            except ModwrightError as error:
                on_damage(f"the checkpoint of step {step} is passed over: {error}")
            except (KeyError, TypeError) as error:
                on_damage(f"the checkpoint of step {step} is passed over: its state lacks {error}")
        return None

    def tensors(self, checkpoint: Checkpoint, like: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tensors of a checkpoint; see `Parallel.load`."""
        return self._parallel.load(checkpoint.folder, STATE, like)

    def best(self, step: int, like: Mapping[str, Any]) -> dict[str, Any]:
        """Return the weights of a look, verified; raises IntegrityError."""
        folder = self._path("best", step)
        self._check(folder)
        return self._parallel.load(folder, WEIGHTS, like)

    def clear(self) -> None:
        """Remove every checkpoint; for a run whose result is kept elsewhere."""
        self._parallel.barrier()
        if self._parallel.rank == 0:
            for _, folder in [*self._found("step"), *self._found("best")]:
                shutil.rmtree(folder)
        self._parallel.barrier()

    def _path(self, kind: str, step: int) -> Path:
        return self.folder / f"{kind}-{step:08d}"

    def _found(self, kind: str) -> list[tuple[int, Path]]:
        """Return step and folder of what is there, the oldest first."""
        names = self.folder.iterdir() if self.folder.is_dir() else ()
        matches = [(_NAME.match(path.name), path) for path in names]
        return sorted((int(found[2]), path) for found, path in matches if found and found[1] == kind)

    @contextmanager
    def _written(self, name: str) -> Iterator[Path]:
        with written_together(self.folder / name, self._parallel, self._run) as staging:
            yield staging

    def _check(self, folder: Path) -> None:
        check_written(folder, self._run)

    def _prune(self, latest: int, state: Mapping[str, Any]) -> None:
        """Remove what is no longer kept; what claims a later step was passed over, or belongs to another run."""
        steps = self._found("step")
        newest = [path for step, path in steps if step <= latest][-self._keep_last :]
        values = sorted(state["values"], key=lambda pair: (-pair[1], pair[0]))
        kept = {step for step, _ in values[: self._keep_best]}
        for folder in newest:
            try:
                kept.add(read_json(folder / f"{STATE}.json")["best"])
            except (ModwrightError, KeyError, TypeError):
                continue  # damaged; `latest` will say so
        for _, folder in steps:
            if folder not in newest:
                shutil.rmtree(folder)
        for step, folder in self._found("best"):
            if step not in kept:
                shutil.rmtree(folder)


@contextmanager
def written_together(final: Path, parallel: Parallel, run: str) -> Iterator[Path]:
    """Give a folder beside `final` that takes its place at the end, whole, its manifest written last.

    All processes write into it; the first of them makes and renames it. What a killed one left is removed.

    Raises:
        TrainingError: the disk is full or refuses.
    """
    staging = final.parent / f".{final.name}.partial"
    try:
        if parallel.rank == 0:
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(parents=True)
        parallel.barrier()
        yield staging
        parallel.barrier()
        if parallel.rank == 0:
            write_json(staging / MANIFEST, {"version": _VERSION, "run": run, "files": file_hashes(staging)})
            sync_tree(staging)
            if final.exists():
                shutil.rmtree(final)
            staging.rename(final)
            _sync_names(final.parent)
        parallel.barrier()
    except (OSError, SafetensorError) as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise TrainingError(
            f"cannot be written: {error}",
            where=str(final),
            remedy="make room there; the same command then goes on from the checkpoint before",
        ) from error


def check_written(folder: Path, run: str) -> None:
    """Raise IntegrityError unless a folder holds what `written_together` wrote for this run, byte for byte."""
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or set(manifest) != {"version", "run", "files"}:
        raise IntegrityError("is no manifest of a checkpoint", where=str(folder / MANIFEST))
    if manifest["version"] != _VERSION:
        raise IntegrityError(
            f"has version {manifest['version']!r}, expected {_VERSION}", where=str(folder / MANIFEST)
        )
    if manifest["run"] != run:
        raise IntegrityError("belongs to another run (other rows or another recipe)", where=str(folder))
    verify(folder, manifest["files"])


def _sync_names(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
