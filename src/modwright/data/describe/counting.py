"""Counts rows, labels and lengths of a dataset, column by column."""

from __future__ import annotations

import numpy as np

from modwright.data.assemble import label_column
from modwright.data.checks import TokenCounts, last_turns
from modwright.data.columnar import pl
from modwright.data.dataset import Dataset, inputs
from modwright.data.describe.description import (
    Combination,
    Description,
    LabelCounts,
    Lengths,
    SplitCounts,
    TargetCounts,
)
from modwright.schema import IntArray, Target

#: Combinations of labels that are listed.
MOST_COMBINATIONS = 20
#: Rows of each split whose tokens are counted; more are sampled.
TOKEN_ROWS = 200_000
_QUANTILES = {"shortest": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "99 %": 0.99, "longest": 1.0}
_BINS = 30
_CHUNK_ROWS = 20_000


def describe(
    dataset: Dataset,
    *,
    token_counts: TokenCounts | None = None,
    base: str | None = None,
    max_tokens: int | None = None,
    seed: int = 0,
) -> Description:
    """Count what a dataset holds.

    Args:
        dataset: what to look at.
        token_counts: counts tokens; without it lengths are in characters alone.
        base: name of the base whose tokens they are.
        max_tokens: that the base takes at once.
        seed: of the sample of a large split's rows whose tokens are counted.
    """
    splits = []
    for name, frame in dataset.splits.items():
        targets = tuple(_target(frame, target, dataset.schema.positive_above) for target in dataset.schema)
        lengths = [_characters(frame)]
        if token_counts is not None:
            lengths.append(_tokens(frame, token_counts, max_tokens, seed))
        conversations = int(frame["messages"].is_not_null().sum())
        splits.append(SplitCounts(name, len(frame), conversations, targets, tuple(lengths)))
    return Description(dataset.id, dataset.schema, tuple(splits), base, max_tokens)


def _target(frame: pl.DataFrame, target: Target, above: float) -> TargetCounts:
    columns = {label: frame[label_column(target, label)] for label in target.labels}
    unknown = {label: int(column.is_null().sum()) for label, column in columns.items()}
    holds = pl.DataFrame(
        [(column > above).fill_null(False).alias(str(place)) for place, column in enumerate(columns.values())]
    )
    positives = [int(holds[name].sum()) for name in holds.columns]
    flaggable = [str(target.index(label)) for label in target.flaggable]
    flagged = pl.any_horizontal(flaggable) if flaggable else pl.lit(False)
    nothing = pl.DataFrame([column.is_null().alias(label) for label, column in columns.items()])
    unsaid = nothing.select(unsaid=pl.all_horizontal(pl.all()))["unsaid"]
    blank = int(unsaid.sum())
    flagged_rows = int(holds.select(flagged.sum()).item() or 0) if len(frame) else 0
    combinations, others = _combinations(holds.filter(~unsaid), target)
    labels = tuple(
        LabelCounts(
            label, label in target.negative_labels, count, len(frame) - count - unknown[label], unknown[label]
        )
        for label, count in zip(target.labels, positives, strict=True)
    )
    return TargetCounts(
        target.name,
        str(target.kind),
        labels,
        flagged_rows,
        len(frame) - flagged_rows - blank,
        blank,
        _together(holds),
        combinations,
        others,
    )


def _together(holds: pl.DataFrame) -> tuple[tuple[int, ...], ...]:
    size = holds.width
    total = np.zeros((size, size))
    for start in range(0, len(holds), _CHUNK_ROWS):
        values = holds[start : start + _CHUNK_ROWS].to_numpy().astype(np.float32)
        total += values.T @ values
    return tuple(tuple(int(value) for value in row) for row in total.tolist())


def _combinations(holds: pl.DataFrame, target: Target) -> tuple[tuple[Combination, ...], tuple[int, int]]:
    found = (
        holds.group_by(holds.columns, maintain_order=True)
        .len("rows")
        .sort("rows", descending=True, maintain_order=True)
    )
    listed = [
        Combination(
            tuple(label for label, value in zip(target.labels, row[:-1], strict=True) if value), int(row[-1])
        )
        for row in found.head(MOST_COMBINATIONS).iter_rows()
    ]
    rest = found["rows"][MOST_COMBINATIONS:]
    return tuple(listed), (len(rest), int(rest.sum()))


def _characters(frame: pl.DataFrame) -> Lengths:
    return _lengths("characters", last_turns(frame).str.len_chars().to_numpy().astype(np.int64), None)


def _tokens(frame: pl.DataFrame, token_counts: TokenCounts, max_tokens: int | None, seed: int) -> Lengths:
    rows = np.arange(len(frame))
    if len(rows) > TOKEN_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, size=TOKEN_ROWS, replace=False))
    columns = frame.select("text", "messages")
    parts = [
        np.asarray(token_counts(inputs(columns[rows[start : start + _CHUNK_ROWS]])))
        for start in range(0, len(rows), _CHUNK_ROWS)
    ]
    counts = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
    return _lengths("tokens", counts, max_tokens)


def _lengths(unit: str, counts: IntArray, most: int | None) -> Lengths:
    over = None if most is None else int((counts > most).sum())
    if not len(counts):
        return Lengths(unit, 0, {}, 0.0, (), (), over)
    quantiles = {name: float(np.quantile(counts, share)) for name, share in _QUANTILES.items()}
    edges = np.unique(np.round(np.geomspace(1, counts.max() + 1, _BINS + 1)).astype(np.int64))
    edges = np.concatenate([[0], edges]) if edges[0] > 0 else edges
    histogram = np.histogram(counts, bins=edges)[0]
    return Lengths(
        unit,
        len(counts),
        quantiles,
        float(counts.mean()),
        tuple(float(edge) for edge in edges),
        tuple(int(number) for number in histogram),
        over,
    )
