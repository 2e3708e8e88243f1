"""The schema an export or a dataset wrote down, read back, so that importing its files changes nothing."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from modwright.data.options import Recorded
from modwright.errors import DataError, NotFoundError, SchemaError
from modwright.files import read_json
from modwright.schema import Schema

_NAMES = ("export.json", "dataset.json")


def shipped_schemas() -> tuple[str, ...]:
    """Return the names of the schemas that come with modwright."""
    return tuple(
        sorted(item.name.removesuffix(".json") for item in _shelf().iterdir() if item.name.endswith(".json"))
    )


def _shelf() -> Traversable:
    return resources.files("modwright") / "schemas"


def read_recorded(path: Path) -> Recorded:
    """Read `export.json` or `dataset.json`, or the one of the two that a folder holds; or a shipped schema by its name.

    Raises:
        NotFoundError: neither is there.
        DataError: it records no schema.
        IntegrityError: it is not JSON.
    """
    if str(path) in shipped_schemas() and not path.exists():
        with resources.as_file(_shelf() / f"{path}.json") as file:
            return read_recorded(file)
    if path.is_dir():
        path = next((path / name for name in _NAMES if (path / name).is_file()), path / _NAMES[0])
    if not path.is_file():
        raise NotFoundError(
            "no such file",
            where=str(path),
            remedy="name the export.json that lies beside exported files, a dataset.json, or a shipped schema: "
            + ", ".join(shipped_schemas()),
        )
    recorded = read_json(path)
    try:
        schema, columns = Schema.from_json(recorded["schema"]), _columns(recorded.get("columns", {}))
        return Recorded(schema, columns, recorded.get("safe"), recorded.get("group"))
    except (AttributeError, KeyError, TypeError, ValueError, SchemaError) as error:
        raise DataError(
            f"records no schema: {error}",
            file=str(path),
            remedy="give an export.json or a dataset.json as modwright writes it",
        ) from None


def _columns(columns: Any) -> dict[str, tuple[tuple[str, str, str], ...]]:
    return {
        split: tuple((str(name), str(own), str(dtype)) for name, own, dtype in kept)
        for split, kept in columns.items()
    }
