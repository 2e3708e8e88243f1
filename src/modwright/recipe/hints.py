"""What helps with a key that a recipe does not have: the families that do have it, or the nearest known key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel

from modwright.errors import nearest
from modwright.recipe.model import FAMILIES


def unknown_key(name: str, known: Iterable[str], key: str, family: str | None) -> str:
    """Return the remedy for a key that recipes of a family do not have.

    Args:
        name: the part of the key that was not found.
        known: what stands where it was looked for.
        key: as it was written, with its tables, such as `epochs` or `training.epochs`.
        family: None for recipes of no family, such as those of data.
    """
    others = {
        other: place
        for other, model in FAMILIES.items()
        if family is not None and other != family and (place := _place(model, key)) is not None
    }
    if not others:
        near = nearest(name, [*known, *(_bare_keys(family) if name == key else ())])
        return near if near.startswith("did you mean") else nearest(name, known)
    place, names = next(iter(others.values())), " and ".join(f"'{other}'" for other in others)
    return f"'{place}' is for the {'families' if len(others) > 1 else 'family'} {names}, this recipe's is '{family}'"


def family_of(model: type[BaseModel]) -> str | None:
    """Return the family whose recipes a model describes."""
    return next((name for name, one in FAMILIES.items() if one is model), None)


def known_keys(model: type[BaseModel], path: Sequence[int | str] = ()) -> list[str]:
    """Return the keys of the table at a path below a recipe's model."""
    annotation: Any = model
    for part in path:
        table = _table(annotation)
        if table is not None and part in _fields(table):
            annotation = _fields(table)[str(part)]
    table = _table(annotation)
    return _keys(table) if table is not None else []


def _place(model: type[BaseModel], key: str) -> str | None:
    """Return where a key stands in recipes of a model, itself or in the one table that has it; None for nowhere."""
    first, _, rest = key.partition(".")
    if first in _keys(model):
        return key if not rest or rest.partition(".")[0] in _keys_below(model, first) else None
    tables = [] if rest else [name for name in _keys(model) if key in _keys_below(model, name)]
    return f"{tables[0]}.{key}" if len(tables) == 1 else None


def _bare_keys(family: str | None) -> list[str]:
    """Return the keys that need no table before them: one table alone has them."""
    if family not in FAMILIES:
        return []
    model = FAMILIES[family]
    tables = [name for name, one in _fields(model).items() if isinstance(one, type)]
    inner = Counter(key for name in tables for key in _keys_below(model, name))
    return [key for key, number in inner.items() if number == 1]


def _keys(table: type[BaseModel]) -> list[str]:
    return list(_fields(table))


def _keys_below(model: type[BaseModel], name: str) -> list[str]:
    table = _table(_fields(model)[name])
    return [] if table is None else _keys(table)


def _fields(table: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in table.model_fields.items()}


def _table(annotation: Any) -> type[BaseModel] | None:
    """Return the model inside `Model`, `list[Model]`, `dict[str, Model]`, `Model | None` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_table(inner) for inner in getattr(annotation, "__args__", ()))
    return next((table for table in found if table is not None), None)
