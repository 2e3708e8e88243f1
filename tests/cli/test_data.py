"""The data commands: options reach the functions, people and machines can read the output, codes hold."""

from __future__ import annotations

import json

import pytest
from rich.progress import Progress
from typer.testing import CliRunner

from modwright.cli.app import app
from modwright.cli.data.shown import source_progress
from modwright.data.dataset import read_dataset
from modwright.errors import DataError, UsageError

CSV = "text;score\nyou are a silly goose;0.9\nwhat a day;0.1\nhello;0.2\nwhat a goose;0.8\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text(CSV)

    def _run(*arguments):
        result = CliRunner().invoke(app, ["data", *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return _run


IMPORT = ("import", "a.csv", "--score", "score", "--delimiter", ";", "--out", "d")


def test_import_prints_a_table_and_notes(run, tmp_path):
    result = run(*IMPORT, "--threshold", ">= median")
    assert result.exit_code == 0
    assert "moderation (multi_label)" in result.stdout
    assert "note: label 'score' holds where the score is >= 0.5" in result.stdout
    assert "d: written, id " in result.stdout
    assert "already" in run(*IMPORT, "--threshold", ">= median").stdout
    assert read_dataset(tmp_path / "d").provenance["sources"][0]["file"] == "a.csv"


def test_import_as_json(run, tmp_path):
    body = json.loads(run(*IMPORT, "--target", "tone", "--json").stdout)
    assert body["rows"] == {"train": 4}
    assert body["targets"][0]["target"] == "tone"
    assert body["targets"][0]["labels"][0]["positives"] == {"train": 2}
    assert body["id"] == read_dataset(tmp_path / "d").id


def test_every_option_arrives(run, tmp_path):
    (tmp_path / "b.tsv").write_bytes('# first\nk1\t"q\tà\trude\t2\tx\n'.encode("cp1252"))
    (tmp_path / "c.tsv").write_bytes("# first\nk2\tq\tz\tkind\t1\ty\n".encode("cp1252"))
    (tmp_path / "d.tsv").write_bytes("# first\nk3\tq\tz\tkind\t1\ty\n".encode("cp1252"))
    how = "--no-header --quote none --skip-lines 1 --encoding windows-1252 --max-record-bytes 100"
    columns = "--id column_1 --prompt column_2 --response column_3 --label column_4 --weight column_5"
    labels = "--kind single_label --negative kind --declare moderation=kind,rude"
    files = "b.tsv c.tsv --split test=d.tsv --out o --json"
    result = run("import", *f"{files} {how} {columns} {labels}".split())
    assert result.exit_code == 0
    dataset = read_dataset(tmp_path / "o")
    (target,) = dataset.schema.targets
    assert (target.labels, target.negative_labels) == (("kind", "rude"), ("kind",))
    frame = dataset.splits["train"]
    assert frame["id"].to_list() == ["k1", "k2"]
    assert frame["weight"].to_list() == [2.0, 1.0]
    assert frame["messages"][0].to_list()[1]["content"] == "à"
    assert len(dataset.splits["test"]) == 1


def test_errors_of_data_and_usage(run):
    with pytest.raises(DataError, match=r"a\.csv:1: found one column.*--delimiter ';'") as caught:
        run("import", "a.csv", "--score", "score", "--out", "d")
    assert caught.value.exit_code == 3
    with pytest.raises(UsageError, match="--split is 'x'") as caught:
        run(*IMPORT, "--split", "x")
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match="--quote is 'some'"):
        run(*IMPORT, "--quote", "some")


def test_split_and_check(run, tmp_path):
    (tmp_path / "m.csv").write_text("text,rude\n" + "".join(f"text {row},{row % 2}\n" for row in range(100)))
    run("import", "m.csv", "--label", "rude", "--out", "d")
    split = run("split", "d", "--out", "s", "--fractions", "train=.7,dev=.3", "--seed", "3", "--json")
    body = json.loads(split.stdout)
    assert body["rows"] == {"train": 70, "dev": 30}
    assert body["targets"][0]["labels"][0]["positives"] == {"train": 35, "dev": 15}
    checked = run("check", "s")
    assert (checked.exit_code, checked.stdout) == (0, "s: 0 errors, 0 warnings, 0 notes\n")


def test_check_leaves_with_3_on_errors(run, tmp_path):
    result = run("check", "a.csv", "--score", "score", "--delimiter", ";", "--json")
    assert result.exit_code == 0
    assert [finding["code"] for finding in json.loads(result.stdout)["findings"]] == ["rare_label"]
    (tmp_path / "a.csv").write_text(CSV + " ;1\n")
    result = run("check", "a.csv", "--score", "score", "--delimiter", ";")
    assert result.exit_code == 3
    assert "│ error " in result.stdout
    assert "empty_text" in result.stdout
    assert "a.csv:6" in result.stdout


def test_a_dataset_needs_no_columns_named(run):
    run(*IMPORT, "--threshold", ">= median")
    with pytest.raises(UsageError, match="knows its columns"):
        run("check", "d", "--text", "nonsense")
    with pytest.raises(UsageError, match="knows its columns"):
        run("check", "d", "--take", "3")


def test_nothing_but_its_own_earlier_output_is_replaced(run, tmp_path, monkeypatch):
    run(*IMPORT, "--threshold", ">= median")
    for _ in range(2):
        run("check", "d", "--html", "page.html")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def never(*_, **__):
        raise AssertionError("refused before any work")

    monkeypatch.setattr("modwright.data.dataset.read_dataset", never)
    page, listed, folder = "is no page of findings", "is no list of label errors", "^d: is a folder"
    for option, name, message in (
        ("--html", "d/dataset.json", page),
        ("--html", "a.csv", page),
        ("--html", "d", folder),
        ("--errors-out", "a.csv", listed),
        ("--errors-out", "d", "ends in ''"),
    ):
        with pytest.raises(UsageError, match=message):
            run("check", "d", option, name)
    with pytest.raises(UsageError, match="is --html and --errors-out"):
        run("check", "d", "--html", "e.csv", "--errors-out", "e.csv")
    with pytest.raises(UsageError, match="d: exists already and holds something else"):
        run("describe", "d", "--out", "d")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_progress_is_drawn_on_a_terminal_alone(run, monkeypatch):
    assert run(*IMPORT).stderr == ""
    drawn = []
    monkeypatch.setattr(Progress, "start", lambda bar: drawn.append(bar))
    for terminal in (False, True):
        monkeypatch.setenv("FORCE_COLOR" if terminal else "NO_COLOR", "1")
        with source_progress() as progress:
            progress.read("a.csv", 1, 2)
        assert bool(drawn) is terminal


def test_hostile_names_are_shown_and_never_obeyed(run, tmp_path):
    hostile = "x\x1b]0;owned\x07\u202ey\nread it again: none"
    rows = [{"text": str(row), "labels": {"t": [hostile] * (row % 2)}, hostile: row} for row in range(4)]
    (tmp_path / "h.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = [run("import", "h.jsonl", "--out", "h").stdout]
    shown += [run("import", "h.jsonl", "--rename", f"{hostile}=z", "--out", "z").stdout]
    shown += [run("diff", "h", "z", "--show", "2").stdout, run("diff", "z", "h").stdout]
    shown += [run("export", "h", "--out", "o", "--format", "openai").stdout]
    for text in shown:
        assert not set("\x1b\x07\u202e") & set(text)
        assert sum(line.startswith("read it again") for line in text.splitlines()) <= 1
    assert all("⟨U+001B⟩" in shown[place].replace("\n", "") for place in (0, 2, 3, 4))
