"""Slices and bias as further measurements of an evaluation: columns, lengths, scripts, identities and terms by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modwright.data.dataset import Dataset
from modwright.data.tables import INPUT_COLUMNS
from modwright.errors import DataError, UsageError, nearest
from modwright.evaluation import bias_report, slices_report
from modwright.evaluation.bias import Identity, evaluate_bias
from modwright.evaluation.scored import ScoredSplit
from modwright.evaluation.slices import evaluate_slices
from modwright.evaluation.slicing import Slicing, by_column, by_length, by_script
from modwright.evaluation.terms import mentions, read_terms
from modwright.pipeline.proof import Finding, Proof
from modwright.schema import FloatArray

#: Slicings of the judged texts themselves; a column of such a name is meant where `COLUMN` stands before it.
OF_TEXTS: dict[str, Callable[[Sequence[str]], Slicing]] = {"length": by_length, "script": by_script}
COLUMN = "column:"
_SOURCE = "source"


@dataclass(frozen=True, slots=True)
class MeasureSlices:
    """Figures on parts of every judged split.

    Attributes:
        by: names of columns, ``length`` or ``script``; ``column:length`` is a column of that name.

    Raises:
        UsageError: a name is given twice.
    """

    by: tuple[str, ...]

    def __post_init__(self) -> None:
        _refuse_twice(self.by, "--by")

    def check(self, dataset: Dataset, splits: Sequence[str]) -> None:
        """Raise UsageError where a split to be judged has no such column."""
        columns = [_column_name(name) for name in self.by if name not in OF_TEXTS]
        _refuse_absent(columns, dataset, splits, "--by", also=OF_TEXTS)

    def __call__(self, proof: Proof) -> Finding:
        """Measure every judged split."""
        found = {
            name: evaluate_slices(
                split, [_slicing(split, by) for by in self.by], resamples=proof.resamples, seed=proof.seed
            )
            for name, split in proof.splits.items()
        }
        return Finding(
            key=slices_report.KEY,
            figures=slices_report.slices_json(found),
            sections=(slices_report.slices_section(found),),
        )


@dataclass(frozen=True, slots=True)
class MeasureBias:
    """Unintended bias over identities, of columns and of a list of terms.

    Attributes:
        columns: each the share of annotators (or yes and no) who say that a text mentions an identity.
        terms: identity to the terms that name it; empty for none.
        source: of the terms, as it was named.

    Raises:
        UsageError: a column is given twice, or called as an identity of the terms.
    """

    columns: tuple[str, ...] = ()
    terms: tuple[tuple[str, tuple[str, ...]], ...] = ()
    source: str = ""

    @classmethod
    def of(cls, columns: Sequence[str], terms: str | None) -> MeasureBias:
        """Take columns, and terms by path or shipped name.

        Raises:
            NotFoundError, DataError: as `read_terms`.
        """
        listed = {} if terms is None else read_terms(terms)
        return cls(tuple(columns), tuple(listed.items()), terms or "")

    def __post_init__(self) -> None:
        _refuse_twice((*self.columns, *(identity for identity, _ in self.terms)), "--identity")

    def check(self, dataset: Dataset, splits: Sequence[str]) -> None:
        """Raise UsageError where a split to be judged has no such column, DataError where it holds no shares."""
        _refuse_absent(self.columns, dataset, splits, "--identity")
        for split in splits:
            for name in self.columns:
                _shares(name, dataset.split(split)[name].to_list())

    def __call__(self, proof: Proof) -> Finding:
        """Measure every judged split."""
        found = {
            name: evaluate_bias(split, self._identities(split), resamples=proof.resamples, seed=proof.seed)
            for name, split in proof.splits.items()
        }
        return Finding(
            key=bias_report.KEY,
            figures=bias_report.bias_json(found) | {"identities_from": self._from()},
            sections=(bias_report.bias_section(found, self._from()),),
        )

    def _identities(self, split: ScoredSplit) -> list[Identity]:
        above = split.schema.positive_above
        found = [Identity.of_shares(name, _shares(name, split.column(name)), above) for name in self.columns]
        mentioned = mentions(split.texts, dict(self.terms))
        return found + [Identity.of_mentions(name, rows) for name, rows in mentioned.items()]

    def _from(self) -> str:
        parts = []
        if self.columns:
            parts.append(
                f"Identities are mentioned where most annotators say so (columns {', '.join(self.columns)})."
            )
        if self.terms:
            parts.append(
                f"Identities are mentioned where a term of the list '{self.source}' occurs as whole words in the judged "
                "text: a mention, whoever or whatever is meant."
            )
        return " ".join(parts)


def _slicing(split: ScoredSplit, by: str) -> Slicing:
    if by in OF_TEXTS:
        return OF_TEXTS[by](split.texts)
    name = _column_name(by)
    values = split.column(name)
    return by_column(by, [_file_of(value) for value in values] if name == _SOURCE else values)


def _column_name(by: str) -> str:
    return by.removeprefix(COLUMN)


def _file_of(source: str | None) -> str | None:
    """Return the file of a row's source, which ends with its line."""
    if source is None:
        return None
    file, _, line = source.rpartition(":")
    return file if file and line.isdigit() else source


def _shares(name: str, values: Sequence[Any]) -> FloatArray:
    """Return a column's values (N,) in 0..1, NaN where empty; raises DataError for anything else."""
    found = np.full(len(values), math.nan)
    for row, value in enumerate(values):
        if value is None or value == "":
            continue
        try:
            found[row] = float(value)
        except ValueError:
            found[row] = -1.0
        if not 0 <= found[row] <= 1:
            raise DataError(
                f"row {row + 1} holds {value!r}, expected a share in 0..1, yes or no as 1 and 0, or nothing",
                field=name,
                remedy="name a column that says how many annotators saw the identity mentioned",
            )
    return found


def _refuse_twice(names: Sequence[str], option: str) -> None:
    for name in names:
        if list(names).count(name) > 1:
            raise UsageError(f"'{name}' is named twice", where=option)


def _refuse_absent(
    names: Sequence[str], dataset: Dataset, splits: Sequence[str], option: str, also: Iterable[str] = ()
) -> None:
    for split in splits:
        columns = set(dataset.split(split).columns) - set(INPUT_COLUMNS) | {_SOURCE}
        for name in names:
            if name not in columns:
                raise UsageError(
                    f"the split '{split}' has no column '{name}' to compare rows by",
                    where=option,
                    remedy=nearest(name, [*columns, *also]),
                )
