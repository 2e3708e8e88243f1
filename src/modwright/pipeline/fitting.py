"""A recipe and rows in memory in, a model out; what the faces use that have no dataset folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from modwright import artifact as layout
from modwright.artifact import Artifact, BaseIdentity
from modwright.catalog import Progress
from modwright.files import staged_folder
from modwright.models.features import Progress as EmbeddingProgress
from modwright.pipeline.evaluate import measure
from modwright.pipeline.families import prepare
from modwright.pipeline.verify import verify_reload
from modwright.pipeline.writing import engine_of, parts_of, probe, write_artifact
from modwright.recipe import Recipe
from modwright.schema import Schema
from modwright.serving.engine import Engine
from modwright.settings import Settings
from modwright.training.events import Event, follow
from modwright.training.fitted import Fitted
from modwright.training.rows import TrainingRows


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that was trained on rows in memory.

    Attributes:
        recipe: as it was run.
        rows: that it was trained on.
        identities: of its bases.
        fitted: classifier, calibration, thresholds and the unseen rows they were chosen on.
        engine: the same, ready to judge.
    """

    recipe: Recipe
    rows: TrainingRows
    identities: tuple[BaseIdentity, ...]
    fitted: Fitted
    engine: Engine


def fit_rows(
    recipe: Recipe,
    schema: Schema,
    rows: TrainingRows,
    settings: Settings,
    *,
    validation: TrainingRows | None = None,
    checkpoints: Path | None = None,
    on_event: Callable[[Event], None],
    progress: Progress | None = None,
    embedding_progress: EmbeddingProgress | None = None,
) -> Trained:
    """Train a recipe of any family on rows.

    Args:
        recipe: whose bases are fetched and opened here.
        schema: of the rows' labels.
        rows: at least as many groups as two folds need.
        validation: a part held out already, for recipes that use one.
        checkpoints: folder from which a killed run goes on; None keeps none.

    Raises:
        DataError, RecipeError, SourceError, IntegrityError, MissingExtraError: as the stages raise them.
    """
    prepared = prepare(recipe, schema, settings, progress=progress, on_event=on_event)
    fitted = follow(prepared.fit(rows, validation, checkpoints, embedding_progress), on_event)
    return Trained(recipe, rows, prepared.identities, fitted, engine_of(fitted))


def save_trained(
    trained: Trained,
    folder: Path,
    *,
    replace: bool = False,
    beside: Callable[[Path], None] | None = None,
) -> Artifact:
    """Write the model as an artifact and prove that a fresh process gives its scores.

    Args:
        folder: it appears whole, or not at all.
        replace: whether another artifact there may be replaced.
        beside: writes more files into the folder, before its manifest.

    Raises:
        UsageError: the folder holds something else.
        IntegrityError: a fresh process gives other scores.
    """
    recipe, fitted = trained.recipe, trained.fitted
    unseen = fitted.unseen
    evaluation = measure(trained.engine, unseen.scores, unseen.rows, recipe.evaluation.resamples, recipe.seed)
    with staged_folder(folder, replace=replace, only=layout.MANIFEST) as staging:
        if beside is not None:
            beside(staging)
        parts = parts_of(
            fitted,
            folder.name,
            recipe,
            trained.identities,
            counts={"train": len(trained.rows.inputs)},
            evaluations={unseen.name: evaluation},
            dataset_id=rows_id(trained.engine.schema, trained.rows),
        )
        artifact = write_artifact(staging, parts)
        verify_reload(staging, trained.engine, probe(trained.rows.inputs))
    return artifact


def rows_id(schema: Schema, rows: TrainingRows) -> str:
    """Return the sha256 of schema and rows: inputs, labels, weights and groups, in order."""
    digest = sha256(json.dumps(schema.to_json(), sort_keys=True).encode())
    for value, group in zip(rows.inputs, rows.groups, strict=True):
        turns = [[message.role, message.content] for message in value]
        digest.update(json.dumps([turns, group]).encode())
    for values in (*(rows.labels[name] for name in schema.names), rows.weights):
        digest.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
    return digest.hexdigest()
