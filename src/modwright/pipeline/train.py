"""A recipe and a dataset in, a proven artifact folder out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modwright import artifact as layout
from modwright.artifact import Artifact, BaseIdentity, read_artifact
from modwright.catalog import Progress, fetch_base
from modwright.data.dataset import Dataset
from modwright.errors import ModwrightError
from modwright.evaluation.metrics import SplitEvaluation
from modwright.files import has_leftovers, refuse_unfit, staged_folder
from modwright.models.features import Progress as EmbeddingProgress
from modwright.pipeline.bases import local_folder
from modwright.pipeline.deciding import on_calibration_split
from modwright.pipeline.evaluate import Known, measure, score
from modwright.pipeline.families import Prepared, prepare
from modwright.pipeline.rows import rows_of, training_split
from modwright.pipeline.run_folder import CHECKPOINTS, open_run, run_folder_of, settle
from modwright.pipeline.torchrun import meet, shows
from modwright.pipeline.verify import verify_reload
from modwright.pipeline.writing import engine_of, parts_of, probe, recipe_hash, write_artifact
from modwright.recipe import Recipe
from modwright.serving.engine import Engine
from modwright.serving.stored_decisions import read_calibration
from modwright.settings import Settings
from modwright.training.events import Event, Stage, Warned, follow
from modwright.training.fitted import CALIBRATION, VALIDATION, Fitted
from modwright.training.rows import TrainingRows


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished run.

    Attributes:
        folder: of the artifact.
        artifact: what its manifest says.
        known: figures and scores per split, and `out_of_fold`; empty where the artifact was there already.
        unchanged: the same recipe and data had been trained into this folder before.
    """

    folder: Path
    artifact: Artifact
    known: dict[str, Known]
    unchanged: bool = False

    @property
    def evaluations(self) -> dict[str, SplitEvaluation]:
        """Return the figures per split."""
        return {name: known.evaluation for name, known in self.known.items()}


def train(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    settings: Settings,
    *,
    on_event: Callable[[Event], None],
    progress: Progress | None = None,
    embedding_progress: EmbeddingProgress | None = None,
    replace: bool = False,
) -> TrainResult:
    """Train, evaluate, save, and prove that a fresh process gives the same scores; only then does `out` appear.

    The same command after a kill at any moment gives the same artifact. Where `out` holds the artifact of this very
    recipe and dataset already, it is left as it is.

    Raises:
        UsageError: `out` holds something else and `replace` is not set, or something that is no artifact.
        DataError, RecipeError, SourceError, IntegrityError: as the stages raise them.
    """
    there = _already_trained(recipe, dataset, out, settings)
    if there is not None and not has_leftovers(out):
        if shows():
            settle(out)
        return TrainResult(out, there, {}, unchanged=True)
    refuse_unfit(out, replace=replace or there is not None, only=layout.MANIFEST)
    prepared = prepare(recipe, dataset.schema, settings, progress=progress, on_event=on_event)
    split = training_split(dataset)
    rows = rows_of(dataset.splits[split], dataset.schema)
    others = {name: rows_of(frame, dataset.schema) for name, frame in dataset.splits.items() if name != split}
    if not shows():
        return _trained_along(prepared, rows, others.get(VALIDATION), out)
    with open_run(out, _run_identity(recipe, dataset, prepared.identities), recipe, on_event) as run:
        events = prepared.fit(rows, others.get(VALIDATION), run.checkpoints, embedding_progress)
        fitted = follow(events, run.on_event)
        fitted = on_calibration_split(recipe, fitted, others.get(CALIBRATION), run.on_event)
        for note in fitted.decisions.notes:
            run.on_event(Warned(note))
        with staged_folder(out, replace=replace or out.exists(), only=layout.MANIFEST) as staging:
            engine = engine_of(fitted)
            known = _evaluated(recipe, engine, fitted, others, on_event)
            parts = parts_of(
                fitted,
                out.name,
                recipe,
                prepared.identities,
                counts={name: len(frame) for name, frame in dataset.splits.items()},
                evaluations={name: found.evaluation for name, found in known.items()},
                dataset_id=dataset.id,
            )
            artifact = write_artifact(staging, parts)
            on_event(Stage("reload in a fresh process"))
            verify_reload(staging, engine, probe(rows.inputs, *(other.inputs for other in others.values())))
        run.finish()
    meet()
    return TrainResult(out, artifact, known)


def _trained_along(
    prepared: Prepared, rows: TrainingRows, validation: TrainingRows | None, out: Path
) -> TrainResult:
    """Train in a process beside the first, which shows and writes; wait for its artifact and return that."""
    events = prepared.fit(rows, validation, run_folder_of(out) / CHECKPOINTS, None)
    follow(events, lambda event: None)
    meet()
    return TrainResult(out, read_artifact(out), {})


def _run_identity(recipe: Recipe, dataset: Dataset, bases: tuple[BaseIdentity, ...]) -> dict[str, Any]:
    """Return what a run is the training of; a run folder of another identity is not gone on with."""
    return {
        "recipe_hash": recipe_hash(recipe),
        "dataset_id": dataset.id,
        "bases": [[base.weights_sha256, base.tokenizer_sha256] for base in bases],
    }


def _already_trained(recipe: Recipe, dataset: Dataset, out: Path, settings: Settings) -> Artifact | None:
    """Return the artifact that `out` holds if it came of this very recipe, dataset and local bases."""
    if not (out / layout.MANIFEST).is_file():
        return None
    try:
        artifact = read_artifact(out)
    except ModwrightError:
        return None
    same = artifact.dataset_id == dataset.id and artifact.recipe_hash == recipe_hash(recipe)
    same = same and _decided_by_training(out, artifact)
    return artifact if same and _same_local_bases(recipe, artifact, settings) else None


def _decided_by_training(out: Path, artifact: Artifact) -> bool:
    """Say whether a training chose the decisions, not `modwright decide` on rows of its own."""
    try:
        _, decided_on = read_calibration(out, artifact.schema)
    except ModwrightError:
        return False
    return decided_on is None or not decided_on.dataset_id


def _same_local_bases(recipe: Recipe, artifact: Artifact, settings: Settings) -> bool:
    """Say whether the folders of the user's own hold the very bytes that the artifact was made from."""
    for name, made in zip(recipe.base_names, artifact.bases, strict=True):
        if local_folder(name) is None:
            continue
        found = fetch_base(name, settings)
        if (found.weights_sha256, found.tokenizer_sha256) != (made.weights_sha256, made.tokenizer_sha256):
            return False
    return True


def _evaluated(
    recipe: Recipe,
    engine: Engine,
    fitted: Fitted,
    others: dict[str, TrainingRows],
    on_event: Callable[[Event], None],
) -> dict[str, Known]:
    resamples, seed = recipe.evaluation.resamples, recipe.seed
    on_event(Stage("evaluate", 0, len(others) + 1))
    unseen = fitted.unseen
    evaluation = measure(engine, unseen.scores, unseen.rows, resamples, seed)
    found = {unseen.name: Known(evaluation, unseen.scores)}
    for number, (name, other) in enumerate(others.items()):
        on_event(Stage("evaluate", number + 1, len(others) + 1))
        if other.inputs and name not in found:
            scores = score(engine, other.inputs)
            found[name] = Known(measure(engine, scores, other, resamples, seed), scores)
    return found
