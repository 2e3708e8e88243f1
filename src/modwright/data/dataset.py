"""A dataset: checked rows in splits, under one frozen schema; as a folder, verified whenever it is read.

    dataset.json      format, schema, splits with their hashes, sources, steps, id; written last
    <split>.parquet   the rows

The id is the hash of the content: schema, split names and every column but `source`. Paths and times are not
part of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modwright.data.assemble import label_column, normalised
from modwright.data.columnar import pl
from modwright.data.options import check_split_name
from modwright.data.tables import INPUT_COLUMNS
from modwright.errors import IntegrityError, ModwrightError, NotFoundError, UsageError
from modwright.files import (
    has_leftovers,
    read_json,
    sha256_file,
    sha256_json,
    staged_folder,
    verify,
    write_json,
)
from modwright.schema import FloatArray, Input, Message, Role, Schema, Target, check_keys, text_input

FORMAT = "modwright-dataset"
FORMAT_VERSION = 1
MANIFEST = "dataset.json"
_KEYS = {"format", "format_version", "schema", "splits", "sources", "steps", "id"}
NOT_CONTENT = frozenset({"source"})
_HASHED_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Dataset:
    """Checked rows.

    Attributes:
        schema: targets and labels, frozen.
        splits: name to frame; columns are id, text, messages, weight, group, source,
            one f64 column "target/label" each, then other columns.
        provenance: `sources` (split, file, sha256, rows) and `steps` (what was done).
        id: hash of the content.
    """

    schema: Schema
    splits: dict[str, pl.DataFrame]
    provenance: dict[str, Any]
    id: str

    def split(self, name: str) -> pl.DataFrame:
        """Return a split's frame; raises NotFoundError that lists the splits."""
        if name not in self.splits:
            known = ", ".join(self.splits)
            raise NotFoundError(f"the dataset has no split '{name}'", remedy=f"it has {known}")
        return self.splits[name]


def make_dataset(
    schema: Schema, splits: Mapping[str, pl.DataFrame], provenance: Mapping[str, Any]
) -> Dataset:
    """Build a dataset and its id.

    Raises:
        UsageError: a split lacks a column of the schema, or its name cannot be a file's.
    """
    for name, frame in splits.items():
        refuse_unfit_split(name, frame.columns, schema)
    return Dataset(schema, dict(splits), dict(provenance), content_id(schema, splits))


def refuse_unfit_split(name: str, columns: Sequence[str], schema: Schema) -> None:
    """Raise UsageError where a split lacks a column of the schema, or its name cannot be a file's."""
    check_split_name(name)
    labels_of = [label_column(target, label) for target in schema.targets for label in target.labels]
    expected = [*INPUT_COLUMNS, *labels_of]
    if list(columns[: len(expected)]) != expected:
        raise UsageError(f"split '{name}' begins with {columns[: len(expected)]}, expected {expected}")


def content_id(schema: Schema, splits: Mapping[str, pl.DataFrame]) -> str:
    """Return the sha256 of schema and rows, whatever they were read from."""
    parts = {name: _frame_hash(frame) for name, frame in splits.items()}
    return sha256_json({"schema": schema.to_json(), "splits": sorted(parts.items())})


def _frame_hash(frame: pl.DataFrame) -> str:
    digest = hashlib.sha256()
    for series in frame:
        if series.name in NOT_CONTENT:
            continue
        digest.update(f"{series.name}\0{series.dtype}\0{len(series)}\0".encode())
        for start in range(0, len(series), _HASHED_ROWS):
            hash_values(digest, series.slice(start, _HASHED_ROWS))
    return digest.hexdigest()


