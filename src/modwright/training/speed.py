"""A short probe of a fine-tuned run: a few real steps and scores on a model that is thrown away afterwards."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from modwright.recipe import TunedRecipe
from modwright.schema import IntArray, Schema
from modwright.training.batching import parts_of_rank
from modwright.training.draws import Draws
from modwright.training.estimate import Estimate, Job, Span, Work, job_of, padded_of
from modwright.training.events import Event, Stage
from modwright.training.optimizer import clip, make_optimizer
from modwright.training.peak import forget_peak, peak_memory
from modwright.training.plan import Plan
from modwright.training.precision import autocast, dtype_of
from modwright.training.rows import TrainingRows
from modwright.training.task import Task, TunedFamily

#: Typical steps are timed at these quantiles of their padded tokens, until so many seconds are spent.
_QUANTILES = (0.5, 0.1, 0.9, 0.3, 0.7)
_PROBE_S = 20.0
_SCORED_ROWS = 48
#: What remains after training: the export or merge, calibration, the reload in a fresh process.
_FINISH = Span(2.0, 15.0, 90.0)
#: A machine is never as free again as it was during the probe, nor as busy.
_FASTER, _SLOWER = 0.6, 1.8
_DISK_BYTES_PER_S = 150e6
_MOMENTS = 2  # that AdamW keeps of a weight, in float32


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured.

    Attributes:
        setup_s: to make a fresh model over the rows of the largest run.
        token_s: of computing, per padded token.
        step_s: of the optimizer, per step.
        row_s: to score a row as fast as the machine can, and exactly.
        spread: fastest and slowest step beside what token_s and step_s say of it.
        memory_bytes: see `Estimate`.
        trainable_bytes: of the weights that are trained.
        model_bytes: of all weights.
    """

    setup_s: float
    token_s: float
    step_s: float
    row_s: tuple[float, float]
    spread: tuple[float, float]
    memory_bytes: int | None
    trainable_bytes: int
    model_bytes: int


def estimate_tuned(
    recipe: TunedRecipe,
    schema: Schema,
    rows: TrainingRows,
    family: TunedFamily,
    *,
    validation: TrainingRows | None,
    scored_rows: int,
) -> Generator[Event, None, Estimate]:
    """Count and probe, yielding events; random states are as before, and nothing is written.

    Args:
        recipe, schema, rows, family, validation: as `fit_tuned` takes them.
        scored_rows: of other splits, which the finished model is measured on.

    Raises:
        DataError, RecipeError: as `fit_tuned`.
    """
    yield Stage("count tokens")
    with Draws.seeded(recipe.seed).drawing():
        job = job_of(
            recipe, schema, rows, family, validation, lambda some: _lengths(family, some, recipe.seed)
        )
    yield Stage("probe")
    with Draws.seeded(recipe.seed).drawing():
        speed = _probed(recipe, rows, family, job)
    return Estimate(
        family=recipe.family,
        rows=len(rows.inputs),
        runs=len(job.work),
        epochs=max((plan.epochs_at(plan.ends) for plan in job.plans), default=0.0),
        steps=sum(work.steps for work in job.work),
        exact=all(work.least == 1.0 for work in job.work),
        tokens=sum(work.tokens for work in job.work),
        padded_tokens=sum(work.padded for work in job.work),
        looks=sum(work.looks for work in job.work),
        seconds=_seconds(job.work, speed, len(rows.inputs), scored_rows),
        memory_bytes=speed.memory_bytes,
        disk_bytes=_disk(recipe, speed),
    )


def _lengths(family: TunedFamily, rows: TrainingRows, seed: int) -> IntArray:
    """Return the lengths of a run's items, from the texts alone where the family can."""
    lengths = getattr(family, "lengths", None)
    found: IntArray = family.task(rows, seed).lengths if lengths is None else lengths(rows)
    return found


