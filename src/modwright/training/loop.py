"""The loop of every fine-tuned family: steps, looks, checkpoints; killed at any moment, it goes on where it was.

A step is a pure function of the state before it: weights, optimizer, random states and the step's number, which
decides its items. So a run that is resumed on the same processor ends with the very weights of an undisturbed one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from modwright.errors import TrainingError
from modwright.schema import IntArray
from modwright.training.batching import padded_tokens, parts_of_rank
from modwright.training.checkpoints import Checkpoint, CheckpointStore
from modwright.training.draws import Draws
from modwright.training.events import Event, Looked, Resumed, Saved, Step, Warned
from modwright.training.history import History, Seen
from modwright.training.looking import Look
from modwright.training.memory import is_out_of_memory, memory_told
from modwright.training.optimizer import (
    clip,
    make_optimizer,
    rate_factor,
    restore_state,
    set_rates,
    state_like,
    state_tensors,
)
from modwright.training.parallel import Parallel, Single
from modwright.training.plan import Plan, plan_of
from modwright.training.precision import allow_tf32, autocast, dtype_of
from modwright.training.task import Task

__all__ = ["Outcome", "Plan", "Seen", "plan_of", "run"]

_WEIGHTS = "weights/"
_SEEN = "seen/"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that has ended; the task's model has the weights that were to be kept.

    Attributes:
        steps: that were taken.
        looks: in order.
        best: the look of highest value, the first of equals; None without looks.
        kept: the step whose weights the model has.
        tokens_at_once: padded tokens computed at once in the end; less than planned where the memory was too small.
    """

    steps: int
    looks: tuple[Seen, ...]
    best: Seen | None
    kept: int
    tokens_at_once: int


def run(
    task: Task,
    plan: Plan,
    *,
    store: CheckpointStore | None = None,
    look: Callable[[], Look] | None = None,
    parallel: Parallel | None = None,
) -> Generator[Event, None, Outcome]:
    """Train a task as planned, yielding events; resume from the store's newest whole checkpoint.

    Args:
        task: fresh; a resumed run needs the same one as the run that was killed.
        plan: of this run.
        store: of this run alone; None keeps nothing on disk.
        look: scores held-out rows by the weights as they are; None never looks, and the last weights are kept.
        parallel: the processes that train together; None is this one alone.

    Raises:
        TrainingError: the loss is no finite number, or the memory does not hold one item.
        IntegrityError: the best weights were damaged while the run went on.
    """
    return (yield from _Run(task, plan, store, look, parallel or Single()).events())


