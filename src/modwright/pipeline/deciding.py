"""Decisions chosen on labelled rows of one's own: after a training, or for an artifact that is there, without training.

A model's scores rank texts; what they are turned into (probabilities, flags, a person's work) depends on how common the
harmful ones are and on what a mistake costs. Both change more often than the model has to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from modwright import artifact as layout
from modwright.artifact import Artifact, read_artifact, write_manifest
from modwright.data.dataset import Dataset
from modwright.errors import DataError, RecipeError, UsageError
from modwright.evaluation.decisions import DecidedOn, Decisions, decide
from modwright.evaluation.deployment import stated_prevalence
from modwright.evaluation.metrics import SplitEvaluation
from modwright.files import link_or_copy, refuse_unfit, staged_folder, write_text_atomic
from modwright.pipeline.card import decided_card
from modwright.pipeline.evaluate import measure, write_metrics
from modwright.pipeline.rows import aligned_rows, training_split
from modwright.pipeline.verify import verify_reload
from modwright.pipeline.writing import probe, recipe_hash, write_decisions
from modwright.recipe import DECISION_SECTIONS, KeptRecipe, Recipe, load_kept_recipe
from modwright.schema import Classifier, FloatArray, Input
from modwright.serving.engine import Engine
from modwright.settings import Settings
from modwright.training.events import Event, Stage
from modwright.training.fitted import CALIBRATION, Fitted, decided
from modwright.training.rows import TrainingRows

#: Inputs scored between two events.
_CHUNK = 256
_TEST = "test"
#: Files that say what was decided, or what follows from it; all others are taken over.
_WRITTEN_AGAIN = (layout.CALIBRATION, layout.THRESHOLDS, layout.METRICS, layout.RECIPE, layout.CARD)


@dataclass(frozen=True, slots=True)
class DecideResult:
    """An artifact whose decisions were chosen anew.

    Attributes:
        folder: of the new artifact.
        before: id of the one that it came from.
        evaluation: of the rows that were decided on; it flatters.
    """

    folder: Path
    artifact: Artifact
    before: str
    decisions: Decisions
    evaluation: SplitEvaluation


def on_calibration_split(
    recipe: Recipe, fitted: Fitted, rows: TrainingRows | None, on_event: Callable[[Event], None]
) -> Fitted:
    """Return a training's fit with its decisions chosen on the dataset's split `calibration`; as it is without one.

    Nothing else was chosen on those rows, and the model as it is scores them: no fold's stand-in.

    Raises:
        RecipeError: a deployment prevalence that does not fit labels or rows.
    """
    if rows is None or not rows.inputs:
        return fitted
    scores = raw_scores(fitted.classifier, rows.inputs, on_event)
    decisions, unseen = decided(recipe, fitted.classifier.schema, CALIBRATION, rows, scores)
    return replace(fitted, decisions=decisions, unseen=unseen)


def decide_artifact(
    artifact_folder: Path,
    dataset: Dataset,
    out: Path,
    settings: Settings,
    *,
    split: str | None = None,
    overrides: Sequence[str] = (),
    on_event: Callable[[Event], None],
    replace: bool = False,
) -> DecideResult:
    """Choose calibration, operating points and review band anew and write an artifact with another id; no training.

    Args:
        artifact_folder: verified on load; it stays as it is.
        dataset: with every label of the model.
        out: folder of the new artifact.
        split: of the rows; without one `calibration`, or the only one.
        overrides: `key=value` of the sections calibration, deployment, operating_points and review; what they leave is
            as the artifact's recipe says.
        replace: whether another artifact in `out` may be replaced.

    Raises:
        ArtifactError, NotFoundError, SchemaError: artifact or dataset do not fit.
        RecipeError: an override of another section, or a prevalence that does not fit labels or rows.
        UsageError: rows that a model is proven on or was trained on, or an unfit `out`.
        DataError: no rows, or no row that says anything of a label.
    """
    artifact = read_artifact(artifact_folder)
    recipe = _recipe(artifact_folder, overrides)
    stated_prevalence(recipe, artifact.schema)
    _refuse_unfit(out, artifact_folder, replace)
    name = _split(dataset, split, artifact)
    rows = _rows(dataset, name, artifact)
    engine = Engine.load(artifact_folder, artifact=artifact, threads=settings.threads, bulk=True)
    scores = raw_scores(engine.classifier, rows.inputs, on_event)
    on_event(Stage("calibrate"))
    decisions = decide(
        recipe,
        artifact.schema,
        scores,
        rows.labels,
        weights=rows.weights,
        groups=rows.groups,
        decided_on=DecidedOn(name, len(rows.inputs), dataset.id),
    )
    judging = Engine.of("in decision", engine.classifier, decisions)
    evaluation = measure(
        judging, decisions.calibrated(scores), rows, recipe.evaluation.resamples, recipe.seed
    )
    with staged_folder(out, replace=replace, only=layout.MANIFEST) as staging:
        made = _write(staging, artifact_folder, artifact, out.name, recipe, decisions, name, evaluation)
        on_event(Stage("reload in a fresh process"))
        verify_reload(staging, judging, probe(rows.inputs))
    return DecideResult(out, made, artifact.id, decisions, evaluation)


def raw_scores(
    classifier: Classifier, inputs: Sequence[Input], on_event: Callable[[Event], None]
) -> dict[str, FloatArray]:
    """Return a classifier's scores, target to (N, L), uncalibrated, in chunks; N is at least 1."""
    parts = []
    for begin in range(0, len(inputs), _CHUNK):
        on_event(Stage("score the rows that calibrate", begin, len(inputs)))
        parts.append(classifier.predict_proba(inputs[begin : begin + _CHUNK]).values)
    return {name: np.concatenate([part[name] for part in parts]) for name in classifier.schema.names}


