"""AdamW over groups of weights, its schedule as a pure function of the step, and its state as named tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch

from modwright.training.task import ParameterGroup

#: What AdamW keeps of a weight (Loshchilov and Hutter 2019, "Decoupled weight decay regularization").
_KEPT = ("step", "exp_avg", "exp_avg_sq")
_PEAK = "peak"


def make_optimizer(groups: Sequence[ParameterGroup]) -> Any:
    """Return a fused AdamW over the groups, at their peak rates."""
    described = [
        {
            "params": list(group.parameters),
            "lr": group.learning_rate,
            "weight_decay": group.weight_decay,
            _PEAK: group.learning_rate,
        }
        for group in groups
        if group.parameters
    ]
    return torch.optim.AdamW(described, fused=True)


def rate_factor(
    step: int, *, steps: int, warmup: float, schedule: Literal["linear", "cosine", "constant"]
) -> float:
    """Return what the peak rates are multiplied by at a step.

    Args:
        step: from 1; the first is above zero, and so is the last.
        steps: of the whole schedule.
        warmup: share of them in which the factor rises to 1.
        schedule: how it falls afterwards.
    """
    rising = round(warmup * steps)
    if step <= rising:
        return step / rising
    done = (step - rising) / (steps - rising + 1)
    if schedule == "linear":
        return 1.0 - done
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * done))
    return 1.0


def set_rates(optimizer: Any, factor: float) -> float:
    """Set every group's rate to its peak times a factor; return the first group's."""
    for group in optimizer.param_groups:
        group["lr"] = group[_PEAK] * factor
    return float(optimizer.param_groups[0]["lr"])


def clip(parameters: Sequence[Any], most: float) -> float:
    """Scale gradients down so that their joint norm is at most that; return the norm they had."""
    norm = torch.nn.utils.clip_grad_norm_(parameters, most)
    return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)


def state_tensors(optimizer: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the optimizer's state, `KEY/NAME` to tensor, for weights by name; those never stepped have none."""
    return {
        f"{key}/{name}": optimizer.state[parameter][key]
        for name, parameter in names.items()
        if parameter in optimizer.state
        for key in _KEPT
    }


def state_like(names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names of `state_tensors` with a tensor of the same shape for each, None for the step counts."""
    return {
        f"{key}/{name}": None if key == "step" else parameter
        for name, parameter in names.items()
        for key in _KEPT
    }


def restore_state(optimizer: Any, names: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
    """Put back what `state_tensors` gave."""
    optimizer.state.clear()
    for name, parameter in names.items():
        if f"exp_avg/{name}" in tensors:
            kept = {key: tensors[f"{key}/{name}"].to(parameter.device) for key in _KEPT}
            optimizer.state[parameter] = kept
