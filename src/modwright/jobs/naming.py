"""Names: what `model` in a request trains here, and what the finished model is called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import tomli_w

from modwright.catalog.entries import BaseKind
from modwright.catalog.shelf import BASES, find_base
from modwright.errors import ModelNotFoundError, RecipeError, RequestError, nearest
from modwright.jobs.specs import JobSpec
from modwright.recipe import Recipe, load_recipe, shipped_recipes

#: What the models of hosted services stand for here, unless the operator says otherwise (MODWRIGHT_JOB_ALIASES).
HOSTED_RECIPE = "balanced"
HOSTED = (
    "ministral-3b-latest",
    "ministral-8b-latest",
    "open-mistral-7b",
    "open-mistral-nemo",
    "mistral-small-latest",
    "mistral-medium-latest",
    "mistral-large-latest",
    "codestral-latest",
    "pixtral-12b-latest",
    "gpt-3.5-turbo",
    "gpt-3.5-turbo-1106",
    "gpt-3.5-turbo-0125",
    "gpt-4o",
    "gpt-4o-2024-08-06",
    "gpt-4o-mini",
    "gpt-4o-mini-2024-07-18",
    "gpt-4.1",
    "gpt-4.1-2025-04-14",
    "gpt-4.1-mini",
    "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano",
    "gpt-4.1-nano-2025-04-14",
    "babbage-002",
    "davinci-002",
)
#: The recipe that a base is trained by, where the request names none.
_BY_KIND = {BaseKind.ENCODER: "balanced", BaseKind.CAUSAL: "llm"}
_FAMILY_BY_KIND = {BaseKind.ENCODER: "encoder", BaseKind.CAUSAL: "causal"}
#: Tables that would make the server read what the request names.
_NOT_FROM_REQUESTS = ("data", "extends")
_ID_CHARS = 8


@dataclass(frozen=True, slots=True)
class Choice:
    """What trains when a model is asked for.

    Attributes:
        recipe: a shipped recipe's name, or the path of one of the operator's.
        overrides: `key=value`, laid over it.
        why: how the name led there, for people.
    """

    recipe: str
    overrides: tuple[str, ...]
    why: str


def known_models(aliases: Mapping[str, str]) -> list[str]:
    """Return every name that a job may be created with, sorted; ``aliases`` are the operator's."""
    bases = (name for base in BASES for name in (base.name, *base.aliases))
    return sorted({*HOSTED, *aliases, *shipped_recipes(), *bases})


def choose(model: str, recipe: str | None, aliases: Mapping[str, str]) -> Choice:
    """Return what a model's name trains here.

    Args:
        model: a name of the operator's, a hosted model's, a shipped recipe's, or a base's of the catalog.
        recipe: a shipped recipe that trains instead; with a base, it trains that base.
        aliases: the operator's names, each for a shipped recipe, a base, or the path of a recipe.

    Raises:
        ModelNotFoundError: no such model; the nearest is named.
        RequestError: no such recipe, or it cannot train this base.
    """
    meant = aliases.get(model, model)
    base = find_base(meant)
    if recipe is not None:
        _refuse_unknown_recipe(recipe)
        overrides = _base_overrides(base.name, recipe) if base is not None else ()
        return Choice(recipe, overrides, f"the request names the recipe '{recipe}'")
    if model in aliases and (base is None or meant in shipped_recipes()):
        return Choice(meant, (), f"'{model}' stands for the recipe '{meant}' on this server")
    if meant in shipped_recipes():  # before bases: some are called alike
        return Choice(meant, (), f"'{meant}' is a recipe")
    if base is not None:
        chosen = _BY_KIND[base.kind]
        return Choice(
            chosen, _base_overrides(base.name, chosen), f"the base '{base.name}' is trained by '{chosen}'"
        )
    if model in HOSTED:
        return Choice(HOSTED_RECIPE, (), f"'{model}' stands for the recipe '{HOSTED_RECIPE}' on this server")
    raise ModelNotFoundError(
        f"unknown model '{model[:200]}'", where="model", remedy=nearest(model[:200], known_models(aliases))
    )


def _refuse_unknown_recipe(recipe: str) -> None:
    """Only shipped recipes are taken from a request: anything else would be a path on the server."""
    if recipe not in shipped_recipes():
        raise RequestError(
            f"unknown recipe '{recipe[:200]}'",
            where="recipe",
            remedy=nearest(recipe[:200], shipped_recipes()),
        )


