"""A dataset's id is its content: nothing else changes it, everything of it does."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np
from drawn_datasets import datasets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modwright.data.columnar import pl
from modwright.data.dataset import hash_values, make_dataset, read_dataset, write_dataset
from modwright.files import sha256_json

NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
JSON = st.recursive(
    st.none() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3),
)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(datasets(), NAMES, st.lists(st.dictionaries(NAMES, JSON, max_size=3), max_size=3), st.integers(1, 4))
def test_paths_sources_steps_and_chunks_are_not_content(dataset, name, steps, chunk):
    """Where rows lie in memory and on disk, what they were made from and how, do not matter."""
    chunked = {
        split: pl.concat(
            [frame[at : at + chunk] for at in range(0, len(frame), chunk)], rechunk=False
        ).with_columns(source=pl.lit(name))
        for split, frame in reversed(dataset.splits.items())
    }
    other = make_dataset(dataset.schema, chunked, {"sources": [{"file": name}], "steps": steps})
    assert other.id == dataset.id
    with tempfile.TemporaryDirectory() as scratch:
        read = read_dataset(write_dataset(other, Path(scratch) / name))
    assert (read.id, read.provenance) == (dataset.id, other.provenance)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(datasets(), st.data())
def test_any_cell_is_content(dataset, data):
    split = data.draw(st.sampled_from(sorted(dataset.splits)))
    frame = dataset.splits[split]
    name = data.draw(st.sampled_from([name for name in frame.columns if name not in ("source", "messages")]))
    row = data.draw(st.integers(0, len(frame) - 1))
    old = frame[name][row]
    if old is None:
        new = {pl.String: "", pl.Boolean: False, pl.Int64: 0, pl.Float64: 0.0}[frame.schema[name]]
    else:
        new = None
    values = frame[name].to_list()
    values[row] = new
    changed = frame.with_columns(pl.Series(name, values, dtype=frame.schema[name]))
    assert make_dataset(dataset.schema, {**dataset.splits, split: changed}, {}).id != dataset.id


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(datasets())
def test_ids_stay_what_they_were(dataset):
    """The hash as it was first written, value by value; folders made since then must still verify."""
    parts = {split: _first_hash(frame) for split, frame in dataset.splits.items()}
    whole = {"schema": dataset.schema.to_json(), "splits": sorted(parts.items())}
    assert dataset.id == sha256_json(whole)


def _first_hash(frame):
    digest = hashlib.sha256()
    for series in frame:
        if series.name != "source":
            digest.update(f"{series.name}\0{series.dtype}\0{len(series)}\0".encode())
            _feed(digest, series.dtype, series.to_list())
    return digest.hexdigest()


def _feed(digest, dtype, values):
    digest.update(np.array([value is None for value in values], dtype=bool).tobytes())
    if dtype == pl.String:
        texts = [(value or "").encode() for value in values]
        digest.update(np.array([len(text) for text in texts], dtype="<i8").tobytes())
        digest.update(b"".join(texts))
    elif isinstance(dtype, pl.List):
        digest.update(np.array([len(value or ()) for value in values], dtype="<i8").tobytes())
        turns = [turn for value in values for turn in value or ()]
        for key in ("role", "content") if turns else ():
            _feed(digest, pl.String, [turn[key] for turn in turns])
    else:
        number = "<f8" if dtype == pl.Float64 else "<i8"
        digest.update(np.array([value or 0 for value in values], dtype=number).tobytes())


def test_minus_zero_is_zero():
    frame = pl.DataFrame({"a": [0.0, 1.0]})
    assert _hash(frame) == _hash(pl.DataFrame({"a": [-0.0, 1.0]})) != _hash(pl.DataFrame({"a": [0.5, 1.0]}))


def _hash(frame):
    digest = hashlib.sha256()
    hash_values(digest, frame["a"])
    return digest.hexdigest()