class _Run:
    """One run's state."""

    def __init__(
        self,
        task: Task,
        plan: Plan,
        store: CheckpointStore | None,
        look: Callable[[], Look] | None,
        parallel: Parallel,
    ) -> None:
        self._task, self._plan, self._store, self._look, self._parallel = task, plan, store, look, parallel
        parallel.wrap(task.model)
        groups = [group for group in task.groups() if group.parameters]
        self._parameters = [parameter for group in groups for parameter in group.parameters]
        self._weights = {
            name: parameter for name, parameter in task.model.named_parameters() if parameter.requires_grad
        }
        self._optimizer = make_optimizer(groups) if groups else None
        device = self._parameters[0].device if groups else torch.device("cpu")
        allow_tf32(device, plan.precision)
        self._device, self._dtype = device, dtype_of(plan.precision, device)
        self._draws = Draws.seeded((plan.seed + parallel.rank) % 2**32)
        self._tokens_at_once = plan.batches.max_tokens
        self._history = History(plan.patience)
        self._best_weights: dict[str, Any] | None = None  # where there is no store
        self._epoch: tuple[int, list[IntArray]] = (-1, [])

    def events(self) -> Generator[Event, None, Outcome]:
        """Train to the end."""
        ends = self._plan.ends if self._optimizer is not None else 0
        done = yield from self._resume()
        if done == 0:
            yield from self._look_after(0)
        self._task.model.train()
        while done < ends and not self._history.patience_is_spent:
            done += 1
            step = yield from self._step(done)
            looks = self._look is not None and self._plan.looks_at(done)
            if looks:
                seen = self._see(done)
                yield replace(step, valid_loss=seen.loss)
                yield self._looked(seen)
                self._task.model.train()
            else:
                yield step
            if looks or self._plan.writes_at(done):
                yield from self._save(done)
        return self._end(done)

    def _step(self, number: int) -> Generator[Event, None, Step]:
        """Take one optimizer step; where the memory is too small, again from its beginning with smaller parts."""
        assert self._optimizer is not None
        began = time.perf_counter()
        items = self._items(number)
        while True:
            try:
                with self._draws.drawing():
                    loss = self._gradients(items)
                break
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                self._tokens_at_once = self._smaller(items, error)
            self._optimizer.zero_grad(set_to_none=True)
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            yield Warned(
                f"out of memory at step {number}: from here on at most {self._tokens_at_once} tokens are computed at once; "
                f"a step is still {self._plan.batches.rows} rows"
            )
        if not math.isfinite(loss):
            raise _not_finite(loss, number)
        rate = set_rates(self._optimizer, self._factor(number))
        with memory_told(
            "in the optimizer's step", "train fewer weights: base.freeze_layers, or a low-rank adapter"
        ):
            clip(self._parameters, self._plan.optimizer.max_grad_norm)
            self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return Step(
            number,
            loss,
            epoch=self._plan.epochs_at(number),
            learning_rate=rate,
            tokens=int(self._plan.lengths[items].sum()),
            seconds=time.perf_counter() - began,
            total=self._plan.ends,
        )

    def _gradients(self, items: IntArray) -> float:
        """Add up the gradients of one step's mean loss, part by part; return that loss."""
        parallel, total = self._parallel, 0.0
        weight = max(self._task.weight(items), 1e-12)
        parts = parts_of_rank(
            items, self._plan.lengths, self._tokens_at_once, rank=parallel.rank, world=parallel.world
        )
        for place, part in enumerate(parts):
            parallel.exchange(self._task.model, place == len(parts) - 1)
            share = float(part.counts) / weight
            with autocast(self._dtype, self._device):
                loss = self._task.loss(part.items)
            (loss * (share * parallel.loss_factor)).backward()
            total += float(loss.detach()) * share
        return parallel.sum(total)

    def _items(self, step: int) -> IntArray:
        epoch, place = divmod(step - 1, self._plan.steps_per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._plan.epoch(epoch))
        return self._epoch[1][place]

    def _factor(self, step: int) -> float:
        optimizer = self._plan.optimizer
        return rate_factor(step, steps=self._plan.steps, warmup=optimizer.warmup, schedule=optimizer.schedule)

    def _smaller(self, items: IntArray, error: BaseException) -> int:
        """Return half of what was computed at once, of parts that can be smaller; a single item cannot."""
        if self._parallel.world > 1:
            raise TrainingError(
                f"out of memory: {error}", remedy="lower batches.max_tokens, or take more processes"
            ) from error
        parts = parts_of_rank(items, self._plan.lengths, self._tokens_at_once)
        if all(len(part.items) == 1 for part in parts):
            raise TrainingError(
                f"out of memory with a single item of {int(self._plan.lengths[items].max())} tokens: {error}",
                remedy="lower window.max_tokens, or set training.gradient_checkpointing = true",
            ) from error
        several = [part.items for part in parts if len(part.items) > 1]
        return max(padded_tokens(some, self._plan.lengths) for some in several) // 2

    def _see(self, step: int) -> Seen:
        """Look at held-out rows, and keep the weights if they are the best so far."""
        assert self._look is not None
        remedy = "lower batches.max_tokens or window.max_tokens"
        with self._draws.aside(), memory_told("while held-out rows were scored", remedy):
            found = self._look()
        seen = Seen(step, found.loss, dict(found.metrics), found.value, found.scores)
        if self._history.add(seen):
            self._keep_best(step)
        return seen

    def _look_after(self, step: int) -> Generator[Event, None, None]:
        if self._look is not None:
            yield self._looked(self._see(step))

    def _looked(self, seen: Seen) -> Looked:
        epoch = self._plan.epochs_at(seen.step)
        return Looked(seen.step, epoch, seen.loss, seen.metrics, self._history.best is seen)

    def _keep_best(self, step: int) -> None:
        goes_back = self._plan.keep == "best"
        if self._store is not None:
            if goes_back or self._store.keeps_best:
                self._store.save_best(step, self._weights)
        elif goes_back:
            self._best_weights = {name: weight.detach().clone() for name, weight in self._weights.items()}

    def _save(self, step: int) -> Generator[Event, None, None]:
        if self._store is None:
            return
        assert self._optimizer is not None
        best = self._history.best
        state = {
            "step": step,
            "best": best.step if best is not None and self._plan.keep == "best" else None,
            "values": [[seen.step, seen.value] for seen in self._history.looks],
            "looks": self._history.to_json(),
            "tokens_at_once": self._tokens_at_once,
            "threads": torch.get_num_threads(),
        }
        tensors = {_WEIGHTS + name: weight for name, weight in self._weights.items()}
        tensors |= state_tensors(self._optimizer, self._weights) | self._draws.state
        tensors |= {_SEEN + name: torch.from_numpy(some) for name, some in self._history.arrays().items()}
        self._store.save(step, state, tensors)
        yield Saved(step)

    def _resume(self) -> Generator[Event, None, int]:
        """Put back the newest whole checkpoint; return its step, 0 without one."""
        if self._store is None or self._optimizer is None:
            return 0
        damaged: list[str] = []
        checkpoint = self._store.latest(damaged.append)
        for message in damaged:
            yield Warned(message)
        if checkpoint is None:
            return 0
        self._restore(checkpoint)
        before, now = checkpoint.state["threads"], torch.get_num_threads()
        if before != now:
            yield Warned(
                f"the run began with {before} threads and goes on with {now}: sums round otherwise, and the model will not "
                "be the very same to the last bit"
            )
        yield Resumed(checkpoint.step)
        return checkpoint.step

    def _restore(self, checkpoint: Checkpoint) -> None:
        assert self._store is not None
        like: dict[str, Any] = {_WEIGHTS + name: weight for name, weight in self._weights.items()}
        like |= state_like(self._weights) | self._draws.names()
        looks, seen = checkpoint.state["looks"], History.names(checkpoint.state["looks"])
        like |= {_SEEN + name: None for name in seen}
        tensors = self._store.tensors(checkpoint, like)
        self._put(self._weights, {name: tensors[_WEIGHTS + name] for name in self._weights})
        restore_state(self._optimizer, self._weights, tensors)
        if all(name in tensors for name in self._draws.state):  # a process more than before has none
            self._draws = Draws({name: tensors[name] for name in self._draws.state})
        self._history.restore(looks, {name: tensors[_SEEN + name].numpy() for name in seen})
        self._tokens_at_once = int(checkpoint.state["tokens_at_once"])

    @staticmethod
    def _put(weights: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(values[name])

    def _end(self, done: int) -> Outcome:
        best, kept = self._history.best, done
        if self._plan.keep == "best" and best is not None and best.step != done:
            kept = best.step
            if self._store is not None:
                self._put(self._weights, self._store.best(kept, self._weights))
            elif self._best_weights is not None:
                self._put(self._weights, self._best_weights)
        self._task.model.eval()
        return Outcome(done, tuple(self._history.looks), best, kept, self._tokens_at_once)


def _not_finite(loss: float, step: int) -> TrainingError:
    return TrainingError(
        f"the loss is {loss} at step {step}, expected a finite number",
        remedy='lower optimizer.learning_rate or optimizer.max_grad_norm, or take training.precision = "float32"',
    )
