"""Several processes behind one model: weights, gradients and optimizer state sharded over them (FSDP2, fully_shard).

Each process holds its rows of every weight. A layer's weights are gathered when it computes and let go afterwards;
gradients are summed over the processes and scattered to who holds the rows (Zhao et al. 2023, "PyTorch FSDP"; ZeRO stage
3 of Rajbhandari et al. 2020). The sum of a step's losses and the weights after it are those of one process, but for
the rounding of sums taken in another order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from modwright.errors import IntegrityError, UsageError
from modwright.schema import FloatArray
from modwright.training.pieces import place_of, read_pieces, write_piece
from modwright.training.task import Task

#: Longest wait for another process; a process that dies is noticed at once by torchrun, not by this.
_PATIENCE = timedelta(hours=6)


class Sharded:
    """The processes of torchrun, as `Parallel` describes them. Make it by `joined`.

    Attributes:
        rank: this process's number.
        world: the number of processes.
        loss_factor: FSDP2 divides summed gradients by the number of processes; this takes it back.
        device: where this process computes.
    """

    def __init__(self, *, rank: int, world: int, device: torch.device, dtype: torch.dtype) -> None:
        self.rank = rank
        self.world = world
        self.loss_factor = float(world)
        self.device = device
        self._mesh = init_device_mesh(device.type, (world,))
        self._policy = MixedPrecisionPolicy()
        if dtype is torch.bfloat16:
            # What autocast would round weights to is what is sent; states between layers stay float32, as in one process.
            self._policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)

    @classmethod
    def joined(cls, dtype_on: Callable[[torch.device], torch.dtype]) -> Self:
        """Join the processes that torchrun started: over NCCL where there are GPUs, else over gloo.

        Args:
            dtype_on: in what a device computes: torch.bfloat16 gathers layers in it over float32 weights; whoever calls
                the model does so under autocast.

        Raises:
            UsageError: this process was not started by torchrun.
        """
        if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
            raise UsageError("RANK and WORLD_SIZE are not set", remedy="start this under torchrun")
        device = torch.device("cpu")
        if torch.cuda.is_available():
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(device)
        if not dist.is_initialized():
            dist.init_process_group("gloo" if device.type == "cpu" else "nccl", timeout=_PATIENCE)
        return cls(rank=dist.get_rank(), world=dist.get_world_size(), device=device, dtype=dtype_on(device))

    def made(self, make: Callable[[], Task]) -> Task:
        """Make and shard one task after the other, so that a machine holds one whole model at a time."""
        task = None
        for turn in range(int(os.environ.get("LOCAL_WORLD_SIZE", str(self.world)))):
            if turn == int(os.environ.get("LOCAL_RANK", str(self.rank))):
                task = make()
                self.wrap(task.model)
            dist.barrier()
        assert task is not None
        return task

    def wrap(self, model: nn.Module) -> None:
        """Shard each layer, then what is outside the layers (in float32); see `Parallel.wrap`. Nothing is sent."""
        if isinstance(model, FSDPModule):
            return
        for layer in layers_of(model):
            fully_shard(layer, mesh=self._mesh, mp_policy=self._policy)
        # Kept whole after a forward pass without a backward one, weights would miss what is then copied into their rows.
        fully_shard(model, mesh=self._mesh, reshard_after_forward=True)

    def exchange(self, model: Any, now: bool) -> None:
        """Do nothing: gradients are exchanged after every part, so that none is ever whole in one process."""

    def sum(self, value: float) -> float:
        """Return the sum of a number over all processes."""
        total = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return float(total)

    def barrier(self) -> None:
        """Wait until every process is here."""
        dist.barrier()

    def save(self, tensors: Mapping[str, Any], folder: Path, name: str) -> None:
        """Write this process's rows to `<name>-<rank>-of-<world>.safetensors`."""
        write_piece(folder, name, tensors, rank=self.rank, world=self.world)

    def load(self, folder: Path, name: str, like: Mapping[str, Any]) -> dict[str, Any]:
        """Read rows that any number of processes wrote; see `Parallel.load`."""
        found = read_pieces(folder, name, like, rank=self.rank, world=self.world)
        return {key: _sharded_like(value, like[key]) for key, value in found.items()}

    def alone(self, task: Task, make: Callable[[], Task]) -> Task:
        """Gather the whole weights in process 0, one after the other; see `Parallel.alone`."""
        whole = make() if self.rank == 0 else None
        fresh = dict(whole.model.named_parameters()) if whole is not None else {}
        for name, tensor in whole_tensors(task.model):
            if whole is None:
                continue
            if name not in fresh or fresh[name].shape != tensor.shape:
                raise IntegrityError(
                    f"a fresh model has no weight '{name}' of the shape {tuple(tensor.shape)}"
                )
            with torch.no_grad():
                fresh[name].copy_(tensor)
        if whole is None:
            return task
        whole.model.eval()
        return whole

    def told(
        self, compute: Callable[[], Mapping[str, FloatArray]], shapes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, FloatArray]:
        """Return in every process what process 0 computes; the others wait."""
        computed = compute() if self.rank == 0 else {name: np.zeros(shape) for name, shape in shapes.items()}
        found = {}
        for name in shapes:
            tensor = torch.tensor(computed[name], dtype=torch.float64, device=self.device)
            dist.broadcast(tensor, src=0)
            found[name] = tensor.cpu().numpy()
        return found

    def leave(self) -> None:
        """End the group; afterwards the processes go their own ways."""
        if dist.is_initialized():
            dist.destroy_process_group()


def layers_of(model: nn.Module) -> list[nn.Module]:
    """Return the modules that are sharded each by itself: those of the classes that transformers keeps on one device.

    A model that names none has its longest list of modules; one without a list has none and is sharded as one.
    """
    names = {name for module in model.modules() for name in getattr(module, "_no_split_modules", None) or ()}
    named = [module for module in model.modules() if type(module).__name__ in names]
    if named:
        return named
    lists = [list(module) for module in model.modules() if isinstance(module, nn.ModuleList)]
    return max(lists, key=len, default=[])


def whole_tensors(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield name and whole value of one weight after the other, so that no more than one is whole at a time.

    Every process has to take every one: they are gathered together.
    """
    for name, parameter in model.named_parameters():
        value = parameter.detach()
        yield name, value.full_tensor() if isinstance(value, DTensor) else value


def _sharded_like(part: torch.Tensor, like: Any) -> Any:
    """Return this process's rows as a tensor sharded like another, on its device; ordinary tensors as they are."""
    if not isinstance(like, DTensor):
        return part
    assert tuple(part.shape) == tuple(like.to_local().shape), (part.shape, place_of(like))
    return DTensor.from_local(
        part.to(like.device),
        like.device_mesh,
        like.placements,
        run_check=False,
        shape=like.shape,
        stride=like.stride(),
    )
