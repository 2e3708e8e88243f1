"""Samples are those of a streamed shuffle in the library `datasets`, and nothing beyond them is read."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modwright.data.given import GivenFile
from modwright.data.importing import load_dataset
from modwright.data.options import ImportOptions, Meaning, Reading
from modwright.data.sampling import Sampling
from modwright.errors import NotFoundError, UsageError


def places(rng: np.random.Generator, buffer: int) -> Iterator[int]:
    while True:
        yield from (int(place) for place in rng.integers(0, buffer, size=1000))


def streamed(rows: Iterable[int], seed: int, buffer: int) -> Iterator[int]:
    """Shuffle as BufferShuffledExamplesIterable does, row by row."""
    rng = np.random.default_rng(seed)
    random_places, held = places(rng, buffer), []
    for row in rows:
        if len(held) == buffer:
            place = next(random_places)
            yield held[place]
            held[place] = row
        else:
            held.append(row)
    rng.shuffle(held)
    yield from held


@given(
    rows=st.integers(0, 4_000),
    seed=st.integers(0, 2**40),
    buffer=st.integers(1, 2_500),
    take=st.none() | st.integers(1, 4_500),
)
@example(rows=1_000, seed=42, buffer=1_000, take=None)
@example(rows=3_000, seed=42, buffer=1_000, take=2_000)
@example(rows=3_001, seed=42, buffer=1, take=2_999)
def test_the_order_is_that_of_the_stream(rows, seed, buffer, take):
    sampling = Sampling(seed, buffer, take)
    expected = list(itertools.islice(streamed(range(rows), seed, buffer), take))
    assert sampling.order(rows).tolist() == expected
    if take is not None:
        assert sampling.order(min(rows, sampling.needed)).tolist() == expected


def test_without_a_seed_the_first_rows_are_taken():
    assert Sampling(take=3).order(5).tolist() == [0, 1, 2]
    assert Sampling(take=9).order(5).tolist() == [0, 1, 2, 3, 4]
    assert Sampling().order(3).tolist() == [0, 1, 2]


def test_the_usual_buffer_is_the_librarys():
    assert Sampling(seed=1).order(5_000).tolist() == list(streamed(range(5_000), 1, 1_000))


@pytest.mark.parametrize(
    "wrong", [{"seed": -1}, {"seed": 1, "buffer": 0}, {"buffer": 3}, {"take": 0}, {"seed": 1, "take": -2}]
)
def test_impossible_samples_are_refused(wrong):
    with pytest.raises(UsageError):
        Sampling(**wrong)


@pytest.fixture
def parts(tmp_path):
    """Three files of 100 rows; row n of the stream has the text `text n` and a label of its hundred."""
    files = []
    for part in range(3):
        path = tmp_path / f"part{part}.jsonl"
        records = (
            {"text": f"text {row}", "labels": {"tone": [f"only{part}", "any"]}, "number": row}
            for row in range(100 * part, 100 * part + 100)
        )
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        files.append(path)
    return files


def load(paths, sampling, **meaning):
    options = ImportOptions(
        tuple(map(str, paths)),
        paths[0].parent / "out",
        meaning=Meaning(**meaning),
        sampling={"train": sampling},
    )
    return load_dataset(options)


def test_a_sample_crosses_files_and_keeps_its_sources(parts):
    dataset = load(parts, Sampling(seed=7, buffer=150, take=120)).dataset
    frame = dataset.splits["train"]
    expected = list(itertools.islice(streamed(range(300), 7, 150), 120))
    assert frame["number"].to_list() == expected
    assert frame["id"].to_list() == [f"train-{place}" for place in range(1, 121)]
    assert frame["source"].to_list() == [f"{parts[row // 100]}:{row % 100 + 1}" for row in expected]
    assert [frame[f"tone/only{part}"].sum() for part in range(3)] == [
        sum(row // 100 == part for row in expected) for part in range(3)
    ]
    (step,) = [step for step in dataset.provenance["steps"] if step["step"] == "sample"]
    assert step["splits"] == {
        "train": {"seed": 7, "buffer": 150, "take": 120, "before": 270, "kept": 120, "dropped": 150}
    }
    counts = [source["rows"] for source in dataset.provenance["sources"]]
    assert counts == [sum(row // 100 == part for row in expected) for part in range(3)]


def test_labels_come_from_the_rows_that_were_taken(parts):
    (target,) = load(parts, Sampling(take=101)).dataset.schema.targets
    assert target.labels == ("only0", "any", "only1")
    (target,) = load(parts, Sampling(take=100)).dataset.schema.targets
    assert target.labels == ("only0", "any")


def test_files_beyond_the_sample_are_not_asked_for(parts):
    asked = []

    def files():
        for path in parts:
            asked.append(path.name)
            yield GivenFile(path, path.name)

    options = ImportOptions(
        (), parts[0].parent / "out", sampling={"train": Sampling(seed=1, buffer=50, take=60)}
    )
    dataset = load_dataset(options, None, {"train": files()}).dataset
    assert asked == ["part0.jsonl", "part1.jsonl"]
    assert dataset.splits["train"]["number"].to_list() == list(
        itertools.islice(streamed(range(300), 1, 50), 60)
    )


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_what_follows_the_sample_in_a_file_is_not_read(tmp_path, name):
    import polars as pl

    path, rows = tmp_path / name, 300_000
    frame = pl.DataFrame(
        {"text": [f"some text {row} " * 8 for row in range(rows)], "label": [1, 0] * (rows // 2)}
    )
    if name.endswith("csv"):
        frame.write_csv(path)
        path.write_bytes(path.read_bytes() + b"a,b,c,d\n")  # never met
    elif name.endswith("jsonl"):
        frame.write_ndjson(path)
        path.write_bytes(path.read_bytes() + b"{broken\n")
    else:
        frame.write_parquet(path)
    dataset = load([path], Sampling(take=10), labels=("label",)).dataset
    assert dataset.splits["train"]["text"].to_list() == frame["text"][:10].to_list()


def test_every_split_has_its_own_sample(parts):
    options = ImportOptions(
        (str(parts[0]),),
        parts[0].parent / "out",
        (("test", str(parts[1])),),
        Reading(),
        Meaning(declared={"tone": ("any", "only0", "only1")}, text="text"),
        sampling={"test": Sampling(take=5)},
    )
    with pytest.raises(Exception, match="'only1' was declared"):
        load_dataset(options)
    options = ImportOptions((str(parts[0]),), parts[0].parent / "out", sampling={"tset": Sampling(take=5)})
    with pytest.raises(NotFoundError, match="'tset'"):
        load_dataset(options)


def test_a_sample_larger_than_the_split_is_noted(parts):
    loaded = load(parts[:1], Sampling(take=500))
    assert "split 'train': 500 rows were to be taken, there are 100" in loaded.notes


def test_soft_and_unknown_labels_survive_a_sample(tmp_path):
    path = tmp_path / "soft.jsonl"
    stated = [{"a": 0.9, "b": None}, {"b": 0.2}, {"c": 1}, {"a": 0.1, "c": 0.0}]
    path.write_text("".join(json.dumps({"text": "t", "labels": {"m": one}}) + "\n" for one in stated))
    dataset = load([path], Sampling(take=2)).dataset
    (target,) = dataset.schema.targets
    assert target.labels == ("a", "b")
    assert dataset.splits["train"]["m/a"].to_list() == [0.9, None]
    assert dataset.splits["train"]["m/b"].to_list() == [None, 0.2]
