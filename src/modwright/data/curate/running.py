"""Applying steps one after the other, and the log that says what each of them did.

The log of a step is a JSON object in the dataset's provenance:

    step        its name; beside it stand its parameters
    seed        where chance plays a part; the same seed, step and rows give the same result
    splits      split to {"before", "kept", "dropped"}, rows
    why         reason to rows that were dropped for it; they sum to what was dropped
    prevalence  split to label ("target/label") to {"before", "after"}, for each label whose prevalence changed:
                the share, by weight, of the rows in which the label holds among those where it is known;
                null where nothing is known, or where the label is gone

`prevalence` is what scores need to be brought back to the natural rate: where a model learned at rate q what occurs
at rate p, its odds are multiplied by (p / (1 - p)) / (q / (1 - q)) (Elkan 2001, "The foundations of cost-sensitive
learning", theorem 2). `natural_prevalence` reads p and q out of a log.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modwright.data.curate.part import Part
from modwright.data.curate.registry import ALL, Planned
from modwright.data.curate.steps import Context, CountTokens, Label, LabelStep, RowStep
from modwright.errors import DataError, UsageError, nearest
from modwright.schema import FloatArray, IntArray, Schema, Target, TargetKind


@dataclass(frozen=True, slots=True)
class Draft:
    """A dataset on its way through the steps.

    Attributes:
        schema: what is left of it.
        parts: split to its rows.
        log: one entry for each step so far.
    """

    schema: Schema
    parts: dict[str, Part]
    log: tuple[dict[str, Any], ...] = field(default=())


def run_steps(
    draft: Draft, steps: Sequence[Planned], seed: int, count_tokens: CountTokens | None = None
) -> Draft:
    """Return the draft after all steps; what is given stays as it is.

    Raises:
        UsageError: a step names a split that is not there, or leaves a target without labels.
        DataError: a step leaves a split without rows.
    """
    rates = prevalence(draft) if steps else {}
    for place, planned in enumerate(steps):
        step_seed = seed + place
        entry: dict[str, Any] = {"step": planned.step.name, **_parameters(planned.step)}
        if planned.step.random:
            entry["seed"] = step_seed
        if isinstance(planned.step, RowStep):
            draft = _choose(draft, planned, planned.step, step_seed, count_tokens, entry)
        else:
            draft = _without(draft, planned.step, count_tokens, entry)
        before, rates = rates, prevalence(draft)
        entry["prevalence"] = _changes(before, rates)
        draft = dataclasses.replace(draft, log=(*draft.log, entry))
    return draft


def _parameters(step: Any) -> dict[str, Any]:
    values = {one.name: getattr(step, one.name) for one in dataclasses.fields(step)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _choose(
    draft: Draft,
    planned: Planned,
    step: RowStep,
    seed: int,
    count_tokens: CountTokens | None,
    entry: dict[str, Any],
) -> Draft:
    parts = dict(draft.parts)
    why: dict[str, int] = {}
    entry |= {"splits": {}, "why": why}
    for split in _named(planned, parts):
        part = parts[split]
        random = np.random.default_rng([seed, zlib.crc32(split.encode())])
        if len(part):
            choice = step.choose(part, Context(draft.schema, random, count_tokens))
            parts[split] = chosen(part, choice.kept, choice.values, choice.weights)
            for reason, number in choice.why.items():
                why[reason] = why.get(reason, 0) + number
            if choice.details:
                entry.setdefault("details", {})[split] = choice.details
        entry["splits"][split] = _counted(len(part), len(parts[split]))
        if len(part) and not len(parts[split]):
            raise DataError(
                f"the step '{step.name}' leaves no row of the split '{split}'",
                remedy="loosen its parameters: " + ", ".join(f"{reason}: {n:,}" for reason, n in why.items()),
            )
    return dataclasses.replace(draft, parts=parts)


def _named(planned: Planned, parts: Mapping[str, Part]) -> list[str]:
    if planned.splits == ALL:
        return list(parts)
    for split in planned.splits:
        if split not in parts:
            raise UsageError(
                f"the step '{planned.step.name}' is for the split '{split}', which is not there",
                remedy=nearest(split, parts) + "; say splits=NAME or splits=all",
            )
    return list(planned.splits)


def _counted(before: int, after: int) -> dict[str, int]:
    return {"before": before, "kept": after, "dropped": before - after}


def chosen(
    part: Part, kept: IntArray, values: FloatArray | None = None, weights: FloatArray | None = None
) -> Part:
    """Return some rows of a part in a new order, with new labels or weights where given."""
    return Part(
        part.store,
        part.rows[kept],
        part.values[kept] if values is None else values,
        part.weights[kept] if weights is None else weights,
        None if part.groups is None else part.groups[kept],
    )


def _without(draft: Draft, step: LabelStep, count_tokens: CountTokens | None, entry: dict[str, Any]) -> Draft:
    """Take the labels that a step names out of schema and values."""
    context = Context(draft.schema, np.random.default_rng(0), count_tokens)
    gone, details = step.removed(draft.parts, context)
    entry |= {
        "splits": {split: _counted(len(part), len(part)) for split, part in draft.parts.items()},
        "why": {},
    }
    entry |= details
    if not gone:
        return draft
    schema = schema_without(draft.schema, gone, step.name)
    parts = {
        split: dataclasses.replace(part, values=_values_without(part.values, draft.schema, gone))
        for split, part in draft.parts.items()
    }
    return Draft(schema, parts, draft.log)


def schema_without(schema: Schema, gone: Sequence[Label], step: str) -> Schema:
    """Return a schema without some labels; raises UsageError where a target would have too few left."""
    targets = []
    for target in schema.targets:
        labels = tuple(label for label in target.labels if (target.name, label) not in gone)
        if len(labels) < (2 if target.kind is TargetKind.SINGLE_LABEL else 1):
            left = f"the label '{labels[0]}' alone" if labels else "no label"
            raise UsageError(
                f"the step '{step}' leaves {left} of the target '{target.name}'",
                remedy="loosen its parameters",
            )
        negative = tuple(label for label in target.negative_labels if label in labels)
        targets.append(Target(target.name, target.kind, labels, negative))
    return Schema(tuple(targets), schema.positive_above)


def _values_without(values: FloatArray, schema: Schema, gone: Sequence[Label]) -> FloatArray:
    """Return the columns that stay; where a removed class of a single-label target held, the rest is unknown."""
    pieces, start = [], 0
    for target in schema.targets:
        block = values[:, start : start + len(target.labels)]
        start += len(target.labels)
        stays = np.array([(target.name, label) not in gone for label in target.labels])
        kept = block[:, stays]
        if target.kind is TargetKind.SINGLE_LABEL and not stays.all():
            kept[np.nansum(block[:, ~stays], axis=1) > 0] = np.nan
        pieces.append(kept)
    return np.concatenate(pieces, axis=1)


def prevalence(draft: Draft) -> dict[str, dict[str, float | None]]:
    """Return split to "target/label" to the weighted share of rows in which it holds; None where unknown."""
    names = [f"{target.name}/{label}" for target in draft.schema.targets for label in target.labels]
    found: dict[str, dict[str, float | None]] = {}
    for split, part in draft.parts.items():
        found[split] = {}
        for name, column in zip(names, part.values.T, strict=True):
            known = ~np.isnan(column)
            weight = float(part.weights[known].sum())
            held = float(part.weights[known][column[known] > draft.schema.positive_above].sum())
            found[split][name] = held / weight if weight else None
    return found


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    changed = {
        split: {
            label: {"before": rate, "after": after[split].get(label)}
            for label, rate in rates.items()
            if after[split].get(label) != rate
        }
        for split, rates in before.items()
    }
    return {split: rates for split, rates in changed.items() if rates}


def natural_prevalence(
    steps: Sequence[Mapping[str, Any]], split: str, label: str
) -> tuple[float, float] | None:
    """Return a label's share before the first step that changed it and after the last; None where none did.

    Args:
        steps: of a dataset's provenance.
        split: such as `train`.
        label: "target/label".
    """
    rates = [
        change
        for step in steps
        if (change := step.get("prevalence", {}).get(split, {}).get(label)) is not None
    ]
    known = [change for change in rates if change["before"] is not None and change["after"] is not None]
    return (float(known[0]["before"]), float(known[-1]["after"])) if known else None
