"""Steps applied to a dataset: in memory as a function, and from folder to folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modwright.data.assemble import label_column
from modwright.data.columnar import pl
from modwright.data.curate.part import MemoryStore, Part
from modwright.data.curate.registry import Planned
from modwright.data.curate.running import Draft, run_steps
from modwright.data.curate.steps import CountTokens
from modwright.data.dataset import Dataset, labels, make_dataset, read_dataset, store_dataset, weights
from modwright.data.summary import ImportSummary, summarise
from modwright.schema import FloatArray, Schema


@dataclass(frozen=True, slots=True)
class CurateOptions:
    """Everything `curate_dataset` needs.

    Attributes:
        source: folder of a dataset.
        out: folder of the new dataset.
        steps: in order.
        seed: same seed, same rows.
        replace: whether another dataset in `out` may be replaced.
    """

    source: Path
    out: Path
    steps: Sequence[Planned]
    seed: int = 0
    replace: bool = False


def curate_dataset(options: CurateOptions) -> ImportSummary:
    """Write a curated dataset; raises as `curate`, `read_dataset` and `store_dataset` do."""
    dataset = curate(read_dataset(options.source), options.steps, options.seed)
    unchanged = store_dataset(dataset, options.out, replace=options.replace)
    notes = step_notes(dataset.provenance["steps"][-len(options.steps) :] if options.steps else [])
    return summarise(dataset, notes, str(options.out), "unchanged" if unchanged else "written")


def curate(
    dataset: Dataset, steps: Sequence[Planned], seed: int = 0, count_tokens: CountTokens | None = None
) -> Dataset:
    """Return a dataset after curation steps, each logged in its provenance; the given one is not changed.

    Raises:
        UsageError: a step that does not fit the dataset.
        DataError: a step that leaves nothing of a split.
    """
    draft = run_steps(draft_of(dataset), steps, seed, count_tokens)
    splits = {
        split: finished(dataset.splits[split][part.rows], part, draft.schema, dataset.schema)
        for split, part in draft.parts.items()
    }
    done = [*dataset.provenance.get("steps", []), *draft.log]
    return make_dataset(draft.schema, splits, {**dataset.provenance, "steps": done})


def draft_of(dataset: Dataset) -> Draft:
    """Return a dataset as a draft, all rows in their order."""
    parts = {}
    for split, frame in dataset.splits.items():
        values = np.concatenate([labels(frame, target) for target in dataset.schema.targets], axis=1)
        rows = np.arange(len(frame), dtype=np.int64)
        parts[split] = Part(MemoryStore(frame), rows, values, weights(frame))
    return Draft(dataset.schema, parts)


def finished(frame: pl.DataFrame, part: Part, schema: Schema, before: Schema) -> pl.DataFrame:
    """Return the chosen rows with the labels and weights that the steps left.

    Args:
        frame: the rows of the part, in its order, with label columns of `before` or none.
        part: labels and weights.
        schema: the labels that stay.
        before: the labels there were.
    """
    gone = set(_columns(before)) - set(_columns(schema))
    values = label_series(part.values, schema)
    frame = frame.drop([name for name in gone if name in frame.columns])
    group = part.group_column(np.arange(len(part), dtype=np.int64))
    return frame.with_columns(pl.Series("weight", part.weights), group, *values)


def label_series(values: FloatArray, schema: Schema) -> list[pl.Series]:
    """Return (N, L) label values as columns, NaN as null."""
    names = _columns(schema)
    return [pl.Series(name, values[:, place]).fill_nan(None) for place, name in enumerate(names)]


def _columns(schema: Schema) -> list[str]:
    return [label_column(target, label) for target in schema.targets for label in target.labels]


def step_notes(log: Sequence[dict[str, object]]) -> list[str]:
    """Return a line for each step: what it kept, dropped and why."""
    notes = []
    for entry in log:
        splits, why, removed = entry.get("splits", {}), entry.get("why", {}), entry.get("removed")
        assert isinstance(splits, dict)
        assert isinstance(why, dict)
        kept = ", ".join(f"{split} {n['kept']:,} of {n['before']:,}" for split, n in splits.items())
        reasons = "; ".join(f"{reason}: {number:,}" for reason, number in why.items())
        note = f"{entry['step']}: kept {kept}" + (f" ({reasons})" if reasons else "")
        if removed:
            note = f"{entry['step']}: removed {', '.join(removed)}"  # type: ignore[arg-type]
        elif isinstance(removed, dict):
            note = f"{entry['step']}: removed no label"
        notes.append(note)
    return notes