def hash_values(digest: Any, series: pl.Series) -> None:
    """Feed a column's nulls, lengths and bytes, so that no two contents look alike."""
    series = series.alias("")  # polars would take a name like "^t.*$" for a pattern
    digest.update(series.is_null().to_numpy().tobytes())
    if series.dtype == pl.String:
        text = series.fill_null("")
        digest.update(text.str.len_bytes().to_numpy().astype("<i8").tobytes())
        digest.update((text.str.join("").item() or "").encode())
    elif isinstance(series.dtype, pl.List):
        digest.update(series.list.len().fill_null(0).to_numpy().astype("<i8").tobytes())
        turns = series.drop_nulls().explode()
        for key in ("role", "content") if len(turns) else ():
            hash_values(digest, turns.struct.field(key))
    else:
        filled = series.fill_null(False if series.dtype == pl.Boolean else 0).to_numpy()
        # Adding zero: -0.0 is 0.0.
        values = filled + 0.0 if series.dtype == pl.Float64 else filled
        digest.update(values.astype("<f8" if series.dtype == pl.Float64 else "<i8").tobytes())


def write_dataset(dataset: Dataset, folder: Path, *, replace: bool = False) -> Path:
    """Write a dataset as `store_dataset` does, and return its folder."""
    store_dataset(dataset, folder, replace=replace)
    return folder


def store_dataset(dataset: Dataset, folder: Path, *, replace: bool = False) -> bool:
    """Write a dataset folder, whole or not at all; the identical dataset in its place is left as it is.

    Returns:
        Whether the folder held it already.

    Raises:
        UsageError: the folder holds something else and `replace` is not set, or something that is no dataset.
    """
    unchanged = holds(folder, dataset.id)
    if unchanged and not has_leftovers(folder):
        return True
    # What a killed process left beside the identical dataset is cleared away by writing it again.
    with staged_folder(folder, replace=replace or unchanged, only=MANIFEST) as staging:
        for name, frame in dataset.splits.items():
            path = staging / f"{name}.parquet"
            frame.write_parquet(path, compression="zstd", statistics=False, row_group_size=_HASHED_ROWS)
        rows = {name: len(frame) for name, frame in dataset.splits.items()}
        write_manifest(staging, dataset.id, dataset.schema, rows, dataset.provenance)
    return unchanged


def write_manifest(
    folder: Path, identity: str, schema: Schema, rows: Mapping[str, int], provenance: Mapping[str, Any]
) -> None:
    """Write the manifest beside the finished files of all splits."""
    paths = {name: folder / f"{name}.parquet" for name in rows}
    splits = {
        name: {"file": path.name, "rows": rows[name], "sha256": sha256_file(path)}
        for name, path in paths.items()
    }
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "id": identity,
        "schema": schema.to_json(),
        "splits": splits,
        "sources": provenance.get("sources", []),
        "steps": provenance.get("steps", []),
    }
    write_json(folder / MANIFEST, manifest)


def holds(folder: Path, identity: str) -> bool:
    """Say whether a folder holds, undamaged, the dataset of that id."""
    try:
        return (folder / MANIFEST).is_file() and _manifest(folder)["id"] == identity
    except IntegrityError:
        return False


