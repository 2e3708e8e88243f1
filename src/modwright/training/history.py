"""The looks of one run so far: which was best, and whether it is worth going on; and the best look of several runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modwright.schema import FloatArray


@dataclass(frozen=True, slots=True)
class Seen:
    """A look, and after which step it was taken; the other fields are those of `Look`."""

    step: int
    loss: float
    metrics: Mapping[str, float]
    value: float
    scores: Mapping[str, FloatArray] | None = field(default=None, compare=False, repr=False)


class History:
    """The looks of one run.

    Args:
        patience: looks without a better one after which a run ends; 0 never ends it.
    """

    def __init__(self, patience: int) -> None:
        self.looks: list[Seen] = []
        self._patience = patience

    def add(self, seen: Seen) -> bool:
        """Add the latest look; return whether it is the best so far."""
        self.looks.append(seen)
        return self.best is seen

    @property
    def best(self) -> Seen | None:
        """Return the look of highest value, the first of equals; None before the first look."""
        return max(self.looks, key=lambda seen: (seen.value, -seen.step), default=None)

    @property
    def patience_is_spent(self) -> bool:
        """Return whether the last looks were all no better than an earlier one."""
        best = self.best
        since = 0 if best is None else len(self.looks) - 1 - self.looks.index(best)
        return 0 < self._patience <= since

    def to_json(self) -> list[dict[str, Any]]:
        """Return the looks as JSON-ready data; of kept scores their targets' names."""
        return [
            {
                "step": seen.step,
                "loss": seen.loss,
                "metrics": dict(seen.metrics),
                "value": seen.value,
                "scores": None if seen.scores is None else list(seen.scores),
            }
            for seen in self.looks
        ]

    def arrays(self) -> dict[str, FloatArray]:
        """Return the kept scores of all looks, `STEP/TARGET` to (N, L)."""
        return {
            f"{seen.step}/{name}": values
            for seen in self.looks
            for name, values in (seen.scores or {}).items()
        }

    @staticmethod
    def names(data: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return the names of `arrays` of looks as `to_json` gave them."""
        return [f"{seen['step']}/{name}" for seen in data for name in seen["scores"] or ()]

    def restore(self, data: Sequence[Mapping[str, Any]], arrays: Mapping[str, FloatArray]) -> None:
        """Put back what `to_json` and `arrays` gave."""
        self.looks = [
            Seen(
                seen["step"],
                seen["loss"],
                seen["metrics"],
                seen["value"],
                None
                if seen["scores"] is None
                else {name: arrays[f"{seen['step']}/{name}"] for name in seen["scores"]},
            )
            for seen in data
        ]


def best_together(values: Sequence[Sequence[float]]) -> int:
    """Return which look, from 0, is best on average over several runs, the first of equals.

    Args:
        values: of each run the values of its looks in order, higher is better; a run may have ended earlier than others,
            and only looks that all of them took are compared.
    """
    taken = min(len(run) for run in values)
    means = [math.fsum(run[place] for run in values) for place in range(taken)]
    return max(range(taken), key=lambda place: (means[place], -place))
