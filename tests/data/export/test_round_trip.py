"""A dataset written in any format and imported again is the dataset, as far as the format says it is."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modwright.data.assemble import context_groups
from modwright.data.columnar import pl
from modwright.data.dataset import Dataset, make_dataset
from modwright.data.export import ExportFormat, ExportOptions, export_dataset
from modwright.data.importing import load_dataset
from modwright.data.options import ImportOptions, Meaning
from modwright.data.recorded import read_recorded
from modwright.data.tables import MESSAGES_TYPE
from modwright.schema import Schema, Target, TargetKind

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["\u2028", 'a"b', "a\nb", "a\r\nb", "\r", ",", "\x85", " ", "null", "\ufeff", "'", "\\", "[]", "😀"]
)
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="/"),
    min_size=1,
    max_size=4,
)
EXTRAS = st.dictionaries(
    NAMES | st.sampled_from(["labels", "label", "prompt", "response", "text_", "a/b", "group_"]),
    st.sampled_from([pl.String, pl.Int64, pl.Float64, pl.Boolean]),
    max_size=3,
)
SHARES = st.sampled_from([0.0, 1.0]) | st.floats(0, 1, allow_subnormal=True).map(abs)
VALUES = {
    pl.String: TEXTS,
    pl.Int64: st.integers(-(2**63), 2**63 - 1),
    pl.Float64: st.floats(allow_nan=False, allow_infinity=False),
    pl.Boolean: st.booleans(),
}


@st.composite
def targets(draw, name):
    names = draw(st.lists(NAMES.filter(lambda label: label.strip()), min_size=2, max_size=4, unique=True))
    kind = draw(st.sampled_from(list(TargetKind)))
    return Target.create(name, kind, names, draw(st.sets(st.sampled_from(names), max_size=1)))


def multi_row(draw, target, soft):
    if soft:
        return [draw(st.none() | SHARES) for _ in target.labels]
    return [draw(st.sampled_from([0.0, 1.0])) for _ in target.labels]


def single_row(draw, target, soft):
    chosen = draw(st.integers(0, len(target.labels) - 1))
    row = [float(place == chosen) for place in range(len(target.labels))]
    if soft and draw(st.booleans()):
        share = draw(st.floats(0.01, 0.99))
        row[chosen], row[chosen - 1] = share, 1.0 - share
    return [None] * len(row) if soft and draw(st.integers(0, 4)) == 0 else row


@st.composite
def frames(draw, schema, split, soft, conversations, extras, strings):
    number = draw(st.integers(1, 5))
    turns = st.lists(
        st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": strings}),
        min_size=1, max_size=3,
    )  # fmt: skip
    talks = [draw(turns) if conversations and draw(st.booleans()) else None for _ in range(number)]
    texts = [None if talk is not None else draw(strings) for talk in talks]
    messages = pl.Series(talks, dtype=MESSAGES_TYPE)
    columns = {
        "id": [
            f"{split}-{row}" if draw(st.booleans()) else f"k{row}{draw(strings)}" for row in range(number)
        ],
        "text": pl.Series(texts, dtype=pl.String),
        "messages": messages,
        "weight": [draw(st.sampled_from([1.0, 0.1, 3.0]) | st.floats(0, 1e9)) + 0.0 for _ in range(number)],
        "group": context_groups(messages),
        "source": [f"f:{row}" for row in range(number)],
    }
    for target in schema.targets:
        make = multi_row if target.kind is TargetKind.MULTI_LABEL else single_row
        rows = [make(draw, target, soft) for _ in range(number)]
        for place, label in enumerate(target.labels):
            columns[f"{target.name}/{label}"] = pl.Series([row[place] for row in rows], dtype=pl.Float64)
    for name, dtype in extras.items():
        while name in columns:
            name += "_"
        value = VALUES[dtype] if dtype != pl.String else strings
        columns[name] = pl.Series([draw(st.none() | value) for _ in range(number)], dtype=dtype)
    return pl.DataFrame(columns)


@st.composite
def datasets(draw, soft=True, most_targets=2, extras=EXTRAS, strings=TEXTS):
    schema = Schema(tuple(draw(targets(name)) for name in ("t", "u")[: draw(st.integers(1, most_targets))]))
    talks, others = draw(st.booleans()), draw(extras)
    splits = {
        split: draw(frames(schema, split, soft, talks, others, strings))
        for split in draw(st.sampled_from([("train",), ("train", "test")]))
    }
    return make_dataset(schema, splits, {"sources": [], "steps": []})


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
        )
    same(found, make_dataset(dataset.schema, expected, {}))
    weighted = any((frame["weight"] != 1).any() for frame in dataset.splits.values())
    assert any(note.startswith("weights") for note in notes) == weighted


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
