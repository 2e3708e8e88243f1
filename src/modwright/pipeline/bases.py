"""The bases a recipe names, fetched, exported and opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modwright.artifact import BaseIdentity
from modwright.catalog import BaseFolder, BaseKind, Progress, fetch_base
from modwright.catalog.shelf import find_base
from modwright.errors import RecipeError
from modwright.files import sha256_json
from modwright.models.embedding_cache import EmbeddingCache
from modwright.models.export import GRAPH_VERSION, ensure_graph
from modwright.models.features import FrozenBase
from modwright.recipe import BaseRecipe, FrozenRecipe, KeptRecipe
from modwright.settings import Settings
from modwright.training.events import Event, Stage

#: How texts become tokens; where that changes, kept embeddings are made again.
_TOKENS = "special tokens in texts are plain characters"


@dataclass(frozen=True, slots=True)
class OpenedBase:
    """A base ready to embed: its identity for the artifact, its graph, and the cache of its embeddings."""

    identity: BaseIdentity
    base: FrozenBase
    cache: EmbeddingCache


def open_bases(
    recipe: FrozenRecipe,
    settings: Settings,
    *,
    progress: Progress | None = None,
    on_event: Callable[[Event], None],
) -> list[OpenedBase]:
    """Fetch every base of a recipe, export its graph where the cache has none, and open it.

    Raises:
        RecipeError: a base that is no encoder, a hidden state it does not have, or two bases of one name.
        SourceError, IntegrityError, UsageError: as `fetch_base` and `ensure_graph`.
    """
    opened: list[OpenedBase] = []
    for number, wanted in enumerate(recipe.bases):
        on_event(Stage(f"base {wanted.name}", number, len(recipe.bases)))
        found = _open(wanted, fetch_base(wanted.name, settings, progress=progress), settings)
        if any(other.base.name == found.base.name for other in opened):
            raise RecipeError(
                f"two bases are called '{found.base.name}'",
                where="bases.name",
                remedy="rename one of the folders",
            )
        opened.append(found)
    on_event(Stage("bases", len(recipe.bases), len(recipe.bases)))
    return opened


def portable(recipe: KeptRecipe) -> KeptRecipe:
    """Return a recipe as it is kept and hashed.

    A local base stands there by its folder's name, not its path on this machine;
    without a `[data]` section, since the dataset says itself what it is.
    """
    names = tuple(folder.name if (folder := local_folder(name)) else name for name in recipe.base_names)
    return recipe.with_base_names(names).model_copy(update={"data": None})


def local_folder(name: str) -> Path | None:
    """Return the folder that a base's name in a recipe means, or None for one of the catalog or the hub."""
    path = Path(name).expanduser()
    return path.resolve() if find_base(name) is None and path.is_dir() else None


def _open(wanted: BaseRecipe, folder: BaseFolder, settings: Settings) -> OpenedBase:
    if folder.kind is not BaseKind.ENCODER:
        raise RecipeError(
            f"the base '{folder.name}' is {folder.kind}, the family 'frozen' takes an encoder",
            where="bases.name",
            remedy="see `modwright bases list`",
        )
    graph = ensure_graph(folder.path, folder.weights_sha256, settings.cache_dir)
    base = FrozenBase(
        name=folder.name.replace("/", "--"),
        graph_folder=graph,
        tokenizer_folder=folder.path,
        layers=wanted.layers,
        max_tokens=min(folder.max_tokens, folder.max_positions),
        threads=settings.threads,
        bulk=True,
    )
    highest = base.graph.hidden_states - 1
    if max(wanted.layers) > highest:
        raise RecipeError(
            f"layer {max(wanted.layers)} of '{folder.name}' does not exist",
            where="bases.layers",
            remedy=f"its hidden states are 0 to {highest}",
        )
    identity = BaseIdentity(base.name, folder.weights_sha256, folder.tokenizer_sha256, folder.licence)
    key = sha256_json(
        [GRAPH_VERSION, _TOKENS, identity.weights_sha256, identity.tokenizer_sha256, list(wanted.layers)]
    )[:32]
    return OpenedBase(identity, base, EmbeddingCache(settings.cache_dir / "embeddings" / key, base.width))
