"""Reading recipes: shipped names and paths, `extends`, overrides on the command line, and errors that help."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from modwright.errors import RecipeError, nearest
from modwright.recipe.data import DataRecipe, DataSection
from modwright.recipe.hints import family_of, known_keys, unknown_key
from modwright.recipe.imported import ImportRecipe
from modwright.recipe.model import FAMILIES, KeptRecipe, Recipe

_EXTENDS = "extends"
_MOST_EXTENSIONS = 8
_DATA = "data"
_IMPORT, _IMPORT_NAME = "import", "classifier"
_IMPORTED = "imported"
#: A shipped recipe of each family that states every key.
_EXAMPLES = {"frozen": "fast", "encoder": "balanced", "causal": "llm"}
_Model = TypeVar("_Model", bound=BaseModel)


def shipped_recipes() -> tuple[str, ...]:
    """Return the names of the training recipes that come with modwright."""
    return _names(_folder(""))


def shipped_data_recipes() -> tuple[str, ...]:
    """Return the names of the data recipes that come with modwright."""
    return _names(_folder(_DATA))


def _folder(below: str) -> Traversable:
    folder = resources.files("modwright") / "recipes"
    return folder / below if below else folder


def _names(folder: Traversable) -> tuple[str, ...]:
    return tuple(
        sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))
    )


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by path or shipped name, with overrides such as ``head.folds=10``.

    Raises:
        RecipeError: no such recipe, broken TOML, an unknown key (the nearest is named), a missing key or a
            bad value.
    """
    data, where = _resolved(name_or_path, "", _MOST_EXTENSIONS)
    for override in overrides:
        _apply(data, override)
    family = data.get("family")
    if not isinstance(family, str) or family not in FAMILIES:
        raise RecipeError(
            f"family is {family!r}, expected one of {', '.join(FAMILIES)}",
            where=where,
            remedy=nearest(str(family), FAMILIES)
            if family is not None
            else 'state it, or start with: extends = "fast"',
        )
    recipe: Recipe = _validated(
        FAMILIES[family], data, where, f'state it, or start with: extends = "{_EXAMPLES[family]}"'
    )
    return recipe


def load_import_recipe(overrides: Sequence[str] = ()) -> ImportRecipe:
    """Read the shipped recipe of an import, with overrides; raises RecipeError as `load_recipe` does."""
    data, where = _resolved(_IMPORT_NAME, _IMPORT, _MOST_EXTENSIONS)
    for override in overrides:
        _apply(data, override)
    return _validated(ImportRecipe, data, where, "state it")


def load_kept_recipe(path: Path, overrides: Sequence[str] = ()) -> KeptRecipe:
    """Read the recipe that an artifact holds, with overrides; raises RecipeError as `load_recipe` does."""
    data, where = _resolved(str(path), "", _MOST_EXTENSIONS)
    if data.get("family") != _IMPORTED:
        return load_recipe(str(path), overrides)
    for override in overrides:
        _apply(data, override)
    return _validated(ImportRecipe, data, where, "import the model again")


def load_data_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> DataSection:
    """Read the `[data]` section of a data recipe or of a training recipe, by path or shipped name.

    Overrides are such as ``data.seed=3`` or ``data.sources.0.take=1000``.

    Raises:
        RecipeError: no such recipe, no `[data]` section, or as `load_recipe` does.
    """
    data, where = _resolved(name_or_path, _DATA, _MOST_EXTENSIONS)
    for override in overrides:
        _apply(data, override)
    if _DATA not in data:
        raise RecipeError(
            "has no [data] section", where=where, remedy="add [[data.sources]], or name another"
        )
    remedy = "state it; the shipped data recipes show every key"
    return _validated(DataRecipe, {_DATA: data[_DATA]}, where, remedy).data


def _validated(model: type[_Model], data: dict[str, Any], where: str, remedy: str) -> _Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _explained(error, model, where, remedy) from None


def _resolved(name_or_path: str, shelf: str, extensions_left: int) -> tuple[dict[str, Any], str]:
    text, where, folder = _read(name_or_path, shelf)
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
    # A training recipe that carries data extends training recipes, and a data recipe data recipes.
    below_shelf = next((one for one in (shelf, "") if parent in _names(_folder(one))), shelf)
    if parent not in _names(_folder(below_shelf)):
        parent = str(folder / parent)
    below, _ = _resolved(parent, below_shelf, extensions_left - 1)
    return _merged(below, data), where


def _read(name_or_path: str, shelf: str) -> tuple[str, str, Path]:
    path, shipped = Path(name_or_path), _names(_folder(shelf))
    if name_or_path in shipped:
        text = (_folder(shelf) / f"{name_or_path}.toml").read_text(encoding="utf-8")
        return text, f"recipe '{name_or_path}'", Path()
    if not path.is_file():
        raise RecipeError(f"no recipe '{name_or_path}'", remedy=nearest(name_or_path, shipped) + " or a path")
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
    *tables, last = _placed(data, key.strip()).split(".")
    table = data
    for depth, name in enumerate(tables):
        value = _inner(table, name)
        if value is None:
            tables_here = [known for known, inner in table.items() if isinstance(inner, dict)]
            raise RecipeError(
                f"override '{override}': there is no table '{'.'.join(tables[: depth + 1])}'",
                remedy=unknown_key(name, tables_here, key.strip(), data.get("family")),
            )
        table = value
    table[last] = override_value(text)


def _placed(data: Mapping[str, Any], key: str) -> str:
    """Return where a key without a table belongs: `epochs` is `training.epochs`, the one table that states it."""
    if "." in key or key in data:
        return key
    tables = [name for name, table in data.items() if isinstance(table, dict) and key in table]
    return f"{tables[0]}.{key}" if len(tables) == 1 else key


def _inner(table: Any, name: str) -> Any:
    """Return the table below a key, or the list of tables, whose items answer to their numbers; else None."""
    if isinstance(table, _Numbered):
        return table.get(name)
    value = table.get(name)
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return _Numbered({str(place): item for place, item in enumerate(value)})
    return value if isinstance(value, dict) else None


class _Numbered(dict[str, Any]):
    """A list of tables, by number."""


def override_value(text: str) -> Any:
    """Return the value of an override: read as TOML, else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def _explained(error: ValidationError, model: type[BaseModel], where: str, remedy: str) -> RecipeError:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = known_keys(model, first["loc"][:-1])
        return RecipeError(
            f"unknown key '{place}'",
            where=where,
            remedy=unknown_key(str(first["loc"][-1]), known, place, family_of(model)),
        )
    if first["type"] == "missing":
        return RecipeError(f"key '{place}' is missing", where=where, remedy=remedy)
    if isinstance(first["input"], dict):  # of several keys together
        return RecipeError(f"{f'[{place}]: ' if place else ''}{first['msg']}", where=where)
    return RecipeError(f"key '{place}' is {first['input']!r}: {first['msg']}", where=where)
