"""Several problems of labelled data at once: collected up to a limit, then raised as one error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from modwright.errors import DataError
from modwright.schema import IntArray

MAX_PROBLEMS = 100


class DataProblemsError(DataError):
    """Several problems in labelled data; its text is one line per problem and a count of those not listed.

    Attributes:
        problems: those listed, in the order they were met.
        total: how many there were.
    """

    def __init__(self, problems: Iterable[DataError], total: int) -> None:
        self.problems = tuple(problems)
        self.total = total
        lines = [f"{total:,} problems"] + [f"  {problem}" for problem in self.problems]
        if total > len(self.problems):
            lines.append(f"  … and {total - len(self.problems):,} more")
        super().__init__("\n".join(lines))


@dataclass(slots=True)
class Problems:
    """Collects problems; the first `limit` are kept, the others counted."""

    limit: int = MAX_PROBLEMS
    total: int = 0
    kept: list[DataError] = field(default_factory=list)

    @property
    def room(self) -> int:
        """Return how many more problems will be kept."""
        return max(self.limit - len(self.kept), 0)

    def add(
        self,
        message: str,
        *,
        file: str,
        line: int | None = None,
        field: str | None = None,
        remedy: str | None = None,
        count: int = 1,
    ) -> None:
        """Add one problem, or one that stands for `count` of its kind."""
        self.total += count
        if self.room:
            self.kept.append(DataError(message, file=file, line=line, field=field, remedy=remedy))

    def add_error(self, error: DataError) -> None:
        """Add a problem that was already put into words."""
        self.total += 1
        if self.room:
            self.kept.append(error)

    def add_rows(self, rows: IntArray, make: Callable[[int], DataError]) -> None:
        """Add a problem for each of (N,) rows: as many are made as there is room for, all are counted."""
        listed = rows[: self.room].tolist()
        self.kept += [make(row) for row in listed]
        self.total += len(rows)

    def raise_any(self) -> None:
        """Raise what was collected: DataError for one problem, DataProblemsError for several."""
        if self.total == 1 and self.kept:
            raise self.kept[0]
        if self.total:
            raise DataProblemsError(self.kept, self.total)
