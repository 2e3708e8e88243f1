"""An artifact against labelled rows: metrics.json and a report of one file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modwright.artifact import MANIFEST, METRICS, RECIPE, Artifact, read_artifact
from modwright.data.dataset import Dataset
from modwright.data.options import TRAIN
from modwright.errors import DataError, UsageError
from modwright.evaluation.metrics import SplitEvaluation, evaluate_split, metrics_json
from modwright.evaluation.report import render_report
from modwright.evaluation.thresholds import flags
from modwright.files import write_text_atomic
from modwright.pipeline.rows import aligned_rows, training_split
from modwright.recipe import FrozenRecipe, ImportRecipe, KeptRecipe, load_kept_recipe
from modwright.schema import FloatArray, Input
from modwright.serving.engine import DEFAULT_OPERATING_POINT, Engine
from modwright.settings import Settings
from modwright.training.rows import TrainingRows

REPORT = "report.html"
#: Inputs scored between two reports of progress.
_CHUNK = 256

ScoringProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """What an evaluation wrote, and what it found per split."""

    metrics: Path
    report: Path
    evaluations: dict[str, SplitEvaluation]
    notes: tuple[str, ...]


def evaluate(
    artifact_folder: Path,
    dataset: Dataset,
    out: Path,
    settings: Settings,
    *,
    splits: Sequence[str] = (),
    resamples: int | None = None,
    known: Mapping[str, SplitEvaluation] | None = None,
    progress: ScoringProgress | None = None,
) -> EvaluationResult:
    """Score a dataset's splits with an artifact and write metrics.json and report.html.

    Args:
        artifact_folder: verified on load.
        dataset: with at least one target in common with the model.
        out: folder of the two files, made if needed.
        splits: those to judge; without any, every split but `train`, or all if there is no other.
        resamples: bootstrap resamples, the recipe's if None.
        known: evaluations of splits that training has just made with this very model; they are not scored again.
        progress: told split, rows scored and rows in all.

    Raises:
        ArtifactError, NotFoundError, SchemaError: the artifact or dataset does not fit.
        UsageError: `out` is a file, or an artifact, whose own metrics.json would be overwritten.
    """
    _refuse_unfit(out)
    artifact = read_artifact(artifact_folder)
    engine = Engine.load(artifact_folder, artifact=artifact, threads=settings.threads, bulk=True)
    recipe = load_kept_recipe(artifact_folder / RECIPE)
    chosen = list(splits) or [name for name in dataset.splits if name != TRAIN] or list(dataset.splits)
    resamples = recipe.evaluation.resamples if resamples is None else resamples
    fitted_on = {training_split(dataset)} if dataset.id == artifact.dataset_id else set()
    evaluations: dict[str, SplitEvaluation] = {}
    notes: list[str] = []
    for name in chosen:
        aligned = aligned_rows(dataset.split(name), dataset.schema, artifact.schema)
        if not aligned.rows.inputs:
            raise DataError(f"the split '{name}' has no rows", remedy="choose another with --split")
        if aligned.foreign:
            notes.append(f"{name}: the model has no labels {', '.join(aligned.foreign)}; they were left out")
        if aligned.absent:
            notes.append(f"{name}: nothing is known of the model's labels {', '.join(aligned.absent)}")
        if name in fitted_on:
            notes.append(f"{name}: the model was trained on these very rows, so these figures prove nothing")
        if known is not None and name in known:
            evaluations[name] = known[name]
            continue
        evaluations[name] = judge_rows(engine, aligned.rows, resamples, recipe.seed, _named(progress, name))
    facts = report_facts(
        artifact, recipe, resamples, {"rows": {name: len(dataset.split(name)) for name in chosen}}, notes
    )
    out.mkdir(parents=True, exist_ok=True)
    write_metrics(out / METRICS, evaluations, artifact, notes)
    point = engine.operating_point(DEFAULT_OPERATING_POINT)
    html = render_report(
        f"Evaluation of {artifact_folder.name}", evaluations, artifact.schema, point, facts, fitted_on
    )
    write_text_atomic(out / REPORT, html)
    return EvaluationResult(out / METRICS, out / REPORT, evaluations, tuple(notes))


def _refuse_unfit(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError("is a file, the report needs a folder", where=str(out), remedy="name another --out")
    if (out / MANIFEST).is_file():
        raise UsageError(
            "is an artifact, and its own files stay as they are", where=str(out), remedy="name another --out"
        )


def judge_rows(
    engine: Engine,
    rows: TrainingRows,
    resamples: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> SplitEvaluation:
    """Score rows with an engine and measure them at the default operating point."""
    return measure(engine, score(engine, rows.inputs, progress), rows, resamples, seed)


def measure(
    engine: Engine,
    scores: Mapping[str, FloatArray],
    rows: TrainingRows,
    resamples: int,
    seed: int,
) -> SplitEvaluation:
    """Measure calibrated scores, target to (N, L), against labelled rows."""
    point = engine.operating_point(DEFAULT_OPERATING_POINT)
    flagged = {
        target.name: flags(target, scores[target.name], point.thresholds[target.name])
        for target in engine.schema
    }
    return evaluate_split(
        engine.schema,
        dict(scores),
        dict(rows.labels),
        flagged,
        groups=list(rows.groups),
        resamples=resamples,
        seed=seed,
    )


def score(
    engine: Engine, inputs: Sequence[Input], progress: Callable[[int, int], None] | None = None
) -> dict[str, FloatArray]:
    """Return calibrated scores, target to (N, L), computed in chunks."""
    parts: list[dict[str, FloatArray]] = []
    for begin in range(0, len(inputs), _CHUNK):
        parts.append(engine.calibrated(inputs[begin : begin + _CHUNK]).values)
        if progress is not None:
            progress(min(begin + _CHUNK, len(inputs)), len(inputs))
    return {target.name: np.concatenate([part[target.name] for part in parts]) for target in engine.schema}


def write_metrics(
    path: Path, evaluations: Mapping[str, SplitEvaluation], artifact: Artifact | None, notes: Sequence[str]
) -> None:
    """Write metrics.json; the figures stand under `splits`, everything about them beside."""
    data: dict[str, Any] = metrics_json(dict(evaluations))
    if artifact is not None:
        data["artifact"] = artifact.id
    data["notes"] = list(notes)
    write_text_atomic(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def report_facts(
    artifact: Artifact, recipe: KeptRecipe, resamples: int, data: Mapping[str, Any], notes: Sequence[str]
) -> dict[str, Any]:
    """Return what the report says of data and recipe, in reading order."""
    return {
        "Model": {
            "artifact": artifact.id[:16],
            "family": artifact.family,
            "bases": [f"{base.name} ({base.licence})" for base in artifact.bases],
            "trained on dataset": artifact.dataset_id[:16],
        },
        "Evaluated": dict(data),
        "Recipe": {"seed": recipe.seed, **_choices(recipe), "bootstrap resamples": resamples},
        **({"Notes": list(notes)} if notes else {}),
    }


def _choices(recipe: KeptRecipe) -> dict[str, Any]:
    """Return what of a recipe a reader of the report asks for first."""
    if isinstance(recipe, ImportRecipe):
        return {
            "brought in": recipe.base.name,
            "pairs as": recipe.input.pair,
            "threshold": recipe.decision.threshold,
        }
    if isinstance(recipe, FrozenRecipe):
        return {
            "layers": [f"{base.name}: {', '.join(map(str, base.layers))}" for base in recipe.bases],
            "heads tried": list(recipe.head.kinds),
            "folds": recipe.head.folds,
        }
    held = recipe.validation
    chosen = f"{held.folds} folds" if held.method == "folds" else "a held-out part"
    return {
        "epochs": recipe.training.epochs,
        "learning rate": recipe.optimizer.learning_rate,
        "calibration and thresholds from": chosen,
    }


def _named(progress: ScoringProgress | None, name: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(name, done, total)
