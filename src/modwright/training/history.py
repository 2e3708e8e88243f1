"""The looks of one run so far: which was best, and whether it is worth going on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Seen:
    """A look, and after which step it was taken; the other fields are those of `Look`."""

    step: int
    loss: float
    metrics: Mapping[str, float]
    value: float


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
        """Return the looks as JSON-ready data."""
        return [asdict(seen) for seen in self.looks]

    def restore(self, data: Sequence[Mapping[str, Any]]) -> None:
        """Put back what `to_json` gave."""
        self.looks = [Seen(**seen) for seen in data]