def _recipe(folder: Path, overrides: Sequence[str]) -> KeptRecipe:
    """Return the artifact's recipe with overrides of its decisions."""
    before = load_kept_recipe(folder / layout.RECIPE)
    after = load_kept_recipe(folder / layout.RECIPE, overrides)
    changed = [key for key in type(before).model_fields if getattr(before, key) != getattr(after, key, None)]
    for key in changed:
        if type(after) is not type(before) or key not in DECISION_SECTIONS:
            raise RecipeError(
                f"{f'[{key}]' if isinstance(getattr(before, key), BaseModel) else key} is not a decision that can be "
                "made anew without training",
                where=" ".join(overrides),
                remedy=f"change {', '.join(DECISION_SECTIONS)}, or train again",
            )
    return after


def _refuse_unfit(out: Path, artifact_folder: Path, replace: bool) -> None:
    there = artifact_folder.resolve()
    if there in (out.resolve(), *out.resolve().parents):
        raise UsageError(
            f"is {'the artifact itself' if out.resolve() == there else 'inside the artifact'}, which stays as it is",
            where=str(out),
            remedy="name another --out",
        )
    refuse_unfit(out, replace=replace, only=layout.MANIFEST)


def _split(dataset: Dataset, asked: str | None, artifact: Artifact) -> str:
    """Return the split to decide on; never one whose scores or figures it would make untrue."""
    known = list(dataset.splits)
    name = asked
    if name is None:
        name = CALIBRATION if CALIBRATION in known else known[0] if len(known) == 1 else None
    if name is None:
        raise UsageError(
            f"the dataset has the splits {', '.join(known)}",
            remedy="say which one to decide on: --split NAME",
        )
    dataset.split(name)
    if name == _TEST:
        raise UsageError(
            "decisions that were chosen on the test split prove nothing on it",
            where="--split test",
            remedy="name another split, or import those rows as `calibration`",
        )
    if dataset.id == artifact.dataset_id and name == training_split(dataset):
        raise UsageError(
            "the model was trained on these very rows, and is surer of them than of any others",
            where=f"--split {name}",
            remedy="name another split; training has decided out of fold already",
        )
    return name


def _rows(dataset: Dataset, name: str, artifact: Artifact) -> TrainingRows:
    aligned = aligned_rows(dataset.split(name), dataset.schema, artifact.schema)
    if not aligned.rows.inputs:
        raise DataError(f"the split '{name}' has no rows", remedy="choose another with --split")
    unknown = [
        f"{target.name}/{label}"
        for target in artifact.schema
        for place, label in enumerate(target.labels)
        if np.isnan(aligned.rows.labels[target.name][:, place]).all()
    ]
    if unknown:
        raise DataError(
            f"the split '{name}' says nothing of the model's labels {', '.join(unknown)}",
            remedy="decide on rows that know every label; map others with `modwright data import --rename`",
        )
    return aligned.rows


def _write(
    staging: Path,
    source: Path,
    artifact: Artifact,
    name: str,
    recipe: KeptRecipe,
    decisions: Decisions,
    split: str,
    evaluation: SplitEvaluation,
) -> Artifact:
    """Write the artifact: the model's files linked, the decisions and what is told of them new."""
    for file in artifact.files:
        if file not in _WRITTEN_AGAIN:
            link_or_copy(source / file, staging / file)
    write_decisions(staging, decisions)
    evaluations = {split: evaluation}
    write_metrics(staging / layout.METRICS, evaluations, None, ())
    write_text_atomic(staging / layout.RECIPE, recipe.to_toml())
    card = decided_card(name, artifact, recipe.family, evaluations, decisions, split)
    write_text_atomic(staging / layout.CARD, card)
    return write_manifest(
        staging,
        family=artifact.family,
        schema=artifact.schema,
        bases=artifact.bases,
        dataset_id=artifact.dataset_id,
        recipe_hash=recipe_hash(recipe),
        packages=artifact.packages,
    )
