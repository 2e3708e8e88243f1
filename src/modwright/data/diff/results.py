"""What a comparison of two datasets says, as data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a label holds.

    Attributes:
        positives: rows above the schema's bound.
        known: rows where the label is known.
    """

    positives: int
    known: int

    @property
    def share(self) -> float | None:
        """Return positives among the known rows, in 0..1; None where none is known."""
        return self.positives / self.known if self.known else None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {"positives": self.positives, "known": self.known, "share": self.share}


@dataclass(frozen=True, slots=True)
class LabelChange:
    """What became of a label in the rows that both datasets have, and of its rate in all rows.

    Attributes:
        target, label: its name.
        on: rows where it did not hold and holds now.
        off: rows where it held and does not now.
        shifted: rows whose soft value changed on the same side of the bound.
        learned: rows where it was unknown and is known.
        forgotten: rows where it was known and is unknown.
        before, after: split to its rate; empty where the dataset does not have the label.
    """

    target: str
    label: str
    on: int
    off: int
    shifted: int
    learned: int
    forgotten: int
    before: dict[str, Rate]
    after: dict[str, Rate]

    @property
    def changed(self) -> int:
        """Return the rows with any change."""
        return self.on + self.off + self.shifted + self.learned + self.forgotten

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        shown = {name: getattr(self, name) for name in self.__slots__ if name not in ("before", "after")}
        rates = {
            side: {split: rate.to_json() for split, rate in getattr(self, side).items()}
            for side in ("before", "after")
        }
        return {**shown, **rates}


@dataclass(frozen=True, slots=True)
class RowChanges:
    """Rows that came, went, moved and changed.

    Attributes:
        before, after: split to rows.
        same: rows with the same id and input in both, in whatever split.
        added, removed: split to rows that only one of the two has.
        moved: (from, to) to rows that are in another split now.
        renumbered: rows of the same input under another id.
        edited: rows of the same id with another input.
        relabelled: rows with any change of a label that both datasets have.
        reweighted: rows with another weight.
        regrouped: rows with another group.
        columns: other column to rows with another value; of columns that both have.
        reordered: splits whose common rows are in another order.
    """

    before: dict[str, int]
    after: dict[str, int]
    same: int
    added: dict[str, int]
    removed: dict[str, int]
    moved: dict[tuple[str, str], int]
    renumbered: int
    edited: int
    relabelled: int
    reweighted: int
    regrouped: int
    columns: dict[str, int]
    reordered: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        moved = [{"from": one, "to": other, "rows": rows} for (one, other), rows in self.moved.items()]
        shown = {name: getattr(self, name) for name in self.__slots__}
        return {**shown, "moved": moved, "reordered": list(self.reordered)}


@dataclass(frozen=True, slots=True)
class DatasetDiff:
    """What changed from one dataset to another.

    Attributes:
        before, after: their ids.
        schema: words on targets, labels and their order, one change each.
        columns: words on other columns that came, went or changed their type.
        rows: rows that came, went, moved and changed.
        labels: every label of either, in the order of the later schema.
        sources: words on files that only one of the two was made from.
        steps: words on steps that only one of the two has gone through.
        examples: kind of change to a few rows: ids, splits and label values, never what they say.
    """

    before: str
    after: str
    schema: tuple[str, ...]
    columns: tuple[str, ...]
    rows: RowChanges
    labels: tuple[LabelChange, ...]
    sources: tuple[str, ...]
    steps: tuple[str, ...]
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Say whether the content is the same: every row, value and name; where it came from may differ."""
        return self.before == self.after

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        plain = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        plain["rows"] = self.rows.to_json()
        plain["labels"] = [label.to_json() for label in self.labels]
        return {"equal": self.equal, **plain}
