"""From what a job asks for to the recipe that trains: hyperparameters as overrides, family by family.

What a family has no use for is ignored and told. The order in which values are laid over the recipe: hyperparameters,
then the job's own `overrides`. Nothing here reads data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modwright.jobs.naming import Choice, choose, override_lines, recipe_of
from modwright.jobs.specs import JobSpec, LossFunction, TargetSpec
from modwright.recipe import FrozenRecipe, Recipe, TunedRecipe, load_recipe

#: Held-out rows are scored at every so many steps, and at the last; the wire shows losses of these steps.
LOOK_EVERY = 25
_LOSSES = {LossFunction.SINGLE_CLASS: "categorical", LossFunction.MULTI_CLASS: "binary"}
#: Hyperparameters that the solver of frozen encoders has no use for.
_NOT_FROZEN = ("epochs", "learning_rate", "weight_decay", "warmup_fraction", "batch_size")
#: A split by groups misses its share by a little.
_SLACK = 0.9


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job trains.

    Attributes:
        recipe: resolved, every value stated.
        choice: the recipe's name, and why that one.
        ignored: what was asked for and does nothing here; sentences for people.
    """

    recipe: Recipe
    choice: Choice
    ignored: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Return in a sentence what really trains; an operator's path shows only its last name."""
        bases = " and ".join(map(_shown, self.recipe.base_names))
        return f"trains the recipe '{self.name}' (family {self.recipe.family}) on {bases}: {self.why}"

    @property
    def name(self) -> str:
        """Return the recipe's name, the last part of a path."""
        return _shown(self.choice.recipe).removesuffix(".toml")

    @property
    def why(self) -> str:
        """Return why this recipe trains, without an operator's path."""
        return self.choice.why.replace(self.choice.recipe, self.name)


def plan_job(spec: JobSpec, aliases: Mapping[str, str], rows: int, *, wandb_mode: str = "offline") -> Plan:
    """Return the recipe that a job trains.

    Args:
        spec: what was asked for.
        aliases: the operator's names of models.
        rows: of the split `train`; steps are turned to epochs by it.
        wandb_mode: "online" or "offline", as the operator allows.

    Raises:
        ModelNotFoundError, RequestError: as `naming.recipe_of`.
        RecipeError: a hyperparameter that the recipe cannot take.
    """
    choice = choose(spec.model, spec.recipe, aliases)
    plain = recipe_of(spec, aliases)
    if isinstance(plain, FrozenRecipe):
        lines, ignored = _frozen(spec)
    else:
        lines, ignored = _tuned(spec, plain, rows, wandb_mode)
    own = override_lines(spec.overrides)
    taken = [line for line in lines if line.partition("=")[0] not in own]
    return Plan(
        load_recipe(choice.recipe, (*choice.overrides, *taken, *own.values())), choice, tuple(ignored)
    )


def _shown(name: str) -> str:
    """Return a name as it is, and of a path its end: where things lie on this machine is nobody else's business."""
    return Path(name).name if Path(name).is_absolute() else name


def _frozen(spec: JobSpec) -> tuple[list[str], list[str]]:
    asked = spec.hyperparameters
    lines = _seed(spec)
    if asked.training_steps is not None:
        lines.append(f"training.training_steps={asked.training_steps}")
    ignored = [
        f"{name}={getattr(asked, name):g} is ignored: frozen encoders are not trained, and the solver sets its own steps"
        for name in _NOT_FROZEN
        if getattr(asked, name) is not None
    ]
    if asked.seq_len is not None:
        ignored.append(
            f"seq_len={asked.seq_len} is ignored: windows are as long as the recipe and the texts say; nothing is cut"
        )
    ignored += [
        f"the weight {target.weight:g} of the target '{target.name}' is ignored: each target has a head of its own"
        for target in spec.targets or ()
        if target.weight != 1.0
    ]
    if spec.integrations:
        ignored.append("wandb is told nothing: the solver of frozen encoders has no tracker")
    return lines, ignored


