"""What a training run will take, before it starts: counted where it can be counted, measured and spread where not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from modwright.recipe import TunedRecipe
from modwright.schema import IntArray, Schema
from modwright.training.batching import padded_tokens, parts_of_rank
from modwright.training.dealing import PlannedRun, planned_runs
from modwright.training.plan import Plan, plan_of
from modwright.training.rows import TrainingRows
from modwright.training.task import TunedFamily


@dataclass(frozen=True, slots=True)
class Span:
    """A figure that is not known: most likely, and between which bounds it is expected."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a training run will take.

    Attributes:
        family: of the recipe.
        rows: that are trained on.
        runs: behind the model: folds and the final one.
        epochs: of each run, None where there are none.
        steps: of all runs together.
        exact: whether steps and tokens are what will be done; else they are the most that will.
        tokens: that are computed with gradients, padding left out; of `frozen` those that are embedded.
        padded_tokens: the same with padding.
        looks: times that held-out rows are scored.
        seconds: from start to artifact.
        memory_bytes: the highest memory of the process (of the GPU where there is one), None where it cannot be measured.
        disk_bytes: of checkpoints at their most and the artifact.
    """

    family: str
    rows: int
    runs: int
    epochs: float | None
    steps: int
    exact: bool
    tokens: int
    padded_tokens: int
    looks: int
    seconds: Span
    memory_bytes: int | None
    disk_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return the estimate as data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Work:
    """What one run computes.

    Attributes:
        name: of the run.
        rows: that it trains on.
        judged: rows that each look scores.
        steps: of the optimizer.
        tokens: of all steps, padding left out.
        padded: the same with padding.
        looks: times that judged rows are scored.
        saves: checkpoints that are written.
        least: share of the work that is done if the run ends as early as it may.
    """

    name: str
    rows: int
    judged: int
    steps: int
    tokens: int
    padded: int
    looks: int
    saves: int
    least: float


def counted(run: PlannedRun, plan: Plan) -> Work:
    """Count what a run will compute: the very items, steps and looks of the loop."""
    tokens = padded = 0
    for items in step_items(plan):
        tokens += int(plan.lengths[items].sum())
        padded += padded_of(items, plan)
    judged = 0 if run.judged is None else len(run.judged.inputs)
    looks = [step for step in range(plan.ends + 1) if judged and (step == 0 or plan.looks_at(step))]
    saves = sum(
        1 for step in range(1, plan.ends + 1) if plan.writes_at(step) or (judged and plan.looks_at(step))
    )
    return Work(
        run.name,
        len(run.train.inputs),
        judged,
        plan.ends,
        tokens,
        padded,
        len(looks),
        saves,
        _least(run, plan, looks),
    )


def _least(run: PlannedRun, plan: Plan, looks: list[int]) -> float:
    if run.kept_by_folds:
        return 0.0
    if plan.patience and len(looks) > plan.patience:
        return looks[plan.patience] / max(1, plan.ends)
    return 1.0


def step_items(plan: Plan) -> Iterator[IntArray]:
    """Yield the items of every step of a run, in order."""
    left = plan.ends
    epoch = 0
    while left > 0:
        for items in plan.epoch(epoch)[:left]:
            yield items
            left -= 1
        epoch += 1


def padded_of(items: IntArray, plan: Plan) -> int:
    """Return the tokens of a step, padding included."""
    parts = parts_of_rank(items, plan.lengths, plan.batches.max_tokens)
    return sum(padded_tokens(part.items, plan.lengths) for part in parts)


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that a fit will do: its runs with their plans and work."""

    runs: list[PlannedRun]
    plans: list[Plan]
    work: list[Work]


def job_of(
    recipe: TunedRecipe,
    schema: Schema,
    rows: TrainingRows,
    family: TunedFamily,
    validation: TrainingRows | None,
    lengths: Callable[[TrainingRows], IntArray],
) -> Job:
    """Return what `fit_tuned` will do with these arguments.

    Args:
        lengths: tokens of each item that the family makes of some rows.

    Raises:
        DataError: as `fit_tuned`.
    """
    runs = planned_runs(recipe, schema, rows, family, validation)
    plans = [plan_of(recipe, lengths(run.train)) for run in runs]
    return Job(runs, plans, [counted(run, plan) for run, plan in zip(runs, plans, strict=True)])
