"""Imports of what a user names, from the command to the dataset: everywhere it may come from, and killed on the way."""

from __future__ import annotations

import gzip
import importlib
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import zstandard
from typer.testing import CliRunner

from modwright.cli.data import data_app
from modwright.data.dataset import read_dataset
from modwright.data.options import ImportOptions, Meaning
from modwright.data.sampling import Sampling
from modwright.errors import DataError, NotFoundError, SourceError, UsageError
from modwright.pipeline.building import build_dataset
from modwright.pipeline.importing import import_data, load_data
from modwright.recipe import load_data_recipe
from modwright.settings import Settings

sys.path.append(str(Path(__file__).resolve().parents[1] / "catalog"))
stand_ins = importlib.import_module("stand_ins")

RUN = "import sys, modwright.cli.data; from modwright.cli.app import app; app(sys.argv[1:])"
CSV = "text,rude\n" + "".join(f"row {row},{row % 2}\n" for row in range(50))
CARD = b"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*\n" + (
    b"  - split: test\n    path: data/test-*\n---\n"
)
SCORES = ("toxicity", "insult")
PARTS = ("train", "test")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty folder, with a home in it and no way out."""
    for name in [*os.environ]:
        if name.startswith(("HF_", "AWS_", "MODWRIGHT_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("MODWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def settings(here):
    return Settings(home=here / "home")


@pytest.fixture
def hub(monkeypatch):
    server = stand_ins.Hub()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    yield server
    server.close()


@pytest.fixture
def web():
    server = stand_ins.Web()
    yield server
    server.close()


def run(*arguments, stdin=None):
    result = CliRunner().invoke(data_app, list(arguments), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def civil(first, rows):
    """Return Parquet bytes with the columns of civil_comments; `toxicity` is set in every third row."""
    numbers = range(first, first + rows)
    columns = {
        "text": [f"comment {row}" for row in numbers],
        "toxicity": [0.9 * (row % 3 == 0) for row in numbers],
    }
    columns["insult"] = [0.8 * (row % 5 == 0) for row in numbers]
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


def publish_civil(hub):
    files = {f"data/train-0000{part}-of-00003.parquet": civil(100 * part, 100) for part in range(3)}
    hub.publish(
        "google/civil_comments",
        {"README.md": CARD, **files, "data/test-00000-of-00001.parquet": civil(0, 60)},
    )


def hidden(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_a_hub_data_set_as_the_notebook_takes_it(hub, here):
    publish_civil(hub)
    splits = ("hf://google/civil_comments:train", "--split", "test=hf://google/civil_comments:test")
    scores = ("--score", "toxicity", "--score", "insult", "--threshold", "> 0.5")
    sample = ("--shuffle", "42", "--buffer", "50", "--take", "80", "--take", "test=20")
    body = json.loads(run("import", *splits, *scores, *sample, "--out", "d", "--json").stdout)
    assert body["rows"] == {"train": 80, "test": 20}
    dataset = read_dataset(here / "d")
    rng, held, order = np.random.default_rng(42), list(range(50)), []
    for row, place in zip(range(50, 130), rng.integers(0, 50, size=1000), strict=False):
        order.append(held[place])
        held[place] = row
    assert dataset.splits["train"]["text"].to_list() == [f"comment {row}" for row in order]
    assert dataset.splits["train"]["moderation/toxicity"].to_list() == [float(row % 3 == 0) for row in order]
    assert hub.downloads("train-00001-of-00003.parquet") == 1
    assert hub.downloads("train-00002-of-00003.parquet") == 0, (
        "three files, and two hold what the sample needs"
    )
    sources = dataset.provenance["sources"]
    assert [source["file"] for source in sources] == [
        "hf://google/civil_comments/data/train-00000-of-00003.parquet",
        "hf://google/civil_comments/data/train-00001-of-00003.parquet",
        "hf://google/civil_comments/data/test-00000-of-00001.parquet",
    ]
    assert {source["revision"] for source in sources} == {stand_ins.COMMIT}
    assert sources[0]["spec"] == "hf://google/civil_comments:train"
    assert str(here) not in (here / "d" / "dataset.json").read_text()
    step = dataset.provenance["steps"][1]
    assert step["splits"]["test"] == {
        "seed": 42, "buffer": 50, "take": 20, "before": 60, "kept": 20, "dropped": 40
    }  # fmt: skip
    assert hidden(here / "home") == []


def test_the_same_command_again_asks_for_nothing_and_changes_nothing(hub, here, monkeypatch):
    publish_civil(hub)
    command = ("import", "hf://google/civil_comments:train", "--score", "toxicity", "--out", "d", "--json")
    first = json.loads(run(*command).stdout)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    second = json.loads(run(*command).stdout)
    assert (second["status"], second["id"]) == ("unchanged", first["id"])


def test_without_a_network_the_error_says_what_to_do(here):
    with pytest.raises(SourceError, match="give its path") as failed:
        run("import", "hf://google/civil_comments:train", "--score", "toxicity", "--out", "d")
    assert failed.value.exit_code == 5
    assert not (here / "d").exists()


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.zst"])
def test_packed_or_not_the_dataset_is_the_same_and_lines_name_the_file(here, name):
    pack = {"csv": bytes, "gz": gzip.compress, "zst": zstandard.compress}[name.rpartition(".")[2]]
    Path("plain.csv").write_text(CSV)
    Path(name).write_bytes(pack(CSV.encode()))
    plain = json.loads(run("import", "plain.csv", "--label", "rude", "--out", "p", "--json").stdout)
    packed = json.loads(run("import", name, "--label", "rude", "--out", "d", "--json").stdout)
    assert packed["id"] == plain["id"]
    frame = read_dataset(here / "d").splits["train"]
    assert frame["source"][15] == f"{name}:17"
    Path(name).write_bytes(pack(CSV.replace("row 15,1", "row 15,maybe").encode()))
    with pytest.raises(DataError, match=f"{name}:17, field 'rude': found 'maybe'"):
        run("import", name, "--label", "rude", "--kind", "multi_label", "--out", "e")
    assert not Path("e").exists()
    assert [
        path for path in (here / "home").rglob("*") if path.name != "scratch" and path.name != "cache"
    ] == []


def test_patterns_and_a_file_twice(here):
    for name in ("b", "a", "c"):
        Path(f"{name}.jsonl").write_text(json.dumps({"text": name, "labels": {"tone": ["x"]}}) + "\n")
    run("import", "[ab].jsonl", "--out", "d")
    assert read_dataset(here / "d").splits["train"]["source"].to_list() == ["a.jsonl:1", "b.jsonl:1"]
    with pytest.raises(UsageError, match=r"b\.jsonl: is given twice"):
        run("import", "[ab].jsonl", "--split", "test=b.jsonl", "--out", "e")
    with pytest.raises(UsageError, match=r"b\.jsonl: is given twice"):
        run("import", "[ab].jsonl", str(here / "b.jsonl"), "--out", "e")
    with pytest.raises(DataError, match=r"z\*\.jsonl: no file matches"):
        run("import", "z*.jsonl", "--out", "e")


@pytest.mark.parametrize("packed", [False, True])
def test_addresses_that_differ_in_their_query_are_different_files(web, here, settings, packed):
    path = "/export.csv.gz" if packed else "/export.csv"
    for split in PARTS:
        text = CSV.replace("row", split).encode()
        web.files[f"{path}?split={split}"] = gzip.compress(text) if packed else text
    train, test = (f"{web.url}{path}?split={split}" for split in PARTS)
    run("import", train, "--split", f"test={test}", "--label", "rude", "--out", "d")
    splits = read_dataset(here / "d").splits
    assert [splits[split]["text"][0] for split in PARTS] == ["train 0", "test 0"]
    shown = [f"{web.url}{path}", f"{web.url}{path} (2)"]
    assert [splits[split]["source"][0] for split in PARTS] == [f"{name}:2" for name in shown]
    sources = "".join(
        f'[[data.sources]]\nfrom = "{web.url}{path}?split={one}"\nsplit = "{one}"\n' for one in PARTS
    )
    Path("r.toml").write_text(f'[data]\nscores = ["rude"]\nthreshold = "> 0.5"\n{sources}')
    build_dataset(load_data_recipe("r.toml"), here / "built", settings)
    built = read_dataset(here / "built").splits
    assert [built[split]["source"][0] for split in PARTS] == [f"{name}:2" for name in shown]


def test_links_that_lead_to_themselves(here):
    for name in ("loop.csv", "loop.csv.gz", "loop"):
        Path(name).symlink_to(name)
    for name in ("loop.csv", "loop.csv.gz"):
        for command in (("import", name, "--out", "d"), ("check", name)):
            with pytest.raises(DataError, match=f"^{name}: cannot be read: "):
                run(*command, "--label", "rude")
    Path("a.csv").write_text(CSV)
    with pytest.raises(UsageError, match="loop: is a link that leads to itself"):
        run("import", "a.csv", "--score", "rude", "--out", "loop")


@pytest.mark.parametrize("packed", [False, True])
def test_one_file_by_two_names_is_given_twice(here, settings, packed):
    name = "b.csv.gz" if packed else "b.csv"
    Path(name).write_bytes(gzip.compress(CSV.encode()) if packed else CSV.encode())
    files = ("b.*", str(here / name))
    with pytest.raises(UsageError, match="given twice"):
        import_data(ImportOptions(files, here / "d", (), meaning=Meaning(scores=("rude",))), settings)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_standard_input(here, kind):
    frame = pl.read_csv(io.StringIO(CSV))
    buffer = io.BytesIO()
    if kind == "parquet":
        frame.write_parquet(buffer)
    elif kind == "jsonl":
        frame.write_ndjson(buffer)
    else:
        frame.write_csv(buffer, separator="\t" if kind == "tsv" else ",")
    body = run(
        "import", "-", "--format", kind, "--label", "rude", "--out", "d", "--json", stdin=buffer.getvalue()
    )
    assert json.loads(body.stdout)["rows"] == {"train": 50}
    dataset = read_dataset(here / "d")
    assert dataset.splits["train"]["source"][0].startswith("stdin:")
    assert dataset.provenance["sources"][0]["spec"] == "-"
    with pytest.raises(UsageError, match="--format csv, tsv, jsonl or parquet"):
        run("import", "-", "--label", "rude", "--out", "e", stdin="")
    with pytest.raises(UsageError, match="--format is 'xml'"):
        run("import", "-", "--format", "xml", "--out", "e", stdin="")


def test_a_format_holds_whatever_the_name_says(here):
    Path("a.txt").write_text(CSV.replace(",", "\t"))
    with pytest.raises(DataError, match="give --format"):
        run("import", "a.txt", "--label", "rude", "--out", "d")
    run("import", "a.txt", "--format", "tsv", "--label", "rude", "--out", "d")
    assert len(read_dataset(here / "d").splits["train"]) == 50


def test_samples_of_the_command_line(here):
    Path("a.csv").write_text(CSV)
    run("import", "a.csv", "--label", "rude", "--take", "7", "--out", "d")
    assert read_dataset(here / "d").splits["train"]["text"].to_list() == [f"row {row}" for row in range(7)]
    wrong = [
        ("--take", "x"),
        ("--take", "test="),
        ("--buffer", "3"),
        ("--take", "3", "--take", "4"),
        ("--take", "0"),
    ]
    for options in wrong:
        with pytest.raises(UsageError):
            run("import", "a.csv", "--label", "rude", *options, "--out", "e")
    with pytest.raises(NotFoundError, match="did you mean 'train'"):
        run("import", "a.csv", "--label", "rude", "--take", "trian=5", "--out", "e")


def test_a_file_is_checked_from_anywhere(hub, here):
    publish_civil(hub)
    result = run("check", "hf://google/civil_comments:test", "--score", "toxicity", "--take", "30", "--json")
    assert result.exit_code in (0, 3)
    assert "findings" in json.loads(result.stdout)


def test_a_check_shows_no_secret_of_an_address(web, here):
    web.files["/a.csv"] = CSV.encode()
    address = f"{web.url}/a.csv?token=secret".replace("://", "://user:secret@")
    result = run("check", address, "--label", "rude", "--html", "page.html")
    assert f"{web.url}/a.csv: " in result.stdout
    assert "secret" not in result.stdout + Path("page.html").read_text()
    with pytest.raises(UsageError, match="given twice") as failed:
        run("import", address, address, "--label", "rude", "--out", "d")
    assert "secret" not in str(failed.value)


def test_as_functions(hub, settings, here):
    publish_civil(hub)
    told = stand_ins.Told()
    read = []
    options = ImportOptions(
        ("hf://google/civil_comments:train",),
        here / "d",
        meaning=Meaning(scores=SCORES, threshold="> 0.5"),
        sampling={"train": Sampling(take=150)},
    )
    loaded = load_data(options, settings, told, lambda name, done, size: read.append((name, done, size)))
    assert len(loaded.dataset.splits["train"]) == 150
    assert told.steps
    assert [name for name, _ in itertools.groupby(name for name, *_ in read)] == [
        f"hf://google/civil_comments/data/train-0000{part}-of-00003.parquet" for part in range(2)
    ]
    assert import_data(options, settings).id == loaded.dataset.id


def test_kill_9_while_a_packed_file_is_read_then_the_same_command(here):
    rows = 200_000
    content = "text,rude\n" + "".join(f"some text of row {row},{row % 3 == 0:d}\n" for row in range(rows))
    Path("in.csv.gz").write_bytes(gzip.compress(content.encode(), 1))
    command = [sys.executable, "-c", RUN, "data", "import", "in.csv.gz", "--label", "rude", "--out", "d"]
    for moment in ("home/cache/scratch/*/in.csv", ".d.partial"):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while not list(here.glob(moment)) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not Path("d").exists() or Path("d/dataset.json").exists()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert hidden(here) == []
    assert list((here / "home" / "cache" / "scratch").iterdir()) == []
    dataset = read_dataset(here / "d")
    assert dataset.splits["train"]["moderation/rude"].sum() == 66_667
