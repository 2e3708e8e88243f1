"""Dataset folders: round trip, identity of content, verification, re-splitting."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modwright.data.columnar import pl
from modwright.data.dataset import groups, labels, make_dataset, read_dataset, write_dataset
from modwright.data.resplit import parse_fractions, resplit
from modwright.errors import DataError, IntegrityError, NotFoundError, UsageError

ROWS = (
    '{"text": "a", "labels": {"t": {"x": 0.5, "y": null}}, "n": 1}\n'
    '{"prompt": "p", "response": "r", "labels": {"t": ["x"]}, "ok": true}\n'
    '{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "é"}], '
    '"labels": {"t": ["y"]}}\n'
)


@pytest.fixture
def dataset(load):
    return load({"a.jsonl": ROWS, "b.jsonl": ROWS}, {"b.jsonl": "test"}).dataset


def test_round_trip(dataset, tmp_path):
    read = read_dataset(write_dataset(dataset, tmp_path / "d"))
    assert (read.id, read.schema, read.provenance) == (dataset.id, dataset.schema, dataset.provenance)
    for name, frame in dataset.splits.items():
        assert read.splits[name].equals(frame)
        assert read.splits[name].schema == frame.schema


def test_bytes_and_id_do_not_depend_on_when_or_where(dataset, tmp_path, load):
    write_dataset(dataset, tmp_path / "one")
    write_dataset(dataset, tmp_path / "two")
    for name in ("dataset.json", "train.parquet", "test.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    elsewhere = load({"other name.jsonl": ROWS, "b.jsonl": ROWS}, {"b.jsonl": "test"}).dataset
    assert elsewhere.id == dataset.id


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"a"', '"b"'),
        ("0.5", "0.6"),
        ("null", "0"),
        ('"n": 1', '"n": 2'),
        ('"n"', '"m"'),
        ('"s"', '"S"'),
        ("true", "false"),
    ],
)
def test_every_change_of_content_changes_the_id(dataset, load, old, new):
    changed = load({"a.jsonl": ROWS.replace(old, new, 1), "b.jsonl": ROWS}, {"b.jsonl": "test"}).dataset
    assert changed.id != dataset.id


def test_reading_verifies(dataset, tmp_path):
    folder = write_dataset(dataset, tmp_path / "d")
    manifest = json.loads((folder / "dataset.json").read_text())
    manifest["schema"]["targets"][0]["negative_labels"] = ["x"]
    (folder / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match="the content has the id"):
        read_dataset(folder)
    write_dataset(dataset, folder, replace=True)
    damaged = bytearray((folder / "train.parquet").read_bytes())
    damaged[100] ^= 1
    (folder / "train.parquet").write_bytes(damaged)
    with pytest.raises(IntegrityError, match="sha256 is"):
        read_dataset(folder)
    (folder / "train.parquet").unlink()
    with pytest.raises(IntegrityError, match="file is missing"):
        read_dataset(folder)
    manifest["format_version"] = 99
    (folder / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match="version 99, expected"):
        read_dataset(folder)
    with pytest.raises(NotFoundError, match="no such dataset folder"):
        read_dataset(tmp_path / "nothing")


def test_writing_again_is_fine_and_writing_over_needs_leave(dataset, tmp_path, load):
    folder = write_dataset(dataset, tmp_path / "d")
    before = (folder / "train.parquet").stat().st_ino
    write_dataset(dataset, folder)
    assert (folder / "train.parquet").stat().st_ino == before
    other = load({"a.jsonl": ROWS}).dataset
    with pytest.raises(UsageError, match=r"holds something else.*--replace"):
        write_dataset(other, folder)
    write_dataset(other, folder, replace=True)
    assert read_dataset(folder).id == other.id
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_frame_must_have_the_schemas_columns(dataset):
    frame = dataset.splits["train"].drop("t/x")
    with pytest.raises(UsageError, match="split 'train' begins with"):
        make_dataset(dataset.schema, {"train": frame}, {})


@pytest.fixture
def many(load):
    rows = "".join(
        json.dumps(
            {
                "prompt": f"p{row // 3}",
                "response": f"r{row}",
                "who": f"w{row % 40}",
                "labels": {"t": ["x"] * (row % 4 == 0)},
            }
        )
        + "\n"
        for row in range(300)
    )
    return load({"a.jsonl": rows, "t.jsonl": ROWS.splitlines()[1]}, {"t.jsonl": "test"}).dataset


def test_resplitting_deals_the_training_rows_alone(many):
    split = resplit(many, {"train": 0.8, "validation": 0.2}, seed=1)
    assert list(split.splits) == ["train", "validation", "test"]
    assert split.splits["test"].equals(many.splits["test"])
    ids = [set(split.splits[name]["id"]) for name in ("train", "validation")]
    assert not ids[0] & ids[1]
    assert len(ids[0] | ids[1]) == 300
    assert abs(len(ids[1]) - 60) <= 3
    one, two = (set(groups(split.splits[name])) for name in ("train", "validation"))
    assert not one & two
    positives = [
        int(np.nansum(labels(split.splits[name], many.schema.target("t"))))
        for name in ("train", "validation")
    ]
    assert abs(positives[1] - 15) <= 2
    assert split.id == resplit(many, {"train": 0.8, "validation": 0.2}, seed=1).id
    assert split.provenance["steps"][-1]["seed"] == 1


def test_a_column_can_hold_rows_together(many):
    frame = pl.concat([many.splits["train"]]).with_columns(
        who=pl.col("who").str.slice(0, 1) + pl.col("group").str.slice(0, 1)
    )
    split = resplit(make_dataset(many.schema, {"train": frame}, {}), {"train": 0.6, "test": 0.4}, 0, "who")
    assert not set(split.splits["train"]["who"]) & set(split.splits["test"]["who"])
    with pytest.raises(UsageError, match="did you mean 'who'"):
        resplit(many, {"train": 0.8, "validation": 0.2}, 0, "whoo")


def test_what_cannot_be_split_is_said(many, dataset):
    with pytest.raises(UsageError, match="already has a split 'test'"):
        resplit(many, {"train": 0.8, "test": 0.2}, 0)
    with pytest.raises(DataError, match="would be empty"):
        resplit(dataset, {"train": 0.98, "a": 0.01, "b": 0.005, "c": 0.005}, 0)
    assert parse_fractions("train=0.8, test=.2") == {"train": 0.8, "test": 0.2}
    for wrong in ("train", "train=x", "=1", "a=0.5,a=0.5"):
        with pytest.raises(UsageError, match="expected NAME=SHARE"):
            parse_fractions(wrong)
