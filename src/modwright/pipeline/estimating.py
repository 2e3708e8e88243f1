"""What training a recipe on a dataset will take: the very data and bases, a short probe, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modwright.catalog import Progress, fetch_base
from modwright.data.dataset import Dataset
from modwright.errors import UsageError
from modwright.files import read_json
from modwright.pipeline.bases import open_bases
from modwright.pipeline.families import prepare
from modwright.pipeline.rows import rows_of, training_split
from modwright.pipeline.torchrun import processes_of
from modwright.recipe import CausalRecipe, FrozenRecipe, Recipe
from modwright.settings import Settings
from modwright.training.arithmetic import DecoderShape, checkpoint_bytes, footprint
from modwright.training.estimate import Estimate
from modwright.training.events import Event, follow
from modwright.training.fitted import VALIDATION
from modwright.training.rows import TrainingRows


def estimate(
    recipe: Recipe,
    dataset: Dataset,
    settings: Settings,
    *,
    on_event: Callable[[Event], None],
    progress: Progress | None = None,
) -> Estimate:
    """Return what `train` with the same recipe and dataset will take.

    Bases are fetched and exported into the cache as training would; nothing else is written.

    Raises:
        DataError, RecipeError, SourceError, IntegrityError, MissingExtraError: as `train` would.
        UsageError: the model is sharded over several processes; the message says what each takes.
    """
    split = training_split(dataset)
    rows = rows_of(dataset.splits[split], dataset.schema)
    others = {name: rows_of(frame, dataset.schema) for name, frame in dataset.splits.items() if name != split}
    if isinstance(recipe, FrozenRecipe):
        return _frozen(recipe, dataset, rows, list(others.values()), settings, on_event, progress)
    from modwright.training.speed import estimate_tuned

    prepared = prepare(recipe, dataset.schema, settings, progress=progress, on_event=on_event)
    assert prepared.family is not None
    if isinstance(recipe, CausalRecipe) and processes_of(recipe) > 1:
        raise _not_probed(recipe, dataset, fetch_base(recipe.base.name, settings).path)
    events = estimate_tuned(
        recipe,
        dataset.schema,
        rows,
        prepared.family,
        validation=others.get(VALIDATION),
        scored_rows=sum(len(some.inputs) for some in others.values()),
    )
    return follow(events, on_event)


def _not_probed(recipe: CausalRecipe, dataset: Dataset, base: Path) -> UsageError:
    """Return what can be said of a sharded run without loading the model: no process alone could probe it."""
    config = read_json(base / "config.json") if (base / "config.json").is_file() else None
    processes = processes_of(recipe)
    told = f"a run over {processes} processes cannot be probed by one"
    if config is not None and recipe.adapter.method == "full":
        labels = sum(len(target.labels) for target in dataset.schema)
        shape = DecoderShape.of_config(config, labels=labels if recipe.answer.read == "head" else None)
        each = footprint(
            shape,
            processes=processes,
            rows=max(1, recipe.batches.max_tokens // recipe.window.max_tokens),
            tokens=recipe.window.max_tokens,
            checkpointing=recipe.training.gradient_checkpointing,
            last_only=recipe.answer.loss == "label",
        )
        told += (
            f"; in each it takes about {each.total / 1e9:.3g} GB of memory, and a checkpoint "
            f"{checkpoint_bytes(shape) / 1e9:.3g} GB of disk"
        )
    return UsageError(told, remedy="docs/concepts/sharding.md derives time from your GPUs' figures")


def _frozen(
    recipe: FrozenRecipe,
    dataset: Dataset,
    rows: TrainingRows,
    others: list[TrainingRows],
    settings: Settings,
    on_event: Callable[[Event], None],
    progress: Progress | None,
) -> Estimate:
    from modwright.training.frozen_speed import estimate_frozen

    opened = open_bases(recipe, settings, progress=progress, on_event=on_event)
    caches = [one.cache for one in opened] if recipe.embedding.cache else None
    bases = [one.base for one in opened]
    events = estimate_frozen(
        recipe,
        dataset.schema,
        rows,
        bases,
        caches,
        others=others,
        artifact_bytes=sum(base.graph_path.stat().st_size for base in bases),
    )
    return follow(events, on_event)