def _base_overrides(base: str, recipe: str) -> tuple[str, ...]:
    entry, loaded = find_base(base), load_recipe(recipe)
    assert entry is not None
    if loaded.family == "frozen":
        if base in loaded.base_names:
            return ()
        message = (
            f"the recipe '{recipe}' reads chosen layers of {', '.join(loaded.base_names)}, not of '{base}'"
        )
        raise RequestError(message, where="model", remedy="name the recipe alone as the model")
    if loaded.family != _FAMILY_BY_KIND[entry.kind]:
        raise RequestError(
            f"the recipe '{recipe}' is of the family '{loaded.family}' and cannot train the {entry.kind} '{base}'",
            where="model",
            remedy=f"recipe '{_BY_KIND[entry.kind]}' can",
        )
    pooling = (f"base.pooling={entry.pooling}",) if entry.kind is BaseKind.ENCODER else ()
    return (f"base.name={base}", *pooling)


def recipe_of(spec: JobSpec, aliases: Mapping[str, str]) -> Recipe:
    """Return the recipe of a job with its own overrides, before hyperparameters are laid over it.

    Raises:
        ModelNotFoundError, RequestError: as `choose`; an override that does not fit, with its key.
    """
    choice = choose(spec.model, spec.recipe, aliases)
    lines = override_lines(spec.overrides)
    for table in _NOT_FROM_REQUESTS:
        for key in lines:
            if key.partition(".")[0] == table:
                raise RequestError(
                    f"'{table}' is not taken from a request",
                    where=f"overrides.{key}",
                    remedy="upload the rows as training files",
                )
    try:
        loaded = load_recipe(choice.recipe, (*choice.overrides, *lines.values()))
    except RecipeError as error:
        raise RequestError(error.message, where=_place(error, lines), remedy=error.remedy) from None
    _refuse_foreign_bases(loaded, load_recipe(choice.recipe, choice.overrides).base_names)
    return loaded


def _place(error: RecipeError, keys: Iterable[str]) -> str:
    """Return the override that an error is about, or all of them where it is about several."""
    named = [key for key in keys if f"'{key}" in error.message]
    return f"overrides.{max(named, key=len)}" if named else "overrides"


def _refuse_foreign_bases(recipe: Recipe, known: tuple[str, ...]) -> None:
    """Overrides may name bases of the catalog only: anything else is a path or an address the server would open."""
    for name in recipe.base_names:
        if name not in known and find_base(name) is None:
            raise RequestError(
                f"names the base '{name[:200]}', which the catalog does not have",
                where="overrides",
                remedy=nearest(name[:200], (base.name for base in BASES)),
            )


def override_lines(overrides: Mapping[str, Any]) -> dict[str, str]:
    """Return each override as the command line writes it, `key=value`, by key.

    Raises:
        RequestError: a key that is no dotted name, or a value that recipes cannot hold.
    """
    return {key: f"{key}={_toml(key, value)}" for key, value in overrides.items()}


def _toml(key: str, value: Any) -> str:
    if not re.fullmatch(r"[\w.-]{1,200}", key):
        raise RequestError(
            f"key '{key[:200]}' is no dotted name", where="overrides", remedy="write such as head.folds"
        )
    for found in _leaves(value):
        if found is None or isinstance(found, dict):
            raise RequestError(
                f"holds {'null' if found is None else 'an object'}, which stands for no value of a recipe",
                where=f"overrides.{key}",
                remedy="give each key of a table its own dotted name, such as bases.0.layers",
            )
    return tomli_w.dumps({"value": value}).removeprefix("value = ").strip()


def _leaves(value: Any) -> Iterator[Any]:
    """Give a value, or what the lists in it hold."""
    for item in value if isinstance(value, list) else ():
        yield from _leaves(item)
    if not isinstance(value, list):
        yield value


def slug(suffix: str) -> str:
    """Return what of a suffix stands in a model's name: ASCII letters, digits, '.', '_' and '-'; may be empty."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", suffix).strip("-.")


def model_id(model: str, project_id: str, job_id: str, created_at: float, suffix: str | None = None) -> str:
    """Return the name of a job's finished model; ``created_at`` in Unix seconds gives its day (UTC)."""
    middle = slug(suffix) if suffix is not None and slug(suffix) else project_id[:_ID_CHARS]
    day = datetime.fromtimestamp(created_at, UTC).strftime("%Y%m%d")
    return f"ft:classifier:{model}:{middle}:{day}:{job_id[:_ID_CHARS]}"
