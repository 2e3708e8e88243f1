"""A dataset written in any format and imported again is the dataset, as far as the format says it is."""

from __future__ import annotations

import json
import shlex
import tempfile
from pathlib import Path

import numpy as np
import pytest
from drawn_datasets import TEXTS, datasets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from modwright.cli.app import app, load_commands
from modwright.data.assemble import context_groups
from modwright.data.columnar import pl
from modwright.data.dataset import Dataset, make_dataset, read_dataset
from modwright.data.export import ExportFormat, ExportOptions, export_dataset
from modwright.data.importing import load_dataset
from modwright.data.options import ImportOptions, Meaning
from modwright.data.recorded import read_recorded
from modwright.data.resplit import resplit
from modwright.schema import TargetKind
from modwright.testing import tiny_dataset


def there_and_back(dataset: Dataset, file_format: str, **options) -> tuple[Dataset, tuple[str, ...]]:
    """Export and import again, with the recorded schema."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        summary = export_dataset(dataset, ExportOptions(ExportFormat(file_format), out, **options))
        meaning = Meaning(recorded=read_recorded(out), openai=file_format == "openai")
        files = tuple((split, str(out / file["file"])) for split, file in summary.files.items())
        for _, file in files:
            if file.endswith("jsonl"):
                check_lines(Path(file))
        return load_dataset(ImportOptions((), out, files, meaning=meaning)).dataset, summary.notes


def check_lines(path):
    """Every line is one strict JSON object, however lines are broken."""
    content = path.read_bytes().decode("utf-8")
    for line in content.splitlines():
        assert isinstance(json.loads(line, parse_constant=pytest.fail), dict)
    assert content.endswith("\n")


def same(found: Dataset, expected: Dataset):
    assert found.schema == expected.schema
    for split, frame in expected.splits.items():
        one, other = found.splits[split].drop("source"), frame.drop("source")
        assert one.columns == other.columns
        assert one.schema == other.schema
        assert one.equals(other), (one, other)
    assert found.id == expected.id


SETTINGS = settings(max_examples=150, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(datasets())
@pytest.mark.parametrize("file_format", ["factory", "parquet"])
def test_factory_and_parquet_lose_nothing(file_format, dataset):
    found, _ = there_and_back(dataset, file_format)
    same(found, dataset)


@pytest.mark.parametrize("file_format", ["factory", "parquet", "csv"])
@pytest.mark.parametrize("name", ["*", "^.*$"])
def test_columns_named_like_patterns_are_columns(file_format, name):
    tiny = tiny_dataset()
    frames = {split: frame.with_columns(pl.lit("x").alias(name)) for split, frame in tiny.splits.items()}
    dataset = make_dataset(tiny.schema, frames, tiny.provenance)
    same(there_and_back(dataset, file_format)[0], dataset)


@SETTINGS
@given(datasets(strings=TEXTS.map(lambda text: text.replace("\0", ""))))
def test_csv_loses_nothing(dataset):
    found, _ = there_and_back(dataset, "csv")
    same(found, dataset)


@SETTINGS
@given(datasets(soft=False))
def test_a_label_for_nothing_is_taken_out_again(dataset):
    if any(target.kind is TargetKind.MULTI_LABEL for target in dataset.schema.targets):
        found, _ = there_and_back(dataset, "factory", safe="nothing at all")
        same(found, dataset)


@SETTINGS
@given(datasets(soft=False, most_targets=1, extras=st.just({})))
def test_openai_keeps_inputs_and_certain_labels(dataset):
    target = dataset.schema.targets[0]
    if target.kind is TargetKind.SINGLE_LABEL and any(label.startswith("[") for label in target.labels):
        return
    found, notes = there_and_back(dataset, "openai")
    expected = {}
    for split, frame in dataset.splits.items():
        first = pl.col("messages").list.first().struct
        alone = (pl.col("messages").list.len() == 1) & (first.field("role") == "user")
        expected[split] = frame.with_columns(
            text=pl.when(alone).then(first.field("content")).otherwise("text"),
            messages=pl.when(~alone.fill_null(False)).then("messages"),
            id=pl.format(f"{split}-{{}}", pl.int_range(1, pl.len() + 1)),
            weight=pl.lit(1.0),
            group=context_groups(frame["messages"]),
        )
    same(found, make_dataset(dataset.schema, expected, {}))
    weighted = any((frame["weight"] != 1).any() for frame in dataset.splits.values())
    assert any(note.startswith("weights") for note in notes) == weighted
    follow = [frame["group"].equals(context_groups(frame["messages"])) for frame in dataset.splits.values()]
    assert any(note.startswith("groups") for note in notes) == (not all(follow))


def test_without_the_recorded_schema_names_and_values_still_return(load):
    rows = (
        '{"text": "a", "labels": {"t": ["x"]}, "n": 1}\n{"text": "b", "labels": {"t": {"y": 0.7}}, "n": 2}\n'
    )
    dataset = load({"a.jsonl": rows}).dataset
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("a.jsonl", "a.csv", "a.parquet"):
            out = Path(scratch) / name
            file_format = "factory" if name.endswith("jsonl") else name.partition(".")[2]
            export_dataset(dataset, ExportOptions(ExportFormat(file_format), out))
            found = load_dataset(ImportOptions((str(out),), Path(scratch) / "d")).dataset
            assert found.schema == dataset.schema
            for column in ("t/x", "t/y"):
                one, other = (data.splits["train"][column].to_list() for data in (found, dataset))
                np.testing.assert_equal(one, other)


@pytest.mark.parametrize("file_format", ["factory", "csv", "parquet"])
def test_the_groups_of_a_split_come_back(load, file_format):
    rows = [
        {"prompt": f"p{row}", "response": "r", "user": f"u{row // 2}", "labels": {"t": ["x"] * (row % 2)}}
        for row in range(8)
    ]
    dataset = load({"a.jsonl": "".join(json.dumps(row) + "\n" for row in rows)}).dataset
    kept = resplit(dataset, {"train": 0.5, "test": 0.5}, 0, "user")
    found, notes = there_and_back(kept, file_format)
    assert found.id == kept.id
    assert "the groups of rows are the column 'group': give --schema to have them back" in notes
    _, notes = there_and_back(kept, "openai")
    assert any(note.startswith("groups are not written: ") for note in notes)


AWKWARD = {
    "classes": '{"text": "a", "labels": {"t": "x"}}\n{"text": "b", "labels": {"t": "y"}}\n',
    "mixed": '{"text": "a", "labels": {"t": ["x"]}}\n{"prompt": "p", "response": "r", "labels": {"t": []}}\n',
    "slash": '{"text": "a", "labels": {"t": ["x"]}, "a/b": 1}\n{"text": "b", "labels": {"t": []}, "a/b": 0}\n',
    "unseen": '{"text": "a", "labels": {"t": {"x": 1, "y": 0}}}\n{"text": "b", "labels": {"t": []}}\n',
}


@pytest.mark.parametrize("rows", AWKWARD)
@pytest.mark.parametrize("name", ["o.jsonl", "o.csv", "o.parquet"])
def test_the_command_of_one_file_gives_the_dataset_back(load, tmp_path, rows, name):
    dataset = load({"a.jsonl": AWKWARD[rows]}).dataset
    file_format = ExportFormat(name.partition(".")[2].replace("jsonl", "factory"))
    safe = "safe" if name == "o.jsonl" and rows != "classes" else None
    back = export_dataset(dataset, ExportOptions(file_format, tmp_path / name, safe=safe)).back
    program, *words = shlex.split(back.replace("DIR", str(tmp_path / "again")))
    assert program == "modwright"
    assert CliRunner().invoke(load_commands() and app, words, catch_exceptions=False).exit_code == 0
    same(read_dataset(tmp_path / "again"), dataset)
