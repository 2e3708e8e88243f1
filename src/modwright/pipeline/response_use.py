"""Does a model use the response? The pair against the prompt alone and the response alone, on prompts not seen.

The same recipe is trained on what it may see, once per fold and view; folds are by prompt, so that a prompt seen in
training says nothing of the rows it is judged on. Every row is judged once per view, and the differences' intervals come
of one bootstrap over prompts, the same resamples for every view.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from modwright.data.split import folds
from modwright.errors import DataError
from modwright.evaluation.binary import LabelStatistics, Metric, Sample
from modwright.evaluation.resampling import Interval, Resampler
from modwright.evaluation.thresholds import flags
from modwright.files import write_text_atomic
from modwright.pipeline.evaluate import score
from modwright.pipeline.fitting import fit_rows
from modwright.recipe import Recipe
from modwright.schema import BoolArray, FloatArray, Input, IntArray, Schema
from modwright.serving.engine import DEFAULT_OPERATING_POINT
from modwright.settings import Settings
from modwright.training.events import Event, Stage
from modwright.training.rows import TrainingRows

RESULT = "response-use.json"
MEASURED = (Metric.ROC_AUC, Metric.F1)


class View(StrEnum):
    """What of a pair a model sees."""

    PAIR = "pair"
    PROMPT = "prompt"
    RESPONSE = "response"

    def of(self, value: Input) -> Input:
        """Return that part of an input: all turns, those before the last, or the last."""
        if self is View.PROMPT:
            return value[:-1]
        return value[-1:] if self is View.RESPONSE else value


@dataclass(frozen=True, slots=True)
class LabelUse:
    """What was found for one label.

    Attributes:
        views: view to metric to value with its interval.
        gains: view to metric to what the pair has over that view, with its interval.
    """

    target: str
    label: str
    positives: int
    views: dict[View, dict[str, Interval]]
    gains: dict[View, dict[str, Interval]]

    @property
    def is_used(self) -> bool:
        """Say whether the pair's AUC lies above the prompt's by more than chance explains."""
        low = self.gains[View.PROMPT][Metric.ROC_AUC].low
        return low is not None and low > 0


@dataclass(frozen=True, slots=True)
class ResponseUse:
    """What was found: rows with a prompt, prompts, folds, and every label that may be flagged."""

    rows: int
    prompts: int
    folds: int
    labels: tuple[LabelUse, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "rows": self.rows,
            "prompts": self.prompts,
            "folds": self.folds,
            "labels": [
                {
                    "target": found.target,
                    "label": found.label,
                    "positives": found.positives,
                    "response_is_used": found.is_used,
                    "views": _as_json(found.views),
                    "gain_of_the_pair_over": _as_json(found.gains),
                }
                for found in self.labels
            ],
        }


@dataclass(frozen=True, slots=True)
class _Judged:
    """Every row judged by fits that had not seen its prompt: target to scores and flags (N, L)."""

    scores: dict[str, FloatArray]
    flagged: dict[str, BoolArray]


def response_use(
    recipe: Recipe,
    schema: Schema,
    rows: TrainingRows,
    settings: Settings,
    *,
    number_of_folds: int,
    resamples: int,
    on_event: Callable[[Event], None],
) -> ResponseUse:
    """Train a recipe on pairs, prompts and responses by turns, and measure what the response adds.

    Args:
        rows: those of one message have no prompt and are left out.
        number_of_folds: at least 2; each costs three trainings.
        resamples: of prompts, behind the intervals.

    Raises:
        DataError: fewer than two prompts.
        RecipeError, SourceError, MissingExtraError: as training raises them.
    """
    pairs = rows.take(np.array([n for n, value in enumerate(rows.inputs) if len(value) > 1], dtype=np.int64))
    prompts = [json.dumps([[turn.role, turn.content] for turn in value[:-1]]) for value in pairs.inputs]
    if len(set(prompts)) < 2:
        raise DataError(
            f"of {len(rows.inputs)} rows {len(pairs.inputs)} have a prompt, of {len(set(prompts))} different ones",
            remedy="import pairs: --prompt COL --response COL",
        )
    pairs = TrainingRows(pairs.inputs, pairs.labels, pairs.weights, prompts)
    together = np.concatenate([pairs.labels[name] for name in schema.names], axis=1)
    number = min(number_of_folds, len(set(prompts)))
    fold = folds(prompts, together, number, recipe.seed)
    judged = {
        view: _judged(recipe, schema, _seen(pairs, view), fold, settings, f"{view}", on_event)
        for view in View
    }
    resampler = Resampler(len(prompts), prompts, resamples, recipe.seed)
    found = tuple(_labels(schema, pairs, judged, resampler))
    return ResponseUse(len(prompts), len(set(prompts)), number, found)


def _seen(rows: TrainingRows, view: View) -> TrainingRows:
    inputs = [view.of(value) for value in rows.inputs]
    return TrainingRows(inputs, rows.labels, rows.weights, rows.groups)


def _judged(
    recipe: Recipe,
    schema: Schema,
    rows: TrainingRows,
    fold: IntArray,
    settings: Settings,
    name: str,
    on_event: Callable[[Event], None],
) -> _Judged:
    scores = {target.name: np.zeros((len(rows.inputs), len(target.labels))) for target in schema}
    flagged = {target: np.zeros(values.shape, dtype=np.bool_) for target, values in scores.items()}
    number = int(fold.max()) + 1
    for part in range(number):
        on_event(Stage(f"{name}, fold {part + 1} of {number}", part, number))
        held = np.flatnonzero(fold == part)
        trained = fit_rows(
            recipe, schema, rows.take(np.flatnonzero(fold != part)), settings, on_event=on_event
        )
        point = trained.engine.operating_point(DEFAULT_OPERATING_POINT)
        found = score(trained.engine, rows.take(held).inputs)
        for target in schema:
            scores[target.name][held] = found[target.name]
            flagged[target.name][held] = flags(target, found[target.name], point.thresholds[target.name])
    return _Judged(scores, flagged)


def _labels(
    schema: Schema, rows: TrainingRows, judged: Mapping[View, _Judged], resampler: Resampler
) -> Iterator[LabelUse]:
    for target in schema:
        for label in target.flaggable:
            place = target.index(label)
            truth = rows.labels[target.name][:, place]
            known = np.flatnonzero(~np.isnan(truth))
            if not len(known):
                continue
            positives = truth[known] > schema.positive_above
            samples = {
                view: Sample(
                    one.scores[target.name][known, place],
                    truth[known],
                    positives,
                    one.flagged[target.name][known, place],
                )
                for view, one in judged.items()
            }
            views, gains = _compared(samples, known, resampler)
            yield LabelUse(target.name, label, int(positives.sum()), views, gains)


def _compared(
    samples: Mapping[View, Sample], known: IntArray, resampler: Resampler
) -> tuple[dict[View, dict[str, Interval]], dict[View, dict[str, Interval]]]:
    """Return each view's figures, and the pair's gains over the others, of the same resamples of prompts."""
    statistics = {view: LabelStatistics(sample) for view, sample in samples.items()}
    values = {view: found.at() for view, found in statistics.items()}
    drawn: dict[View, list[dict[str, FloatArray]]] = {view: [] for view in samples}
    for counts in resampler.counts():
        for view, found in statistics.items():
            drawn[view].append(found.resampled(counts[:, known]))
    resampled = {
        view: {metric: _joined([part[metric] for part in parts]) for metric in MEASURED}
        for view, parts in drawn.items()
    }
    views = {
        view: {str(m): Interval.of(values[view][m], resampled[view][m], len(known)) for m in MEASURED}
        for view in samples
    }
    gains: dict[View, dict[str, Interval]] = {
        view: {
            str(m): Interval.of(
                values[View.PAIR][m] - values[view][m],
                resampled[View.PAIR][m] - resampled[view][m],
                len(known),
            )
            for m in MEASURED
        }
        for view in samples
        if view is not View.PAIR
    }
    return views, gains


def _joined(parts: Sequence[FloatArray]) -> FloatArray:
    return np.concatenate(parts) if parts else np.zeros(0)


def _as_json(found: Mapping[View, Mapping[str, Interval]]) -> dict[str, Any]:
    return {
        str(view): {metric: value.to_json() for metric, value in of_view.items()}
        for view, of_view in found.items()
    }


def write_response_use(out: Path, found: ResponseUse, recipe_hash: str, dataset_id: str) -> Path:
    """Write response-use.json into a folder, which is made, and return its path."""
    out.mkdir(parents=True, exist_ok=True)
    data = {"dataset_id": dataset_id, "recipe_hash": recipe_hash, **found.to_json()}
    write_text_atomic(out / RESULT, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return out / RESULT
