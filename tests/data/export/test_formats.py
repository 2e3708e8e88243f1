"""What each format looks like, what it refuses, and that files appear whole or not at all."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from modwright.cli.app import app, load_commands
from modwright.data.columnar import pl
from modwright.data.dataset import read_dataset, write_dataset
from modwright.data.export import ExportFormat, ExportOptions, export_dataset
from modwright.errors import DataError, NotFoundError, UsageError

ROWS = (
    '{"text": "you are a silly goose", "labels": {"t": ["rude"], "tone": "cold"}, "id": "k1", "weight": 2, "lang": "en"}\n'
    '{"text": "hello", "labels": {"t": [], "tone": "warm"}, "lang": null}\n'
    '{"prompt": "p", "response": "r", "labels": {"t": {"rude": 0.5, "loud": null}}, "lang": "de"}\n'
    '{"text": "loud", "labels": {"t": ["loud"], "tone": "cold"}, "lang": "de"}\n'
)
CERTAIN = '{"text": "a", "labels": {"t": ["rude"]}}\n{"text": "b", "labels": {"t": []}}\n'


@pytest.fixture
def dataset(load):
    return load({"a.jsonl": ROWS, "b.jsonl": ROWS}, {"b.jsonl": "test"}).dataset


@pytest.fixture
def certain(load):
    return load({"a.jsonl": CERTAIN}).dataset


def write(dataset, out, file_format="factory", **options):
    return export_dataset(dataset, ExportOptions(ExportFormat(file_format), out, **options))


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_factory_says_all_it_knows_and_no_more(dataset, tmp_path):
    summary = write(dataset, tmp_path / "o")
    first, second, third, _ = read(tmp_path / "o" / "train.jsonl")
    assert first == {
        "text": "you are a silly goose",
        "labels": {"t": ["rude"], "tone": "cold"},
        "id": "k1",
        "weight": 2.0,
        "lang": "en",
    }
    assert (second["labels"], second["lang"]) == ({"t": [], "tone": "warm"}, None)
    assert third["labels"] == {"t": {"rude": 0.5, "loud": None}}
    assert third["messages"][1] == {"role": "assistant", "content": "r"}
    assert "text" not in third
    assert {split: file["rows"] for split, file in summary.files.items()} == {"train": 4, "test": 4}
    assert summary.back.startswith("modwright data import --split train=")
    manifest = json.loads((tmp_path / "o" / "export.json").read_text())
    assert manifest["dataset"] == dataset.id
    assert manifest["steps"] == dataset.provenance["steps"]


def test_safe_is_written_where_nothing_holds(dataset, certain, tmp_path):
    write(dataset, tmp_path / "o", safe="safe")
    assert [row["labels"]["t"] for row in read(tmp_path / "o" / "train.jsonl")] == [
        ["rude"],
        ["safe"],
        {"rude": 0.5, "loud": None},
        ["loud"],
    ]
    write(certain, tmp_path / "c", "openai", safe="safe")
    assert [row["messages"][-1]["content"] for row in read(tmp_path / "c" / "train.jsonl")] == [
        '["rude"]',
        '["safe"]',
    ]
    with pytest.raises(UsageError, match="'rude' is a label of 't' already"):
        write(dataset, tmp_path / "x", safe="rude")
    with pytest.raises(UsageError, match="--safe means nothing to --format csv"):
        write(dataset, tmp_path / "x", "csv", safe="safe")


def test_csv_has_a_column_for_each_label(dataset, certain, tmp_path):
    write(dataset, tmp_path / "o", "csv", splits=("test",))
    assert [path.name for path in sorted((tmp_path / "o").iterdir())] == ["export.json", "test.csv"]
    frame = pl.read_csv(tmp_path / "o" / "test.csv")
    assert frame.columns == [
        "id",
        "text",
        "messages",
        "weight",
        "t/rude",
        "t/loud",
        "tone/cold",
        "tone/warm",
        "lang",
    ]
    assert frame["t/rude"].to_list() == [1.0, 0.0, 0.5, 0.0]
    assert frame["t/loud"].to_list() == [0, 0, None, 1]
    write(certain, tmp_path / "c.csv", "csv")
    assert (tmp_path / "c.csv").read_text() == '"id","text","t/rude"\n"train-1","a",1\n"train-2","b",0\n'


def test_pairs_are_two_columns_in_csv(load, tmp_path):
    dataset = load({"a.csv": 'prompt,response,rude\np,"r,""",1\n'}, labels=("rude",)).dataset
    write(dataset, tmp_path / "o.csv", "csv")
    assert (tmp_path / "o.csv").read_text().splitlines()[1] == '"train-1","p","r,""",1'


def test_openai_carries_one_certain_target(dataset, certain, tmp_path):
    with pytest.raises(UsageError, match=r"found the targets t, tone.*--target t"):
        write(dataset, tmp_path / "o", "openai")
    with pytest.raises(DataError, match=r"1 rows have labels that are not all known.*--drop-unknown"):
        write(dataset, tmp_path / "o", "openai", target="t")
    summary = write(dataset, tmp_path / "o", "openai", target="tone", drop_unknown=True)
    answers = [row["messages"][-1] for row in read(tmp_path / "o" / "train.jsonl")]
    assert [answer["content"] for answer in answers] == ["cold", "warm", "cold"]
    assert any("other targets are not written: t" in note for note in summary.notes)
    assert any("weights are not written: 2 rows" in note for note in summary.notes)
    write(certain, tmp_path / "c.jsonl", "openai")
    assert read(tmp_path / "c.jsonl")[0] == {
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": '["rude"]'}]
    }


