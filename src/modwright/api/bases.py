"""What a job may be created with, as models to list: recipes and bases, each with the other names that mean it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from modwright.catalog.shelf import find_base
from modwright.jobs.naming import choose, known_models
from modwright.recipe import shipped_recipes


@dataclass(frozen=True, slots=True)
class Trainable:
    """A recipe or a base of the catalog.

    Attributes:
        name: what it is listed under.
        aliases: other names that mean the same here, hosted models' among them.
        recipe: that trains it.
        why: how the name leads to the recipe, for people.
    """

    name: str
    aliases: tuple[str, ...]
    recipe: str
    why: str


def trainable(aliases: Mapping[str, str]) -> list[Trainable]:
    """Return everything a job may be created with, by name; ``aliases`` are the operator's own names."""
    return list(_trainable(tuple(sorted(aliases.items()))))


@lru_cache(maxsize=8)
def _trainable(pairs: tuple[tuple[str, str], ...]) -> tuple[Trainable, ...]:
    aliases = dict(pairs)
    others: dict[str, list[str]] = {}
    for name in known_models(aliases):
        listed = _listed(name, aliases)
        others.setdefault(listed, [])
        if name != listed:
            others[listed].append(name)
    found = []
    for name in sorted(others):
        choice = choose(name, None, aliases)
        found.append(Trainable(name, tuple(others[name]), choice.recipe, choice.why))
    return tuple(found)


def _listed(name: str, aliases: Mapping[str, str]) -> str:
    """Return the name that another is listed under: the base or the shipped recipe it stands for, else itself."""
    meant = aliases.get(name, name)
    base = None if meant in shipped_recipes() else find_base(meant)  # some recipes and bases are called alike
    if base is not None:
        return (
            name if base.name in aliases else base.name
        )  # an operator may give a base's name another meaning
    recipe = choose(name, None, aliases).recipe
    return recipe if recipe in shipped_recipes() and recipe not in aliases else name
