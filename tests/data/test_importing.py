"""A whole import: what is written, what happens the second time, and after a kill at any moment."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time

import pytest

from modwright import files
from modwright.data.dataset import read_dataset
from modwright.data.importing import import_dataset
from modwright.data.options import ImportOptions, Meaning, Reading
from modwright.errors import DataError, UsageError
from modwright.files import sha256_file

RUN = "import sys, modwright.cli.data; from modwright.cli.app import app; app(sys.argv[1:])"


@pytest.fixture
def options(tmp_path):
    def _options(content="text,rude\na,1\nb,0\n", **changes):
        path = tmp_path / "in.csv"
        path.write_text(content)
        given = {
            "sources": (str(path),),
            "out": tmp_path / "d",
            "meaning": Meaning(labels=("rude",)),
            **changes,
        }
        return ImportOptions(**given)

    return _options


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_an_import_is_summed_up(options):
    summary = import_dataset(options())
    assert (summary.status, summary.rows) == ("written", {"train": 2})
    (target,) = summary.targets
    assert (target.target, target.kind) == ("moderation", "multi_label")
    assert [(label.label, label.positives, label.unknown) for label in target.labels] == [
        ("rude", {"train": 1}, {"train": 0})
    ]
    assert summary.to_json()["id"] == read_dataset(options().out).id


def test_the_same_again_succeeds_and_changes_nothing(options):
    first = import_dataset(options())
    second = import_dataset(options())
    assert (second.status, second.id) == ("unchanged", first.id)


def test_the_bytes_in_place_are_hashed_once(options, monkeypatch):
    import_dataset(options())
    hashed = []

    def counted(path):
        hashed.append(path.name)
        return sha256_file(path)

    monkeypatch.setattr(files, "sha256_file", counted)
    assert import_dataset(options()).status == "unchanged"
    assert hashed == ["train.parquet"]


def test_another_dataset_needs_replace(options):
    import_dataset(options())
    other = "text,rude\na,1\nc,0\n"
    with pytest.raises(UsageError, match="--replace"):
        import_dataset(options(other))
    assert import_dataset(options(other, replace=True)).status == "written"
    assert read_dataset(options().out).splits["train"]["text"].to_list() == ["a", "c"]


def test_nothing_is_written_when_anything_is_wrong(options, tmp_path):
    with pytest.raises(DataError):
        import_dataset(options("text,rude\na,1\nb\n"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv"]


def test_what_a_killed_import_left_is_cleared_even_beside_the_finished_dataset(options, tmp_path):
    first = import_dataset(options())
    for name in (".d.partial", ".d.old"):
        shutil.copytree(tmp_path / "d", tmp_path / name)
    (tmp_path / ".d.lock").touch()
    assert import_dataset(options()).id == first.id
    assert leftovers(tmp_path) == []


def test_contradicting_options_are_refused(options, tmp_path):
    with pytest.raises(UsageError, match="found no file"):
        import_dataset(options(sources=()))
    with pytest.raises(UsageError, match="is given twice"):
        import_dataset(options(splits=(("test", str(tmp_path / "in.csv")),)))
    with pytest.raises(UsageError, match="split name is 'a/b'"):
        import_dataset(options(splits=(("a/b", "x.csv"),)))
    with pytest.raises(UsageError, match="--encoding is 'utf-9'"):
        import_dataset(options(reading=Reading(encoding="utf-9")))
    for given in ({"prompt": "a"}, {"text": "a", "prompt": "b", "response": "c"}, {"threshold": "> 1"}):
        with pytest.raises(UsageError):
            Meaning(**given)
    with pytest.raises(UsageError, match="is given to --label and --score"):
        Meaning(labels=("a",), scores=("a",))
    for delimiter in ("", ",,", '"', "\n", "é"):
        with pytest.raises(UsageError, match="--delimiter is"):
            Reading(delimiter=delimiter)
    assert Reading(delimiter="\\t").delimiter == Reading(delimiter="tab").delimiter == "\t"


def test_kill_9_at_any_moment_then_the_same_command(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text(
        "text,rude\n" + "".join(f"some text of row {row},{row % 3 == 0:d}\n" for row in range(200_000))
    )
    out = tmp_path / "d"
    command = [sys.executable, "-c", RUN, "data", "import", str(path), "--label", "rude", "--out", str(out)]
    staging = tmp_path / ".d.partial"
    for wait_for_staging in (False, True, True):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while (
            wait_for_staging
            and not staging.exists()
            and process.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.001)
        if not wait_for_staging:
            time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not out.exists() or (out / "dataset.json").exists()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert leftovers(tmp_path) == []
    dataset = read_dataset(out)
    assert len(dataset.splits["train"]) == 200_000
    assert dataset.splits["train"]["moderation/rude"].sum() == 66_667
