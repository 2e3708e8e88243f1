"""An artifact against labelled rows: metrics.json and a report of one file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modwright.artifact import MANIFEST, METRICS, RECIPE, Artifact, read_artifact
from modwright.data.columnar import pl
from modwright.data.dataset import Dataset
from modwright.data.options import TRAIN
from modwright.errors import DataError, ModwrightError, UsageError
from modwright.evaluation.decisions import DecidedOn
from modwright.evaluation.metrics import SplitEvaluation, evaluate_split, metrics_json
from modwright.evaluation.scored import ScoredSplit, scored_split
from modwright.evaluation.worst import MOST_ERRORS
from modwright.files import write_text_atomic
from modwright.pipeline.proof import Checked, Finding, Measurement, Proof, ScoringProgress
from modwright.pipeline.reporting import made_report, write_report
from modwright.pipeline.rows import Aligned, Columns, aligned_rows, training_split
from modwright.recipe import load_kept_recipe
from modwright.schema import FloatArray, Input
from modwright.serving.engine import DEFAULT_OPERATING_POINT, Engine
from modwright.settings import Settings
from modwright.training.rows import TrainingRows

#: Inputs scored between two reports of progress.
_CHUNK = 256

__all__ = [
    "EvaluationResult",
    "Finding",
    "Known",
    "Measurement",
    "Proof",
    "ScoredSplit",
    "ScoringProgress",
    "evaluate",
]


@dataclass(frozen=True, slots=True)
class Known:
    """What training has just found of a split with this very model: figures, and scores target to (N, L)."""

    evaluation: SplitEvaluation
    scores: Mapping[str, FloatArray] = field(repr=False)


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """What an evaluation wrote, and what it found per split and per further measurement.

    Attributes:
        files: metrics.json, and the report as HTML, JSON and Markdown.
        failures: why parts of further measurements could not be made; each stands in the notes, too.
    """

    files: tuple[Path, ...]
    evaluations: dict[str, SplitEvaluation]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    failures: tuple[ModwrightError, ...] = ()

    @property
    def metrics(self) -> Path:
        """Return the path of metrics.json."""
        return self.files[0]

    @property
    def report(self) -> Path:
        """Return the path of the HTML report."""
        return self.files[1]


def evaluate(
    artifact_folder: Path,
    dataset: Dataset,
    out: Path,
    settings: Settings,
    *,
    splits: Sequence[str] = (),
    resamples: int | None = None,
    known: Mapping[str, Known] | None = None,
    measurements: Sequence[Measurement] = (),
    errors: int = MOST_ERRORS,
    progress: ScoringProgress | None = None,
) -> EvaluationResult:
    """Score a dataset's splits with an artifact and write metrics.json and the report: report.html, .json and .md.

    Where a further measurement fails, everything else is measured and written before its error is raised; where a part of
    one does, such as one of several other models, the error is among the result's `failures`.

    Args:
        artifact_folder: verified on load.
        dataset: with at least one target in common with the model.
        out: folder of the files, made if needed.
        splits: those to judge; without any, every split but `train`, or all if there is no other.
        resamples: bootstrap resamples, the recipe's if None.
        known: splits that training has just judged with this very model; they are not scored again.
        measurements: what is measured besides, in the order of the report.
        errors: at most so many texts that are judged wrongly are shown in report.html; none of them elsewhere.
        progress: told split, rows scored and rows in all.

    Raises:
        ArtifactError, NotFoundError, SchemaError: the artifact or dataset does not fit.
        UsageError: `out` is a file, or an artifact, whose own metrics.json would be overwritten.
    """
    _refuse_unfit(out)
    artifact = read_artifact(artifact_folder)
    engine = Engine.load(artifact_folder, artifact=artifact, threads=settings.threads, bulk=True)
    recipe = load_kept_recipe(artifact_folder / RECIPE)
    resamples = recipe.evaluation.resamples if resamples is None else resamples
    chosen = list(splits) or [name for name in dataset.splits if name != TRAIN] or list(dataset.splits)
    for measurement in measurements:
        if isinstance(measurement, Checked):
            measurement.check(dataset, chosen)
    fitted_on = frozenset([training_split(dataset)] if dataset.id == artifact.dataset_id else [])
    judged = {
        name: _judge(
            engine,
            _aligned(dataset, name, artifact),
            dataset.split(name),
            name,
            (resamples, recipe.seed),
            None if known is None else known.get(name),
            progress,
        )
        for name in chosen
    }
    evaluations = {name: evaluation for name, (_, evaluation, _) in judged.items()}
    notes = []
    for name, (_, _, told) in judged.items():
        notes += [*told, *_seen_before(name, dataset, artifact, engine.decided_on, name in fitted_on)]
    out.mkdir(parents=True, exist_ok=True)
    proof = Proof(
        folder=artifact_folder,
        artifact=artifact,
        engine=engine,
        dataset=dataset,
        splits={name: split for name, (split, _, _) in judged.items()},
        fitted_on=fitted_on,
        out=out,
        resamples=resamples,
        seed=recipe.seed,
        progress=progress,
    )
    findings, failed = _measured_more(proof, measurements)
    notes += [note for finding in findings for note in finding.notes]
    notes += map(_failure_note, failed)
    write_metrics(out / METRICS, evaluations, artifact, notes, findings)
    report = made_report(proof, recipe, evaluations, notes, findings, most_errors=errors)
    files = (out / METRICS, *write_report(out, report))
    if failed:
        raise failed[0]
    failures = tuple(error for finding in findings for error in finding.failures)
    return EvaluationResult(files, evaluations, tuple(notes), findings, failures)


def _measured_more(
    proof: Proof, measurements: Sequence[Measurement]
) -> tuple[tuple[Finding, ...], list[Exception]]:
    """Return what further measurements found, and why others failed; none takes with it what has been measured."""
    findings: list[Finding] = []
    failed: list[Exception] = []
    for measure_more in measurements:
        try:
            findings.append(measure_more(proof))
        except Exception as error:  # raised again once everything is written
            failed.append(error)
    return tuple(findings), failed


def _failure_note(error: Exception) -> str:
    told = " ".join(str(error).split()) if isinstance(error, ModwrightError) else type(error).__name__
    return f"a further measurement failed: {told}"


def _aligned(dataset: Dataset, name: str, artifact: Artifact) -> Aligned:
    aligned = aligned_rows(dataset.split(name), dataset.schema, artifact.schema)
    if not aligned.rows.inputs:
        raise DataError(f"the split '{name}' has no rows", remedy="choose another with --split")
    return aligned


def _judge(
    engine: Engine,
    aligned: Aligned,
    frame: pl.DataFrame,
    name: str,
    bootstrap: tuple[int, int],
    known: Known | None,
    progress: ScoringProgress | None,
) -> tuple[ScoredSplit, SplitEvaluation, list[str]]:
    """Return a split scored and measured, and what a reader must know of its labels; `bootstrap` is resamples and seed."""
    notes = []
    if aligned.foreign:
        notes.append(f"{name}: the model has no labels {', '.join(aligned.foreign)}; they were left out")
    if aligned.absent:
        notes.append(f"{name}: nothing is known of the model's labels {', '.join(aligned.absent)}")
    if known is not None:
        return scored_rows(name, engine, aligned.rows, known.scores, frame), known.evaluation, notes
    scores = score(engine, aligned.rows.inputs, _named(progress, name))
    split = scored_rows(name, engine, aligned.rows, scores, frame)
    return split, measured(split, *bootstrap), notes


def _seen_before(
    name: str, dataset: Dataset, artifact: Artifact, decided_on: DecidedOn | None, fitted: bool
) -> list[str]:
    """Return what a reader must know of a split that the model, or its decisions, came from."""
    notes = []
    if fitted:
        notes.append(f"{name}: the model was trained on these very rows, so these figures prove nothing")
    if decided_on is None or decided_on.split != name:
        return notes
    if (decided_on.dataset_id or artifact.dataset_id) == dataset.id:
        notes.append(
            f"{name}: calibration and thresholds were chosen on these very rows, so these figures flatter"
        )
    return notes


def _refuse_unfit(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError("is a file, the report needs a folder", where=str(out), remedy="name another --out")
    if (out / MANIFEST).is_file():
        raise UsageError(
            "is an artifact, and its own files stay as they are", where=str(out), remedy="name another --out"
        )


def measure(
    engine: Engine,
    scores: Mapping[str, FloatArray],
    rows: TrainingRows,
    resamples: int,
    seed: int,
) -> SplitEvaluation:
    """Measure calibrated scores, target to (N, L), against labelled rows."""
    return measured(scored_rows("", engine, rows, scores), resamples, seed)


def measured(split: ScoredSplit, resamples: int, seed: int) -> SplitEvaluation:
    """Measure a scored split at the operating point it was flagged at."""
    return evaluate_split(
        split.schema,
        dict(split.scores),
        dict(split.labels),
        dict(split.flagged),
        groups=list(split.groups),
        resamples=resamples,
        seed=seed,
    )


def scored_rows(
    name: str,
    engine: Engine,
    rows: TrainingRows,
    scores: Mapping[str, FloatArray],
    frame: pl.DataFrame | None = None,
) -> ScoredSplit:
    """Return rows with calibrated scores, flagged at the default operating point.

    Args:
        frame: the rows as the dataset has them, whose ids and further columns go along.
    """
    return scored_split(
        name,
        engine.schema,
        rows.inputs,
        rows.labels,
        scores,
        engine.operating_point(DEFAULT_OPERATING_POINT),
        weights=rows.weights,
        groups=rows.groups,
        ids=None if frame is None else frame["id"].to_list(),
        columns=None if frame is None else Columns(frame, engine.schema),
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
    path: Path,
    evaluations: Mapping[str, SplitEvaluation],
    artifact: Artifact | None,
    notes: Sequence[str],
    findings: Sequence[Finding] = (),
) -> None:
    """Write metrics.json; the figures stand under `splits`, everything about them and each finding beside."""
    data: dict[str, Any] = metrics_json(dict(evaluations))
    data |= {finding.key: finding.figures for finding in findings}
    if artifact is not None:
        data["artifact"] = artifact.id
    data["notes"] = list(notes)
    write_text_atomic(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _named(progress: ScoringProgress | None, name: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(name, done, total)
