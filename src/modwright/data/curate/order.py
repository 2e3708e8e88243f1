"""Steps that change the order of rows and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from modwright.data.curate.part import Part
from modwright.data.curate.steps import Choice, Context


@dataclass(frozen=True, slots=True)
class Shuffle:
    """Rows in random order."""

    name: ClassVar[str] = "shuffle"
    random: ClassVar[bool] = True

    def choose(self, part: Part, context: Context) -> Choice:
        """Return all rows in another order."""
        return Choice(context.random.permutation(len(part)), {})