def _manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest and verify the files it promises; raises IntegrityError, whatever stands in it."""
    where = str(folder / MANIFEST)
    manifest: Any = read_json(folder / MANIFEST)
    try:
        return _checked(manifest, folder, where)
    except IntegrityError:
        raise
    except (ModwrightError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise IntegrityError(
            f"is malformed: {error}", where=where, remedy="it was changed by hand; import the data again"
        ) from None


def _checked(manifest: Any, folder: Path, where: str) -> dict[str, Any]:
    if manifest.get("format") != FORMAT or manifest.get("format_version") != FORMAT_VERSION:
        raise IntegrityError(
            f"is {manifest.get('format')!r} version {manifest.get('format_version')!r}, "
            f"expected {FORMAT!r} version {FORMAT_VERSION}",
            where=where,
            remedy="import the data again with this version",
        )
    check_keys(manifest, _KEYS, where)
    Schema.from_json(manifest["schema"])
    for name, split in manifest["splits"].items():
        check_split_name(name)
        if split["file"] != f"{name}.parquet":
            raise ValueError(f"the file of the split '{name}' is {split['file']!r}")
    verify(folder, {split["file"]: split["sha256"] for split in manifest["splits"].values()})
    result: dict[str, Any] = manifest
    return result


def read_dataset(folder: Path) -> Dataset:
    """Read a dataset folder and verify every byte and the id.

    Raises:
        NotFoundError: no such folder, or it is not a dataset.
        IntegrityError: a file is missing or changed.
    """
    if not (folder / MANIFEST).is_file():
        what = "is not a dataset: dataset.json is missing" if folder.is_dir() else "no such dataset folder"
        raise NotFoundError(what, where=str(folder), remedy="make one: modwright data import FILE --out DIR")
    manifest = _manifest(folder)
    schema = Schema.from_json(manifest["schema"])
    splits = {
        name: pl.read_parquet((folder / split["file"]).read_bytes())
        for name, split in manifest["splits"].items()
    }
    dataset = make_dataset(schema, splits, {"sources": manifest["sources"], "steps": manifest["steps"]})
    if dataset.id != manifest["id"]:
        raise IntegrityError(
            f"the content has the id {dataset.id[:16]}…, the manifest promises {str(manifest['id'])[:16]}…",
            where=str(folder / MANIFEST),
            remedy="the schema was changed by hand; import the data again",
        )
    return dataset


def inputs(frame: pl.DataFrame) -> list[Input]:
    """Return the (N,) inputs: a text as one user message, or the conversation."""
    columns = zip(frame["text"].to_list(), frame["messages"].to_list(), strict=True)
    return [
        text_input(text or "")
        if messages is None
        else tuple(Message(Role(turn["role"]), turn["content"]) for turn in messages)
        for text, messages in columns
    ]


def labels(frame: pl.DataFrame, target: Target) -> FloatArray:
    """Return the (N, L) labels of a target in 0..1, NaN unknown."""
    columns = [frame[label_column(target, label)].fill_null(np.nan).to_numpy() for label in target.labels]
    return np.stack(columns, axis=1).astype(np.float64)


def weights(frame: pl.DataFrame) -> FloatArray:
    """Return the (N,) row weights."""
    return frame["weight"].to_numpy().astype(np.float64)


def groups(frame: pl.DataFrame) -> list[str]:
    """Return the (N,) group keys: the row's group, else a key of its content, which duplicates share."""
    own = content_keys(frame)
    return [
        group if group is not None else key for group, key in zip(frame["group"].to_list(), own, strict=True)
    ]


def content_keys(frame: pl.DataFrame) -> list[str]:
    """Return (N,) keys that are equal where the normalised inputs are: sha256[:16]."""
    return [hashlib.sha256(content.encode()).hexdigest()[:16] for content in contents(frame).to_list()]


def content_hashes(frame: pl.DataFrame) -> pl.Series:
    """Return (N,) 64-bit hashes that are equal where the normalised inputs are; quick, and kept nowhere."""
    parts = [
        contents(frame[start : start + _HASHED_ROWS]).hash() for start in range(0, len(frame), _HASHED_ROWS)
    ]
    return pl.concat(parts).alias("key") if parts else pl.Series("key", [], dtype=pl.UInt64)


def contents(frame: pl.DataFrame) -> pl.Series:
    """Return (N,) normalised inputs: the text, or roles and turns; one user's turn is the same as its text."""
    texts = normalised(frame["text"].fill_null(""))
    turns = frame.select("messages").with_row_index("row").filter(pl.col("messages").is_not_null())
    if not len(turns):
        return texts
    turns = turns.explode("messages").select(
        "row",
        role=pl.col("messages").struct.field("role"),
        content=pl.col("messages").struct.field("content"),
    )
    turns = turns.with_columns(normalised(turns["content"]).alias("content"))
    joined = turns.group_by("row", maintain_order=True).agg(
        pl.concat_str("role", "content", separator="\0").str.join("\0").alias("whole"),
        plain=(pl.len() == 1) & (pl.col("role").first() == str(Role.USER)),
        alone=pl.col("content").first(),
    )
    whole = joined.select("row", conversation=pl.when("plain").then("alone").otherwise("whole"))
    rows = (
        pl.DataFrame({"text": texts})
        .with_row_index("row")
        .join(whole, on="row", how="left", maintain_order="left")
    )
    return rows.select(pl.coalesce("conversation", "text").alias("text")).to_series()
