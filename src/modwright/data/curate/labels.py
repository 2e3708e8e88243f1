"""Steps that take labels out of the schema, in all splits at once; rows stay and lose what they said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from modwright.data.curate.part import Part
from modwright.data.curate.steps import Context, Label, column_of
from modwright.data.options import TRAIN
from modwright.errors import DataError, UsageError
from modwright.schema import FloatArray


@dataclass(frozen=True, slots=True)
class RareLabels:
    """Labels that too few training rows have go, from all splits; negative labels stay.

    Attributes:
        min_share: a label goes where its share of the rows that know it is below this. Higher drops more.
        min_count: a label goes where it has fewer positives than this.
        over: `train` decides on the training split alone, `all` looks at the test rows too, which biases what is
            measured on them; it is there to repeat what others did.
    """

    name: ClassVar[str] = "rare_labels"
    random: ClassVar[bool] = False
    min_share: float = 0.0
    min_count: int = 0
    over: Literal["train", "all"] = "train"

    def __post_init__(self) -> None:
        if not 0 <= self.min_share <= 1 or self.min_count < 0 or not (self.min_share or self.min_count):
            raise UsageError(
                f"min_share is {self.min_share:g} and min_count {self.min_count}, expected one of them above 0",
                remedy="such as min_share=0.01",
            )

    def removed(self, parts: Mapping[str, Part], context: Context) -> tuple[list[Label], dict[str, Any]]:
        """Return the labels below a bound, and how often they occur."""
        if self.over == "train" and TRAIN not in parts:
            raise DataError(
                f"found the splits {', '.join(parts)}, expected one called '{TRAIN}'",
                remedy="rare_labels decides on it; over=all looks at every split",
            )
        chosen = [parts[TRAIN]] if self.over == "train" else list(parts.values())
        known, positives = (sum(_counts(part.values, context)[place] for part in chosen) for place in (0, 1))
        rare: list[Label] = []
        occurs = {}
        for column in context.flaggable().tolist():
            share = int(positives[column]) / int(known[column]) if known[column] else 0.0
            if share < self.min_share or positives[column] < self.min_count:
                rare.append(context.labels[column])
                occurs["/".join(rare[-1])] = {
                    "positives": int(positives[column]),
                    "known": int(known[column]),
                }
        return rare, {"removed": occurs}


def _counts(values: FloatArray, context: Context) -> tuple[Any, Any]:
    return (~np.isnan(values)).sum(axis=0), context.positive(values).sum(axis=0)


@dataclass(frozen=True, slots=True)
class DropLabels:
    """Named labels go, from all splits.

    Attributes:
        labels: by name, `label` or `target/label`.
    """

    name: ClassVar[str] = "drop_labels"
    random: ClassVar[bool] = False
    labels: tuple[str, ...]

    def removed(self, parts: Mapping[str, Part], context: Context) -> tuple[list[Label], dict[str, Any]]:
        """Return the named labels; raises UsageError for one that is not there."""
        found = [context.labels[column_of(label, context)] for label in self.labels]
        return found, {"removed": {"/".join(label): {} for label in found}}
