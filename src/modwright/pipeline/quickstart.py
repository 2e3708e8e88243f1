"""The main job on real input, in one function: fetch, import, split by prompt, train, evaluate."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modwright.catalog import Progress, fetch_data
from modwright.data.dataset import Dataset, write_dataset
from modwright.data.importing import load_dataset
from modwright.data.options import ImportOptions
from modwright.data.resplit import resplit
from modwright.models.features import Progress as EmbeddingProgress
from modwright.pipeline.evaluate import EvaluationResult, ScoringProgress, evaluate
from modwright.pipeline.pairs import PairSummary, read_pyrit
from modwright.pipeline.train import TrainResult, train
from modwright.recipe import load_recipe
from modwright.settings import Settings
from modwright.training.events import Event, Stage

DATA_SET = "pyrit"
RECIPE = "fast"
#: Prompts held out; with 390 prompts, more would starve training and less would prove nothing.
FRACTIONS = {"train": 0.7, "test": 0.3}


@dataclass(frozen=True, slots=True)
class Quickstart:
    """What the quickstart made and found."""

    pairs: PairSummary
    dataset: Dataset
    data_folder: Path
    trained: TrainResult
    evaluation: EvaluationResult


def quickstart(
    settings: Settings,
    *,
    on_event: Callable[[Event], None],
    progress: Progress | None = None,
    embedding_progress: EmbeddingProgress | None = None,
    scoring_progress: ScoringProgress | None = None,
) -> Quickstart:
    """Train and prove a classifier of prompt/response pairs under `<home>/quickstart`; works offline with a warm cache.

    Duplicate pairs are dropped, and every row of a prompt stays on one side of the split. Two targets are trained: the
    pooled `harmful`, and the eight categories, of which a row knows only the one it was scored for.

    Raises:
        SourceError, IntegrityError: the data or the base cannot be had.
    """
    folder = settings.home / "quickstart"
    on_event(Stage("fetch data"))
    pairs = read_pyrit(fetch_data(DATA_SET, settings, progress=progress))
    recipe = load_recipe(RECIPE)
    dataset = resplit(_imported(pairs.records), FRACTIONS, recipe.seed)
    data_folder = write_dataset(dataset, folder / "data", replace=True)
    trained = train(
        recipe,
        dataset,
        folder / "model",
        settings,
        on_event=on_event,
        progress=progress,
        embedding_progress=embedding_progress,
        replace=True,
    )
    on_event(Stage("score the test split"))
    evaluation = evaluate(
        trained.folder,
        dataset,
        folder / "evaluation",
        settings,
        known=trained.known,
        progress=scoring_progress,
    )
    return Quickstart(pairs.summary, dataset, data_folder, trained, evaluation)


def _imported(records: list[dict[str, object]]) -> Dataset:
    """Read records through the very reader that a user's JSONL file goes through."""
    with tempfile.TemporaryDirectory(prefix="modwright-") as folder:
        path = Path(folder) / "pairs.jsonl"
        with path.open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        return load_dataset(ImportOptions(sources=(str(path),), out=Path(folder) / "unused")).dataset
