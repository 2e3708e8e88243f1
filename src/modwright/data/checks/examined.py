"""A dataset under examination: what several checks need of it is computed once."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from modwright.data.assemble import label_column
from modwright.data.columnar import pl
from modwright.data.dataset import Dataset, content_hashes
from modwright.data.options import TRAIN
from modwright.schema import Schema


class Examined:
    """Wraps a dataset for the checks.

    Args:
        dataset: what is looked at.
        seed: decides the samples that slow checks look at.
    """

    def __init__(self, dataset: Dataset, seed: int = 0) -> None:
        self.dataset = dataset
        self.seed = seed

    @property
    def schema(self) -> Schema:
        """Return the dataset's schema."""
        return self.dataset.schema

    @property
    def splits(self) -> dict[str, pl.DataFrame]:
        """Return the dataset's frames."""
        return self.dataset.splits

    @property
    def training(self) -> str:
        """Return the split that is trained on: `train`, else the first."""
        return TRAIN if TRAIN in self.splits else next(iter(self.splits))

    @property
    def label_columns(self) -> list[str]:
        """Return the columns of every target's labels, in schema order."""
        return [label_column(target, label) for target in self.schema.targets for label in target.labels]

    @cached_property
    def keys(self) -> dict[str, pl.Series]:
        """Return per split the (N,) hashes of the normalised inputs."""
        return {split: content_hashes(frame) for split, frame in self.splits.items()}

    @cached_property
    def judged(self) -> dict[str, pl.Series]:
        """Return per split the (N,) texts that are judged: the last turn."""
        return {split: last_turns(frame) for split, frame in self.splits.items()}

    @cached_property
    def whole(self) -> dict[str, pl.Series]:
        """Return per split the (N,) texts of all turns, one line break between them."""
        return {split: all_text(frame) for split, frame in self.splits.items()}

    def sample(self, split: str, most: int) -> pl.Series:
        """Return at most so many row numbers of a split, ascending, drawn with the seed."""
        total = len(self.splits[split])
        if total <= most:
            return pl.Series(np.arange(total))
        return pl.Series(np.sort(np.random.default_rng(self.seed).choice(total, size=most, replace=False)))


def last_turns(frame: pl.DataFrame) -> pl.Series:
    """Return (N,) the texts that are judged."""
    last = pl.col("messages").list.last().struct.field("content")
    return frame.select(pl.coalesce(pl.col("text"), last).fill_null("").alias("text")).to_series()


def all_text(frame: pl.DataFrame) -> pl.Series:
    """Return (N,) the texts of all turns, one line break between them."""
    turns = pl.col("messages").list.eval(pl.element().struct.field("content")).list.join("\n")
    return frame.select(pl.coalesce(pl.col("text"), turns).fill_null("").alias("text")).to_series()
