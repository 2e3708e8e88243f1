"""One process or several behind one model: what the loop asks of them, and the case of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol, Self

from modwright.errors import IntegrityError, UsageError
from modwright.schema import FloatArray, Input, Schema
from modwright.training.pieces import read_pieces
from modwright.training.task import Task


class Parallel(Protocol):
    """The processes of a run. Every one of them calls the loop with the same task, plan and looks.

    Each computes its own parts of every step, and all take the same number of them.
    """

    @property
    def rank(self) -> int:
        """Return this process's number; 0 alone writes what all share."""
        ...

    @property
    def world(self) -> int:
        """Return the number of processes."""
        ...

    @property
    def loss_factor(self) -> float:
        """Return what each process multiplies its losses by, so that the exchanged gradient is their sum (1 if it is)."""
        ...

    def made(self, make: Callable[[], Task]) -> Task:
        """Return a fresh task; processes that share a machine's memory make theirs one after the other."""
        ...

    def wrap(self, model: Any) -> None:
        """Shard the model in place, before its weights are grouped for the optimizer; one that is stays as it is."""
        ...

    def exchange(self, model: Any, now: bool) -> None:
        """Say before each part whether gradients are exchanged after it: at the last part of a step."""
        ...

    def sum(self, value: float) -> float:
        """Return the sum of a number over all processes."""
        ...

    def barrier(self) -> None:
        """Wait until every process is here."""
        ...

    def alone(self, task: Task, make: Callable[[], Task]) -> Task:
        """Return a trained task that process 0 can compute with alone: `make` gives a fresh one for the whole weights.

        The other processes get theirs back and must not compute with it any more.
        """
        ...

    def told(
        self, compute: Callable[[], Mapping[str, FloatArray]], shapes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, FloatArray]:
        """Return in every process what process 0 computes: arrays of these names and shapes."""
        ...

    def save(self, tensors: Mapping[str, Any], folder: Path, name: str) -> None:
        """Write this process's part of the tensors below a folder that is there, as files whose names begin so."""
        ...

    def load(self, folder: Path, name: str, like: Mapping[str, Any]) -> dict[str, Any]:
        """Read what `save` wrote, under the names of `like`, whose values have the shapes and the sharding.

        A value of `like` that is None is read as it was written. A name that was not written is left out.

        Raises:
            IntegrityError: the files are missing, unreadable or of other shapes.
        """
        ...


class Single:
    """One process."""

    rank = 0
    world = 1
    loss_factor = 1.0

    def made(self, make: Callable[[], Task]) -> Task:
        """Return the task."""
        return make()

    def wrap(self, model: Any) -> None:
        """Leave the model as it is."""

    def exchange(self, model: Any, now: bool) -> None:
        """Do nothing: there is nobody to exchange with."""

    def sum(self, value: float) -> float:
        """Return the value."""
        return value

    def barrier(self) -> None:
        """Go on."""

    def alone(self, task: Task, make: Callable[[], Task]) -> Task:
        """Return the task."""
        return task

    def told(
        self, compute: Callable[[], Mapping[str, FloatArray]], shapes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, FloatArray]:
        """Return what is computed."""
        return dict(compute())

    def save(self, tensors: Mapping[str, Any], folder: Path, name: str) -> None:
        """Write `<name>.safetensors`."""
        write_tensors(tensors, folder / f"{name}.safetensors")

    def load(self, folder: Path, name: str, like: Mapping[str, Any]) -> dict[str, Any]:
        """Read `<name>.safetensors`, or what several processes wrote; see `Parallel.load`."""
        path = folder / f"{name}.safetensors"
        return read_tensors(path, like) if path.exists() else read_pieces(folder, name, like)


class Elsewhere:
    """The classifier of a process other than the first: the model is whole there, not here."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def predict_proba(self, inputs: Sequence[Input]) -> NoReturn:
        """Refuse."""
        raise _not_here()

    def save(self, folder: Path) -> None:
        """Refuse."""
        raise _not_here()

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        """Refuse."""
        raise _not_here()


def _not_here() -> UsageError:
    return UsageError("the trained model is whole in process 0 only", remedy="use it there")


def write_tensors(tensors: Mapping[str, Any], path: Path) -> None:
    """Write torch tensors of one process as safetensors."""
    from safetensors.torch import save_file

    save_file({name: _alone(tensor) for name, tensor in tensors.items()}, path)


def read_tensors(path: Path, like: Mapping[str, Any]) -> dict[str, Any]:
    """Read those of the tensors that `like` names, checked against its shapes; IntegrityError where it cannot be."""
    from safetensors import SafetensorError, safe_open

    found = {}
    try:
        with safe_open(path, framework="pt") as stored:
            there = set(stored.keys())
            for name, expected in like.items():
                if name not in there:
                    continue
                tensor = stored.get_tensor(name)
                if expected is not None and tuple(tensor.shape) != tuple(expected.shape):
                    raise IntegrityError(
                        f"'{name}' has the shape {tuple(tensor.shape)}, expected {tuple(expected.shape)}",
                        where=str(path),
                    )
                found[name] = tensor
    except (SafetensorError, OSError) as error:
        raise IntegrityError(f"cannot be read: {error}", where=str(path)) from None
    return found


def _alone(tensor: Any) -> Any:
    """Return the tensor on the CPU with memory of its own, as safetensors want it."""
    tensor = tensor.detach().cpu().contiguous()
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole else tensor.clone()
