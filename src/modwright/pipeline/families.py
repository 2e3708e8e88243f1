"""What each family needs before it can train: its bases fetched and opened, and its trainer."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path

from modwright.artifact import BaseIdentity
from modwright.catalog import BaseFolder, BaseKind, Progress, fetch_base
from modwright.errors import RecipeError
from modwright.evaluation.deployment import stated_prevalence
from modwright.models.features import Progress as EmbeddingProgress
from modwright.models.normalise import Normaliser
from modwright.pipeline.bases import open_bases
from modwright.pipeline.torchrun import joined
from modwright.recipe import CausalRecipe, EncoderRecipe, FrozenRecipe, Recipe, TunedRecipe
from modwright.schema import Schema
from modwright.settings import Settings
from modwright.training.events import Event, Stage
from modwright.training.fitted import Fitted
from modwright.training.normalised import fit_normalised
from modwright.training.rows import TrainingRows
from modwright.training.task import TunedFamily

#: Trains: (rows, validation rows or None, folder of checkpoints or None, progress of embedding or None).
Fit = Callable[
    [TrainingRows, TrainingRows | None, Path | None, EmbeddingProgress | None], Generator[Event, None, Fitted]
]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A family ready to train.

    Attributes:
        identities: of the bases, for the artifact.
        fit: the trainer.
        family: what a fine-tuned family makes tasks of; None for `frozen`.
    """

    identities: tuple[BaseIdentity, ...]
    fit: Fit
    family: TunedFamily | None = None


def prepare(
    recipe: Recipe,
    schema: Schema,
    settings: Settings,
    *,
    progress: Progress | None = None,
    on_event: Callable[[Event], None],
) -> Prepared:
    """Fetch and open the bases of a recipe and return its trainer.

    Raises:
        RecipeError: a base of a kind that the family cannot use, or a deployment prevalence that fits no label.
        MissingExtraError: torch or another part of the extra `train` is missing.
        SourceError, IntegrityError, UsageError: as `fetch_base` and the exports raise them.
    """
    stated_prevalence(recipe, schema)
    prepared = _prepared(recipe, schema, settings, progress, on_event)
    return replace(prepared, fit=_normalising(prepared.fit, Normaliser(tuple(recipe.normalise.steps))))


def _normalising(fit: Fit, normaliser: Normaliser) -> Fit:
    """Return a family's trainer behind the recipe's normaliser: the one place where any family's rows pass."""

    def run(
        rows: TrainingRows,
        validation: TrainingRows | None,
        checkpoints: Path | None,
        embedding_progress: EmbeddingProgress | None,
    ) -> Generator[Event, None, Fitted]:
        return fit_normalised(
            lambda read, held: fit(read, held, checkpoints, embedding_progress), normaliser, rows, validation
        )

    return run


def _prepared(
    recipe: Recipe,
    schema: Schema,
    settings: Settings,
    progress: Progress | None,
    on_event: Callable[[Event], None],
) -> Prepared:
    if isinstance(recipe, FrozenRecipe):
        return _frozen(recipe, schema, settings, progress, on_event)
    on_event(Stage(f"base {recipe.base.name}", 0, 1))
    folder = fetch_base(recipe.base.name, settings, progress=progress)
    identity = BaseIdentity(
        folder.name.replace("/", "--"), folder.weights_sha256, folder.tokenizer_sha256, folder.licence
    )
    if isinstance(recipe, EncoderRecipe):
        family = _encoder(recipe, schema, settings, folder)
    else:
        family = _causal(recipe, schema, settings, folder)
    on_event(Stage(f"base {recipe.base.name}", 1, 1))
    return Prepared((identity,), _tuned(recipe, schema, family), family)


def _frozen(
    recipe: FrozenRecipe,
    schema: Schema,
    settings: Settings,
    progress: Progress | None,
    on_event: Callable[[Event], None],
) -> Prepared:
    from modwright.training.frozen import fit

    opened = open_bases(recipe, settings, progress=progress, on_event=on_event)
    caches = [one.cache for one in opened] if recipe.embedding.cache else None

    def run(
        rows: TrainingRows,
        validation: TrainingRows | None,
        checkpoints: Path | None,
        embedding_progress: EmbeddingProgress | None,
    ) -> Generator[Event, None, Fitted]:
        return fit(
            recipe,
            schema,
            rows,
            [one.base for one in opened],
            validation=validation,
            caches=caches,
            progress=embedding_progress,
        )

    return Prepared(tuple(one.identity for one in opened), run)


def _tuned(recipe: TunedRecipe, schema: Schema, family: TunedFamily) -> Fit:
    from modwright.training.tuned import fit_tuned

    def run(
        rows: TrainingRows,
        validation: TrainingRows | None,
        checkpoints: Path | None,
        embedding_progress: EmbeddingProgress | None,
    ) -> Generator[Event, None, Fitted]:
        parallel = joined(recipe)
        parallel.barrier()  # the first one has made the run's folder fit by now
        return fit_tuned(
            recipe, schema, rows, family, validation=validation, checkpoints=checkpoints, parallel=parallel
        )

    return run


def _encoder(recipe: EncoderRecipe, schema: Schema, settings: Settings, folder: BaseFolder) -> TunedFamily:
    from modwright.training.encoder import EncoderFamily

    _check_kind(recipe, folder, BaseKind.ENCODER, "an encoder")
    return EncoderFamily(
        recipe,
        schema,
        folder.path,
        max_tokens=min(folder.max_tokens, folder.max_positions),
        threads=settings.threads,
    )


def _causal(recipe: CausalRecipe, schema: Schema, settings: Settings, folder: BaseFolder) -> TunedFamily:
    from modwright.models.gguf import ensure_converted
    from modwright.training.causal import CausalFamily

    _check_kind(recipe, folder, BaseKind.CAUSAL, "a causal LLM")
    path = ensure_converted(folder.path, folder.weights_sha256, settings.cache_dir)
    return CausalFamily(recipe, schema, path, threads=settings.threads)


def _check_kind(recipe: TunedRecipe, folder: BaseFolder, kind: BaseKind, wanted: str) -> None:
    if folder.kind is not kind:
        raise RecipeError(
            f"the base '{folder.name}' is {folder.kind}, the family '{recipe.family}' takes {wanted}",
            where="base.name",
            remedy="see `modwright bases list`",
        )
