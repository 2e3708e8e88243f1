"""Recipes: everything that decides a training run, as a commented TOML file. No default is stated elsewhere.

A recipe names each key itself, or says `extends = "fast"` and only what differs. On the command line a recipe
is a path or a shipped name, and `key.of.table=value` overrides one value; the value is read as TOML, or as a
string.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from modwright.errors import RecipeError, nearest

_EXTENDS = "extends"
_MOST_EXTENSIONS = 8


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class BaseRecipe(_Strict):
    """One frozen base and the hidden states read from it."""

    name: str = Field(min_length=1)
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class WindowRecipe(_Strict):
    """How long texts are cut into windows; nothing is dropped."""

    quantile: float = Field(gt=0, le=1)
    min_tokens: int = Field(ge=8)
    max_tokens: int = Field(ge=8)
    overlap: float = Field(ge=0, le=0.9)
    edges: list[Annotated[float, Field(gt=0, lt=1)]]
    single_label: Literal["mean", "worst"]
    rounds: int = Field(ge=1, le=5)

    @model_validator(mode="after")
    def _ordered(self) -> WindowRecipe:
        if self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens {self.min_tokens} is above max_tokens {self.max_tokens}")
        return self


class EmbeddingRecipe(_Strict):
    """How embeddings are computed."""

    max_batch_tokens: int = Field(ge=16)
    cache: bool


class HeadRecipe(_Strict):
    """Which heads are tried, and how they are compared out of fold."""

    kinds: Annotated[list[Literal["linear", "rbf"]], Field(min_length=1)]
    c: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    gamma: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    max_landmarks: int = Field(ge=10)
    folds: int = Field(ge=2, le=20)
    selection_rows: int = Field(ge=50)


class TrainingRecipe(_Strict):
    """The final fit."""

    training_steps: int = Field(ge=1)
    learning_rate: float | None = None


class EvaluationRecipe(_Strict):
    """How the finished model is measured."""

    resamples: int = Field(ge=0)


class Recipe(_Strict):
    """A resolved recipe: every value stated."""

    family: Literal["frozen"]
    seed: int = Field(ge=0, lt=2**32)
    bases: Annotated[list[BaseRecipe], Field(min_length=1)]
    window: WindowRecipe
    embedding: EmbeddingRecipe
    head: HeadRecipe
    training: TrainingRecipe
    evaluation: EvaluationRecipe

    @model_validator(mode="after")
    def _each_base_once(self) -> Recipe:
        names = [base.name for base in self.bases]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the base '{name}' is named twice; list all its layers under one")
        return self

    def to_toml(self) -> str:
        """Return the resolved recipe as TOML."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def shipped_recipes() -> tuple[str, ...]:
    """Return the names of the recipes that come with modwright."""
    folder = resources.files("modwright") / "recipes"
    return tuple(
        sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))
    )


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by path or shipped name, with overrides such as ``head.folds=10``.

    Raises:
        RecipeError: no such recipe, broken TOML, an unknown key (the nearest is named), a missing key or a
            bad value.
    """
    data, where = _resolved(name_or_path, _MOST_EXTENSIONS)
    for override in overrides:
        _apply(data, override)
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise _explained(error, where) from None


def _resolved(name_or_path: str, extensions_left: int) -> tuple[dict[str, Any], str]:
    text, where, folder = _read(name_or_path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"is not TOML: {error}", where=where) from None
    parent = data.pop(_EXTENDS, None)
    if parent is None:
        return data, where
    if not isinstance(parent, str):
        raise RecipeError(f"extends is {parent!r}, expected the name or path of one recipe", where=where)
    if not extensions_left:
        raise RecipeError(f"more than {_MOST_EXTENSIONS} recipes extend each other", where=where)
    if parent not in shipped_recipes():
        parent = str(folder / parent)
    below, _ = _resolved(parent, extensions_left - 1)
    return _merged(below, data), where


def _read(name_or_path: str) -> tuple[str, str, Path]:
    path = Path(name_or_path)
    if name_or_path in shipped_recipes():
        text = (resources.files("modwright") / "recipes" / f"{name_or_path}.toml").read_text(encoding="utf-8")
        return text, f"recipe '{name_or_path}'", Path()
    if not path.is_file():
        raise RecipeError(
            f"no recipe '{name_or_path}'", remedy=nearest(name_or_path, shipped_recipes()) + " or a path"
        )
    try:
        return path.read_text(encoding="utf-8"), str(path), path.parent
    except UnicodeDecodeError as error:
        raise RecipeError(f"is not UTF-8: {error}", where=str(path)) from None


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one table over another; tables are merged, everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both_tables = isinstance(value, dict) and isinstance(old, dict)
        merged[key] = _merged(old, value) if both_tables else value  # type: ignore[arg-type]
    return merged


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"override is '{override}'", remedy="write key=value, such as head.folds=10")
    *tables, last = key.strip().split(".")
    table = data
    for depth, name in enumerate(tables):
        value = table.get(name)
        if not isinstance(value, dict):
            tables_here = [known for known, inner in table.items() if isinstance(inner, dict)]
            raise RecipeError(
                f"override '{override}': there is no table '{'.'.join(tables[: depth + 1])}'",
                remedy=nearest(name, tables_here),
            )
        table = value
    table[last] = _value(text)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def _explained(error: ValidationError, where: str) -> RecipeError:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        *path, key = first["loc"]
        return RecipeError(f"unknown key '{place}'", where=where, remedy=nearest(str(key), _known_keys(path)))
    if first["type"] == "missing":
        return RecipeError(
            f"key '{place}' is missing", where=where, remedy='state it, or start with: extends = "fast"'
        )
    return RecipeError(f"key '{place}' is {first['input']!r}: {first['msg']}", where=where)


def _known_keys(path: Sequence[int | str]) -> list[str]:
    model: Any = Recipe
    for part in path:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            inner = getattr(annotation, "__args__", (annotation,))
            model = getattr(inner[0], "__origin__", inner[0])
    return list(model.model_fields)
