"""Training over several processes: started on this machine through torchrun's own agent, or found to be one of them.

The process that the user starts becomes the agent: it starts the workers, waits, passes interrupts on, and tells which
one died of what. The workers run the very same command; they die with the agent, and all of them when one does.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modwright.errors import MissingExtraError, ModwrightError, TrainingError, UsageError
from modwright.recipe import CausalRecipe, Recipe
from modwright.training.parallel import Parallel, Single

_PR_SET_PDEATHSIG = 1
_RANK, _WORLD, _ERROR_FILE = "RANK", "WORLD_SIZE", "TORCHELASTIC_ERROR_FILE"
_THREADS = "OMP_NUM_THREADS"
#: What gloo and NCCL say when another process has died.
_PEER_IS_GONE = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "remote process exited",
)
_LEFT_BY_PEER = 75
#: In an error file, beside what torchrun reads there: an error of ours, whole.
_OURS = "modwright"


def processes_of(recipe: Recipe) -> int:
    """Return over how many processes a recipe shards its model; 1 is none."""
    return recipe.shards.processes if isinstance(recipe, CausalRecipe) else 1


def is_worker() -> bool:
    """Say whether this process is one of several that torchrun started."""
    return _RANK in os.environ and _WORLD in os.environ


def shows() -> bool:
    """Say whether this process is the one that shows and writes: the only one, or number 0."""
    return not is_worker() or os.environ[_RANK] == "0"


def joined(recipe: Recipe) -> Parallel:
    """Return the processes behind a recipe's model: this one alone, or those that torchrun started with it.

    Raises:
        UsageError: torchrun started another number of processes than the recipe's, or several for a recipe that has
            none, or none for one that has several.
    """
    wanted = processes_of(recipe)
    there = int(os.environ[_WORLD]) if is_worker() else 1
    if wanted != there:
        raise UsageError(
            f"there {'is 1 process' if there == 1 else f'are {there} processes'}, the recipe asks for {wanted}",
            where="recipe, shards.processes",
            remedy=f"give shards.processes={there}"
            if isinstance(recipe, CausalRecipe)
            else "start it without torchrun: only the family 'causal' is sharded",
        )
    if there == 1:
        return Single()
    assert isinstance(recipe, CausalRecipe)
    from modwright.training.precision import dtype_of
    from modwright.training.sharded import Sharded

    precision = recipe.training.precision
    return Sharded.joined(lambda device: dtype_of(precision, device))


def meet() -> None:
    """Wait until every process of this run is here, then part; alone, go on."""
    if not is_worker():
        return
    import torch.distributed as dist

    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def torchrun_line(arguments: Sequence[str], processes: int) -> str:
    """Return the command that does by hand, on one machine, what `launch` does."""
    start = ("torchrun", "--standalone", "--nproc-per-node", str(processes), "-m", "modwright")
    return shlex.join([*start, *arguments])


def launch(arguments: Sequence[str], processes: int, *, program: Sequence[str] = ("-m", "modwright")) -> None:
    """Run a Python program, modwright itself, in several processes of this machine, to their end.

    Raises:
        MissingExtraError: torch is not installed.
        ModwrightError: as a worker raised it.
        TrainingError: a worker died of something else; which one and of what.
        KeyboardInterrupt: after the workers were interrupted, too.
    """
    try:
        from torch.distributed.elastic.multiprocessing import SignalException
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.launcher.api import elastic_launch
    except ImportError:
        raise MissingExtraError("train", "training over several processes") from None
    with _environment(processes):
        try:
            elastic_launch(_configuration(processes), sys.executable)(*program, *arguments)
        except ChildFailedError as error:
            raise _explained(error.failures, processes) from None
        except SignalException as stop:
            if stop.sigval == signal.SIGINT:
                raise KeyboardInterrupt from None
            sys.exit(128 + int(stop.sigval))


def _configuration(processes: int) -> Any:
    import logging

    from torch.distributed.launcher.api import LaunchConfig

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # `_explained` says it better
    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=f"modwright-{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
    )


@contextlib.contextmanager
def _environment(processes: int) -> Iterator[None]:
    """Give each worker its share of the cores, unless the user has said how many."""
    if _THREADS in os.environ:
        yield
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ[_THREADS] = str(max(1, cores // processes))
    try:
        yield
    finally:
        del os.environ[_THREADS]


def _explained(failures: Mapping[int, Any], processes: int) -> ModwrightError:
    """Return what ended the run: an error of ours where a worker wrote one down, else the first death."""
    first = sorted(failures.items(), key=lambda one: (_follows(one[1]), one[1].timestamp, one[0]))
    for _, failure in first:
        told = failure.error_file_data.get("message")
        if isinstance(told, dict) and _OURS in told:
            return _rebuilt(told[_OURS])
    rank, failure = first[0]
    died = (
        f"was killed by {failure.signal_name()}" if failure.exitcode < 0 else f"left with {failure.exitcode}"
    )
    return TrainingError(
        f"process {rank} of {processes} (pid {failure.pid}) {died}; the others were ended",
        remedy="the same command goes on from the last checkpoint",
    )


def _follows(failure: Any) -> int:
    """Return how likely a death is another one's consequence: killed, then failed, then ended by the agent."""
    if failure.exitcode in (-signal.SIGTERM, _LEFT_BY_PEER):
        return 2
    return 0 if failure.exitcode < 0 and failure.exitcode != -signal.SIGABRT else 1


def _rebuilt(data: Mapping[str, Any]) -> ModwrightError:
    error = ModwrightError(data["message"], where=data["where"], remedy=data["remedy"])
    error.code, error.exit_code = data["code"], int(data["exit_code"])
    return error


@contextlib.contextmanager
def as_worker() -> Iterator[None]:
    """In a worker: die with the agent, and leave an error of ours where the agent reads it; elsewhere nothing.

    Where the agent reads errors, it alone shows them: the worker ends with the error's exit code.
    """
    if not is_worker():
        yield
        return
    die_with_parent()
    try:
        yield
    except KeyboardInterrupt:
        os._exit(130)
    except ModwrightError as error:
        if _ERROR_FILE not in os.environ:
            raise
        _write_error(Path(os.environ[_ERROR_FILE]), error)
        sys.stdout.flush()
        os._exit(error.exit_code)  # no clean-up that waits for processes that are no more
    except RuntimeError as error:
        if not any(words in str(error) for words in _PEER_IS_GONE):
            raise
        os._exit(_LEFT_BY_PEER)  # the agent tells who died first


def _write_error(path: Path, error: ModwrightError) -> None:
    ours = {
        "code": error.code,
        "exit_code": error.exit_code,
        "message": error.message,
        "where": error.where,
        "remedy": error.remedy,
    }
    extra = {"timestamp": str(int(time.time())), "py_callstack": ""}
    told = {"message": f"error: {error}", "extraInfo": extra, _OURS: ours}
    path.write_text(json.dumps({"message": told}), encoding="utf-8")


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies; Linux only."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "prctl"):
        return
    parent = os.getppid()
    library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died in between
        os._exit(1)