def _tuned(spec: JobSpec, recipe: TunedRecipe, rows: int, wandb_mode: str) -> tuple[list[str], list[str]]:
    asked = spec.hyperparameters
    values: dict[str, Any] = {
        "validation.method": "holdout",
        "validation.every": LOOK_EVERY,
        "optimizer.learning_rate": asked.learning_rate,
        "optimizer.weight_decay": asked.weight_decay,
        "optimizer.warmup": None if asked.warmup_fraction is None else min(asked.warmup_fraction, 0.99),
        "batches.rows": asked.batch_size,
        **_length(spec, recipe, rows),
        **_window(asked.seq_len, recipe),
    }
    ignored: list[str] = []
    if spec.integrations and find_spec("wandb") is None:
        ignored.append("wandb is told nothing: it is not installed on this worker")
    elif spec.integrations:
        values |= {"trackers.wandb": spec.integrations[0].project, "trackers.wandb_mode": wandb_mode}
    given = {key: value for key, value in values.items() if value is not None}
    lines = [*_seed(spec), *override_lines(given).values()]
    return lines + _targets(spec.targets or ()), ignored


def _seed(spec: JobSpec) -> list[str]:
    seed = spec.hyperparameters.seed
    return [] if seed is None else [f"seed={seed % 2**32}"]


def _length(spec: JobSpec, recipe: TunedRecipe, rows: int) -> dict[str, Any]:
    """Return epochs and steps: steps cap the epochs, so there are as many epochs as the steps need."""
    steps, epochs = spec.hyperparameters.training_steps, spec.hyperparameters.epochs
    batch = spec.hyperparameters.batch_size or recipe.batches.rows
    learned = rows if spec.validation_files else rows * (1.0 - recipe.validation.share) * _SLACK
    an_epoch = max(1.0, learned / batch)
    if epochs is not None:
        whole = max(1, math.ceil(epochs))
        capped = steps if steps is not None or whole == epochs else max(1, round(epochs * an_epoch))
        return {"training.epochs": whole, "training.training_steps": capped}
    if steps is not None:
        return {"training.epochs": max(1, math.ceil(steps / an_epoch)), "training.training_steps": steps}
    return {}


def _window(seq_len: int | None, recipe: TunedRecipe) -> dict[str, Any]:
    """Return the bounds of a window of at most so many tokens; the base's own limit holds besides."""
    if seq_len is None:
        return {}
    return {"window.max_tokens": seq_len, "window.min_tokens": min(seq_len, recipe.window.min_tokens)}


def _targets(targets: tuple[TargetSpec, ...]) -> list[str]:
    """Return the override that gives targets their weight and loss."""
    tables = []
    for target in targets:
        said = [f"weight = {float(target.weight)!r}"] if target.weight != 1.0 else []
        if target.loss_function is not None:
            said.append(f'loss = "{_LOSSES[target.loss_function]}"')
        if said:
            tables.append(f"{json.dumps(target.name, ensure_ascii=False)} = {{{', '.join(said)}}}")
    return [f"targets={{{', '.join(tables)}}}"] if tables else []


def filled_hyperparameters(spec: JobSpec, recipe: Recipe, *, steps: int, epochs: float) -> dict[str, Any]:
    """Return the hyperparameters as they are used: what was asked for, and what the recipe says where nothing was.

    Args:
        steps: of the training; what was asked for is echoed where it is a cap that the solver may not need.
        epochs: how often every row is seen.
    """
    asked = spec.hyperparameters
    filled = {field.name: getattr(asked, field.name) for field in fields(asked)}
    filled |= {"training_steps": asked.training_steps or int(steps), "epochs": round(epochs, 6)}
    filled["seed"] = recipe.seed
    if isinstance(recipe, FrozenRecipe):
        return filled
    return filled | {
        "learning_rate": recipe.optimizer.learning_rate,
        "weight_decay": recipe.optimizer.weight_decay,
        "warmup_fraction": recipe.optimizer.warmup,
        "batch_size": recipe.batches.rows,
    }
