"""What the benchmarks of fine-tuned families share: train on rows in memory, watch the losses, measure unseen rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common import rounded, silent
from modwright.evaluation.metrics import SplitEvaluation, evaluate_split
from modwright.evaluation.thresholds import flags
from modwright.pipeline.families import prepare
from modwright.pipeline.run_folder import curves_of
from modwright.recipe import Recipe
from modwright.render.losses import draw_losses
from modwright.schema import FloatArray, Input, Schema
from modwright.settings import load_settings
from modwright.training.event_log import EventLog
from modwright.training.events import Event, Looked, Resumed, RunStarted, Warned, follow
from modwright.training.fitted import Fitted
from modwright.training.rows import TrainingRows
from modwright.training.selection import document_log_loss


class Watch:
    """Takes a training's events: keeps them in a file beside its checkpoints, and prints a line per look."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = EventLog(folder / "events.jsonl")

    def __call__(self, event: Event) -> None:
        """Take one event."""
        self._log.add(event)
        if isinstance(event, RunStarted):
            print(f"  {event.name}: at most {event.steps} steps", flush=True)
        elif isinstance(event, Looked):
            mark = " (best so far)" if event.best else ""
            print(f"  epoch {event.epoch:.2f}: validation loss {event.loss:.4f}{mark}", flush=True)
        elif isinstance(event, Resumed | Warned):
            print(f"  {event}", flush=True)

    @property
    def looks(self) -> list[dict[str, Any]]:
        """Return every look in order: run, step, epoch, validation loss, whether it was the best so far."""
        return [
            {
                "run": line.run,
                "step": line.step,
                "epoch": rounded(line.data["epoch"], 3),
                "loss": rounded(line.data["loss"], 5),
                "best": line.data["best"],
            }
            for line in self._log.lines
            if line.kind == "looked"
        ]

    @property
    def work(self) -> dict[str, float]:
        """Return steps, tokens (without padding) and seconds of all runs' steps, looks left out."""
        steps = [line.data for line in self._log.lines if line.kind == "step"]
        tokens, seconds = sum(one["tokens"] for one in steps), sum(one["seconds"] for one in steps)
        rate = {"tokens_per_second": round(tokens / seconds)} if seconds else {}
        return {"steps": len(steps), "tokens": tokens, "step_seconds": round(seconds, 1), **rate}

    def draw(self, title: str, paths: Sequence[Path]) -> None:
        """Draw training and validation losses of every run."""
        draw_losses(curves_of(self._log.lines), title, paths)


def fit(
    recipe: Recipe,
    schema: Schema,
    rows: TrainingRows,
    watch: Watch,
    *,
    validation: TrainingRows | None = None,
    checkpoints: Path | None = None,
) -> Fitted:
    """Train a recipe of any family on rows in memory."""
    prepared = prepare(recipe, schema, load_settings(), on_event=silent)
    return follow(prepared.fit(rows, validation, checkpoints, None), watch)


def calibrated(fitted: Fitted, inputs: Sequence[Input], batch: int = 256) -> dict[str, FloatArray]:
    """Return target to (N, L) calibrated scores of inputs, as the saved model would answer."""
    parts = [
        fitted.classifier.predict_proba(inputs[start : start + batch]).values
        for start in range(0, len(inputs), batch)
    ]
    return {
        name: calibration.apply(np.concatenate([part[name] for part in parts]))
        for name, calibration in fitted.calibration.items()
    }


def measured(
    schema: Schema, fitted: Fitted, rows: TrainingRows, scores: Mapping[str, FloatArray], resamples: int
) -> SplitEvaluation:
    """Measure calibrated scores at the thresholds that training chose."""
    thresholds = fitted.operating_point.thresholds
    flagged = {target.name: flags(target, scores[target.name], thresholds[target.name]) for target in schema}
    return evaluate_split(
        schema, dict(scores), dict(rows.labels), flagged, groups=list(rows.groups), resamples=resamples
    )


def base_rate_loss(schema: Schema, train: TrainingRows, held_out: TrainingRows) -> float:
    """Return the validation loss of who knows nothing but each label's mean on the training rows."""
    losses = []
    for target in schema:
        truth = held_out.labels[target.name]
        rates = np.broadcast_to(np.nanmean(train.labels[target.name], axis=0), truth.shape)
        losses.append(document_log_loss(target, rates, truth, held_out.weights))
    return float(np.mean(losses))
