"""JSON as data must be: each key once, finite numbers, a few levels, no lone surrogates."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"found the key '{twice}' {keys.count(twice)} times in one object, expected it once")
    return record


def _not_finite(constant: str) -> NoReturn:
    raise ValueError(f"found {constant}, expected a finite number or null")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_not_finite)
#: More levels than data has, and few enough for what walks over them, however deep the caller's own stack is.
_MAX_LEVELS = 100


def decode(text: str) -> Any:
    """Decode strictly.

    Raises:
        JSONDecodeError: not JSON.
        ValueError: a key twice in one object, or a number that is not finite.
        RecursionError: nested too deeply.
    """
    value = _DECODER.decode(text)
    if text.count("[") + text.count("{") > _MAX_LEVELS and _is_deeper(value, _MAX_LEVELS):
        raise RecursionError(f"more than {_MAX_LEVELS} levels")
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    """Say whether lists and objects stand in each other more than so many times."""
    held = [value]
    for _ in range(levels):
        lists = [item.values() if isinstance(item, dict) else item for item in held if _is_nested(item)]
        held = [inner for items in lists for inner in items]
    return any(map(_is_nested, held))


def _is_nested(value: Any) -> bool:
    return isinstance(value, list | dict)


def lone_surrogate(value: Any, place: str) -> tuple[str, str]:
    """Return the key path and the first lone surrogate below a JSON value; two empty strings for none."""
    if isinstance(value, str):
        return place, next((character for character in value if "\ud800" <= character <= "\udfff"), "")
    inner: Iterable[tuple[str, Any]] = ()
    if isinstance(value, dict):
        inner = [(f"{place}.{key}".lstrip("."), item) for key, item in value.items()]
        if any("\ud800" <= character <= "\udfff" for key in value for character in key):
            bad = next(character for key in value for character in key if "\ud800" <= character <= "\udfff")
            return place or "a key", bad
    elif isinstance(value, list):
        inner = [(f"{place}[{position}]", item) for position, item in enumerate(value)]
    for inner_place, item in inner:
        below = lone_surrogate(item, inner_place)
        if below[1]:
            return below
    return place, ""
