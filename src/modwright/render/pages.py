"""The frame of every page: one HTML file that needs nothing else, no network and no JavaScript.

What users named is escaped, isolated in its own direction, and never part of an id, a class or an address; a
content security policy in the file forbids it to load or run anything. A page's template extends `page.html`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from modwright.render import words

_OWN_PACKAGE = "modwright.render"


def environment(package: str, filters: Mapping[str, Callable[..., Any]] | None = None) -> Environment:
    """Return an environment of a package's `templates` and the shared ones, escaping, with the shared filters.

    Args:
        package: such as ``modwright.evaluation``.
        filters: the package's own, beside `number`, `count`, `percent`, `shown`, `own` and `fact`.
    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package, "templates"), PackageLoader(_OWN_PACKAGE, "templates")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shared = (words.number, words.count, words.percent, words.shown, own, fact)
    made.filters |= {function.__name__: function for function in shared}
    made.filters |= filters or {}
    return made


def own(text: Any) -> Markup:
    """Return a user's own text: escaped, kept from reordering what stands around it."""
    return Markup(f"<bdi>{escape(words.shown(text))}</bdi>")


def fact(value: Any) -> Markup:
    """Return a fact's value as text: yes and no, numbers, or the items of a list, each the user's own."""
    if value is None:
        return Markup(words.UNDEFINED)
    if isinstance(value, bool):
        return Markup("yes" if value else "no")
    if isinstance(value, int):
        return escape(words.count(value) if abs(value) >= 10_000 else value)
    if isinstance(value, float):
        return escape(f"{value:.6g}")
    if isinstance(value, (list, tuple)):
        return Markup(", ").join(fact(item) for item in value)
    return own(value)