def _probed(recipe: TunedRecipe, rows: TrainingRows, family: TunedFamily, job: Job) -> Speed:
    forget_peak()
    began = time.perf_counter()
    task = family.task(rows if not job.runs else job.runs[-1].train, recipe.seed)
    setup_s = time.perf_counter() - began
    steps = _Steps(task, job.plans[-1]) if job.plans else None
    times = steps.timed() if steps is not None else [(1, 0.0, 0.0)]
    padded, computing, stepping = np.asarray(times, dtype=np.float64).T
    token_s, step_s = float(computing.sum() / padded.sum()), float(np.median(stepping))
    ratios = (computing + stepping) / np.maximum(token_s * padded + step_s, 1e-9)
    parameters = list(task.model.parameters())
    return Speed(
        setup_s,
        token_s,
        step_s,
        (_row_seconds(task, rows, exact=False), _row_seconds(task, rows, exact=True)),
        (float(ratios.min()), float(ratios.max())),
        peak_memory(),
        sum(one.numel() * one.element_size() for one in parameters if one.requires_grad),
        sum(one.numel() * one.element_size() for one in parameters),
    )


class _Steps:
    """Steps of a run on a model that nobody keeps."""

    def __init__(self, task: Task, plan: Plan) -> None:
        groups = [group for group in task.groups() if group.parameters]
        self._task, self._plan = task, plan
        self._parameters = [parameter for group in groups for parameter in group.parameters]
        self._optimizer = make_optimizer(groups)
        self._device = self._parameters[0].device
        self._dtype = dtype_of(plan.precision, self._device)

    def timed(self) -> list[tuple[int, float, float]]:
        """Return padded tokens, seconds of computing and of the optimizer of some steps.

        The costliest one comes first: it shows how much memory is needed, and its time, that of a first step, is left out.
        """
        steps = self._plan.epoch(0)
        ranked = sorted(steps, key=lambda items: padded_of(items, self._plan))
        self._task.model.train()
        self._take(max(steps, key=lambda items: int(self._plan.lengths[items].max())))
        began, times = time.perf_counter(), []
        for quantile in _QUANTILES:
            times.append(self._take(ranked[round(quantile * (len(ranked) - 1))]))
            if time.perf_counter() - began > _PROBE_S:
                break
        return times

    def _take(self, items: IntArray) -> tuple[int, float, float]:
        began = time.perf_counter()
        weight = max(self._task.weight(items), 1e-12)
        for part in parts_of_rank(items, self._plan.lengths, self._plan.batches.max_tokens):
            with autocast(self._dtype, self._device):
                loss = self._task.loss(part.items)
            (loss / weight).backward()
            loss.item()  # waits for a GPU
        computed = time.perf_counter()
        clip(self._parameters, self._plan.optimizer.max_grad_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        _wait(self._device)
        return padded_of(items, self._plan), computed - began, time.perf_counter() - computed


def _row_seconds(task: Task, rows: TrainingRows, *, exact: bool) -> float:
    """Return the seconds per row to score some, evenly taken."""
    some = list(rows.inputs[:: max(1, len(rows.inputs) // _SCORED_ROWS)])[:_SCORED_ROWS]
    task.model.eval()
    began = time.perf_counter()
    task.scores(some, exact=exact)
    return (time.perf_counter() - began) / max(1, len(some))


def _seconds(works: list[Work], speed: Speed, rows: int, scored_rows: int) -> Span:
    """Return the time from start to artifact: models made, steps, looks, checkpoints, scores, and what comes after."""
    fast, exact = speed.row_s
    written = speed.trainable_bytes * (1 + _MOMENTS)
    low = likely = 0.0
    for work in works:
        once = speed.setup_s + work.judged * exact
        steps = work.padded * speed.token_s + work.steps * speed.step_s
        looks = work.looks * work.judged * fast + work.saves * written / _DISK_BYTES_PER_S
        low += once + work.least * (steps + looks)
        likely += once + steps + looks
    rest = scored_rows * exact + (0.0 if works else rows * exact + speed.setup_s)
    fastest, slowest = (min(1.0, speed.spread[0]) * _FASTER, max(1.0, speed.spread[1]) * _SLOWER)
    return Span(
        (low + rest) * fastest + _FINISH.low,
        likely + rest + _FINISH.likely,
        (likely + rest) * slowest + _FINISH.high,
    )


def _disk(recipe: TunedRecipe, speed: Speed) -> int:
    """Return the bytes of checkpoints at their most, one more than are kept while it is written, and of the artifact."""
    checkpoints, weights = recipe.checkpoints, speed.trainable_bytes
    kept = (checkpoints.keep_last + 1) * weights * (1 + _MOMENTS) + (checkpoints.keep_best + 1) * weights
    return kept + speed.model_bytes


def _wait(device: Any) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
