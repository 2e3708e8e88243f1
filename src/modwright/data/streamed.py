"""A dataset folder from a stream of frames: the same bytes and id as `write_dataset`, with a chunk in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from modwright.data.columnar import pl
from modwright.data.dataset import (
    MANIFEST,
    NOT_CONTENT,
    hash_values,
    holds,
    refuse_unfit_split,
    write_manifest,
)
from modwright.errors import DataError
from modwright.files import has_leftovers, link_or_copy, sha256_json, staged_folder
from modwright.schema import Schema

_ROWS = 100_000

Frames = Callable[[], Iterator[pl.DataFrame]]


def write_streamed(
    schema: Schema,
    splits: Mapping[str, Frames],
    provenance: Mapping[str, Any],
    out: Path,
    folder: Path,
    *,
    replace: bool = False,
) -> tuple[str, bool]:
    """Write a dataset folder, whole or not at all; the identical dataset in its place is left as it is.

    Args:
        schema: targets and labels.
        splits: name to the frames of its rows, each as a dataset has them, all of one type.
        provenance: sources and steps.
        out: the folder of the dataset.
        folder: where files may lie meanwhile, best on the same disk; who made it removes it.
        replace: whether another dataset in `out` may be replaced.

    Returns:
        The dataset's id, and whether `out` held it already.

    Raises:
        DataError: a split without rows.
        UsageError: `out` holds something else and `replace` is not set.
    """
    files = {name: _written(frames(), name, schema, folder) for name, frames in splits.items()}
    parts = {name: _file_hash(path) for name, path in files.items()}
    identity = sha256_json({"schema": schema.to_json(), "splits": sorted(parts.items())})
    unchanged = holds(out, identity)
    if unchanged and not has_leftovers(out):
        return identity, True
    with staged_folder(out, replace=replace or unchanged, only=MANIFEST) as staging:
        for name, path in files.items():
            link_or_copy(path, staging / f"{name}.parquet")
        rows = {name: _rows(path) for name, path in files.items()}
        write_manifest(staging, identity, schema, rows, provenance)
    return identity, unchanged


def _written(frames: Iterator[pl.DataFrame], name: str, schema: Schema, folder: Path) -> Path:
    """Write a split's frames into one Parquet file."""
    from polars.io.plugins import register_io_source

    first = next(frames, None)
    if first is None:
        raise DataError(f"the split '{name}' has no rows", remedy="loosen the steps, or leave the split out")
    refuse_unfit_split(name, first.columns, schema)

    def source(*_: Any) -> Iterator[pl.DataFrame]:
        yield first
        yield from frames

    path = folder / f"{name}.parquet"
    lazy = register_io_source(source, schema=first.schema)
    lazy.sink_parquet(path, compression="zstd", statistics=False, row_group_size=_ROWS, engine="streaming")
    return path


def _rows(path: Path) -> int:
    return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())


def _file_hash(path: Path) -> str:
    """Return the hash of a split's content, column by column, as a frame in memory has it."""
    digest = hashlib.sha256()
    lazy = pl.scan_parquet(path, glob=False)
    rows = _rows(path)
    for name, dtype in lazy.collect_schema().items():
        if name in NOT_CONTENT:
            continue
        digest.update(f"{name}\0{dtype}\0{rows}\0".encode())
        column = lazy.select(name)
        for start in range(0, rows, _ROWS):
            hash_values(digest, column.slice(start, _ROWS).collect().to_series())
    return digest.hexdigest()