def test_soft_labels_need_a_threshold_in_openais_form(load, tmp_path):
    rows = "".join(f'{{"text": "{row}", "labels": {{"t": {{"x": {row / 10}}}}}}}\n' for row in range(11))
    dataset = load({"a.jsonl": rows}).dataset
    with pytest.raises(DataError, match=r"9 rows have soft labels.*--threshold '> 0\.5'"):
        write(dataset, tmp_path / "o", "openai")
    assert not (tmp_path / "o").exists()
    summary = write(dataset, tmp_path / "o", "openai", threshold=">= median")
    answers = [row["messages"][-1]["content"] for row in read(tmp_path / "o" / "train.jsonl")]
    assert answers == ["[]"] * 5 + ['["x"]'] * 6
    assert "label 'x' is written where it is >= 0.5" in summary.notes


def test_names_that_readers_would_misread_are_changed_and_recorded(load, tmp_path):
    dataset = load(
        {"a.csv": "text,rude,labels,prompt,prompt_\na,1,x,y,z\nb,0,x,y,z\n"}, labels=("rude",)
    ).dataset
    summary = write(dataset, tmp_path / "o")
    assert {"labels_", "prompt__", "prompt_"} < set(read(tmp_path / "o" / "train.jsonl")[0])
    assert "the column 'prompt' is called 'prompt__' here" in summary.notes


def test_what_a_format_cannot_hold_is_refused(load, tmp_path):
    dataset = load({"a.jsonl": '{"text": "a\\u0000", "labels": {"t": ["x"]}}\n'}).dataset
    with pytest.raises(DataError, match="field 'text': 1 values hold a NUL byte"):
        write(dataset, tmp_path / "o", "csv")
    classes = load(
        {"b.jsonl": '{"text": "a", "labels": {"t": "[x]"}}\n{"text": "b", "labels": {"t": "y"}}\n'}
    ).dataset
    with pytest.raises(UsageError, match="begins with"):
        write(classes, tmp_path / "o", "openai")
    with pytest.raises(NotFoundError, match="no split 'dev'"):
        write(dataset, tmp_path / "o", splits=("dev",))
    with pytest.raises(DataError, match="has no rows to write"):
        write(
            type(dataset)(dataset.schema, {"train": dataset.splits["train"].clear()}, {}, "x"), tmp_path / "o"
        )
    assert not any(path.name.startswith(("o", ".o")) for path in tmp_path.iterdir())


def test_nothing_but_an_export_is_replaced(dataset, tmp_path):
    write(dataset, tmp_path / "o")
    with pytest.raises(UsageError, match="--replace"):
        write(dataset, tmp_path / "o", "csv")
    write(dataset, tmp_path / "o", "csv", replace=True)
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [
        "export.json",
        "test.csv",
        "train.csv",
    ]
    write_dataset(dataset, tmp_path / "d")
    with pytest.raises(UsageError, match=r"no export\.json"):
        write(dataset, tmp_path / "d", replace=True)
    assert read_dataset(tmp_path / "d").id == dataset.id
    with pytest.raises(UsageError, match="found 2 splits for one file"):
        write(dataset, tmp_path / "o.csv", "csv")
    write(dataset, tmp_path / "o.csv", "csv", splits=("train",))
    with pytest.raises(UsageError, match="exists already"):
        write(dataset, tmp_path / "o.csv", "csv", splits=("train",))
    write(dataset, tmp_path / "o.csv", "csv", splits=("test",), replace=True)


def test_many_chunks_are_one_file(certain, tmp_path, monkeypatch):
    monkeypatch.setattr("modwright.data.export.run._CHUNK_ROWS", 1)
    for file_format in ExportFormat:
        write(certain, tmp_path / file_format, file_format)
    assert len((tmp_path / "csv" / "train.csv").read_text().splitlines()) == 3
    assert len(read(tmp_path / "factory" / "train.jsonl")) == 2


def test_the_command(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_dataset(dataset, tmp_path / "d")

    def run(*arguments):
        result = CliRunner().invoke(load_commands() and app, ["data", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    body = json.loads(run("export", "d", "--out", "o", "--format", "csv", "--json"))
    assert body["files"]["train"]["rows"] == 4
    shown = run("export", "d", "--out", "o", "--replace", "--safe", "safe")
    back = shown.splitlines()[-1].removeprefix("read it again: modwright data ").replace("DIR", "again")
    run(*back.split())
    assert read_dataset(tmp_path / "again").id == dataset.id
    with pytest.raises(UsageError, match="did you mean 'openai'"):
        run("export", "d", "--out", "o", "--format", "openia")
    with pytest.raises(UsageError, match="--schema says all about the labels"):
        run(*back.split(), "--kind", "multi_label")


def test_what_is_not_an_export_is_never_replaced(certain, tmp_path):
    own, folder = tmp_path / "own.csv", tmp_path / "o"
    own.write_text("text\nmine\n")
    with pytest.raises(UsageError, match="is no earlier export and is not replaced"):
        write(certain, own, "csv", replace=True)
    assert own.read_text() == "text\nmine\n"
    own.rename(tmp_path / "new.csv.export.json")
    with pytest.raises(UsageError, match="was not written by an export"):
        write(certain, tmp_path / "new.csv", "csv")
    write(certain, folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"no part of an export and is not replaced: notes\.txt"):
        write(certain, folder, "csv", replace=True)
    assert (folder / "notes.txt").read_text() == "mine"
    (folder / "notes.txt").unlink()
    (folder / "export.json").write_text("{}")
    with pytest.raises(UsageError, match="was not written by an export"):
        write(certain, folder, replace=True)
