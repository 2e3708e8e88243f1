"""Data sets of the hub by id: pinned, fetched as they are read, and enough without a network once they were."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stand_ins import COMMIT, Hub, Told, sha256

from modwright.catalog import fetch_sources
from modwright.catalog.datasets import HubSpec
from modwright.errors import DataError, NotFoundError, SourceError, UsageError
from modwright.settings import Settings

REPO, OTHER_COMMIT = "owner/words", "ab" * 20
CARD = b"""---
license: cc0-1.0
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
  - split: test
    path: data/test-*
---
# Words
"""
EVIL = b"raise SystemExit('code of a repository ran')"


def parquet(*texts: str) -> bytes:
    import polars as pl

    buffer = io.BytesIO()
    pl.DataFrame({"text": texts, "toxicity": [0.5] * len(texts)}).write_parquet(buffer)
    return buffer.getvalue()


FILES = {
    "README.md": CARD,
    "data/train-00000-of-00002.parquet": parquet("a", "b"),
    "data/train-00001-of-00002.parquet": parquet("c"),
    "data/test-00000-of-00001.parquet": parquet("d"),
    "words.py": EVIL,
}


def names(spec: str, settings: Settings, told: Told | None = None) -> list[str]:
    return [file.name for file in fetch_sources(spec, settings, told)]


@pytest.mark.parametrize(
    ("spec", "parsed"),
    [
        ("hf://google/civil_comments:train", HubSpec("google/civil_comments", split="train")),
        ("hf://datasets/a/b", HubSpec("a/b")),
        ("hf://a/b@v1.0#de_DE:test", HubSpec("a/b", "v1.0", "de_DE", "test")),
        ("hf://a/b@refs/convert/parquet#x y", HubSpec("a/b", "refs/convert/parquet", "x y")),
    ],
)
def test_specs(spec: str, parsed: HubSpec) -> None:
    assert HubSpec.parse(spec) == parsed


@pytest.mark.parametrize(
    "spec", ["hf://", "hf://name", "hf://a/b:train#x", "hf://a/b/c", "hf://a/../b", "hf://a/b:", "hf://a/b@"]
)
def test_what_is_no_spec_shows_the_form(spec: str, settings: Settings) -> None:
    with pytest.raises(UsageError, match=r"hf://OWNER/NAME\[@REVISION\]\[#CONFIG\]\[:SPLIT\]"):
        names(spec, settings)


def test_a_split_arrives_file_by_file(hub: Hub, settings: Settings, told: Told) -> None:
    hub.publish(REPO, FILES)
    files = fetch_sources(f"hf://{REPO}:train", settings, told)
    first = next(files)
    assert first.path.read_bytes() == FILES["data/train-00000-of-00002.parquet"]
    assert first.name == f"hf://{REPO}/data/train-00000-of-00002.parquet"
    assert first.origin == {
        "spec": f"hf://{REPO}:train",
        "revision": COMMIT,
        "sha256": sha256(FILES["data/train-00000-of-00002.parquet"]),
    }
    assert hub.downloads("train-00001-of-00002.parquet") == 0, "the next file waits until it is asked for"
    (second,) = files
    assert second.path.read_bytes() == FILES["data/train-00001-of-00002.parquet"]
    assert hub.downloads("test-00000-of-00001.parquet") == hub.downloads("words.py") == 0
    assert told.steps[-1][0] == "data/train-00001-of-00002.parquet"
    assert names(f"hf://{REPO}:train", settings) == [first.name, second.name]
    assert hub.downloads("train-00000-of-00002.parquet") == 1
    assert hub.downloads("README.md") == 1
    left = [path.name for path in settings.cache_dir.rglob(".*")]
    assert left == []


def test_a_warm_cache_needs_no_hub(
    hub: Hub, settings: Settings, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.publish(REPO, FILES)
    online = names(f"hf://{REPO}:train", settings)
    asked = hub.requests.total()
    assert names(f"hf://{REPO}@{COMMIT}:train", settings) == online
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert names(f"hf://{REPO}:train", settings) == online
    assert hub.requests.total() == asked, "neither a commit nor an offline user asks anybody"
    with pytest.raises(
        SourceError, match=r"HF_HUB_OFFLINE is set, and the cache has no 'data/test"
    ) as failed:
        names(f"hf://{REPO}:test", settings)
    assert "copy MODWRIGHT_CACHE" in str(failed.value)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert names(f"hf://{REPO}:train", settings, told) == online
    assert f"using commit {COMMIT[:12]} of the cache" in told.notices[0]


def test_a_cold_cache_without_a_network_says_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = time.monotonic()
    for offline in ("", "1"):
        monkeypatch.setenv("HF_HUB_OFFLINE", offline)
        with pytest.raises(SourceError) as failed:
            names(f"hf://{REPO}:train", settings)
        assert "download the file yourself and give its path" in str(failed.value)
    assert time.monotonic() - start < 15


def test_a_branch_that_moved_is_followed(hub: Hub, settings: Settings) -> None:
    hub.publish(REPO, FILES)
    names(f"hf://{REPO}:train", settings)
    hub.publish(REPO, {"train.csv": b"text,label\na,1\n"}, OTHER_COMMIT)
    assert names(f"hf://{REPO}:train", settings) == [f"hf://{REPO}/train.csv"]
    assert names(f"hf://{REPO}@{COMMIT}:test", settings) == [f"hf://{REPO}/data/test-00000-of-00001.parquet"]
    hub.publish(REPO, FILES, COMMIT, "v1")
    assert names(f"hf://{REPO}@v1:test", settings) == [f"hf://{REPO}/data/test-00000-of-00001.parquet"]


def test_names_speak_where_the_card_does_not(hub: Hub, settings: Settings, told: Told) -> None:
    hub.publish(REPO, {"README.md": b"---\n: [broken\n---\n", "train.jsonl": b"{}", "dev.jsonl": b"{}"})
    assert names(f"hf://{REPO}:validation", settings, told) == [f"hf://{REPO}/dev.jsonl"]
    assert "the card cannot be read" in told.notices[0]


def test_a_repository_with_a_program_is_read_from_the_converted_branch(hub: Hub, settings: Settings) -> None:
    hub.publish(REPO, {"words.py": EVIL, "train.csv": b"raw,input"})
    converted = {"en/train/0000.parquet": parquet("a"), "de/train/0000.parquet": parquet("b")}
    hub.publish(REPO, converted, OTHER_COMMIT, "refs/convert/parquet")
    with pytest.raises(UsageError, match="several configurations: de, en"):
        names(f"hf://{REPO}:train", settings)
    (file,) = fetch_sources(f"hf://{REPO}#en:train", settings)
    assert file.path.read_bytes() == converted["en/train/0000.parquet"]
    assert file.origin["revision"] == COMMIT
    with pytest.raises(NotFoundError, match="there is train"):
        names(f"hf://{REPO}#en:tain", settings)
    assert hub.downloads("words.py") == 0


def test_a_repository_without_data_is_said_so(hub: Hub, settings: Settings) -> None:
    hub.publish(REPO, {"words.py": EVIL, "a.zip": b"PK"})
    with pytest.raises(DataError, match="no Parquet, JSONL or CSV file"):
        names(f"hf://{REPO}:train", settings)


@pytest.mark.parametrize("name", ["a.csv/a.csv", "source.json", "train/source.json", "a b&c.csv"])
def test_files_of_any_name_land(hub: Hub, settings: Settings, name: str) -> None:
    hub.publish(REPO, {name: b"text,label\na,1\n"})
    for _ in range(2):
        (file,) = fetch_sources(f"hf://{REPO}", settings)
        assert file.path.read_bytes() == b"text,label\na,1\n"
    assert hub.requests.total() - sum(hub.requests[path] for path in hub.requests if "/api/" in path) == 2
    assert len(list(file.path.parent.iterdir())) == 2


def test_what_the_hub_does_not_have_or_give(
    hub: Hub, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match="Repository Not Found") as failed:
        names("hf://owner/nothing", settings)
    assert "check the name" in str(failed.value)
    hub.publish(REPO, FILES)
    with pytest.raises(SourceError, match="Revision Not Found"):
        names(f"hf://{REPO}@v9:train", settings)
    hub.token = "hf_token"
    with pytest.raises(SourceError, match=r"(?i)gated|403|access") as failed:
        names(f"hf://{REPO}:train", settings)
    assert "HF_TOKEN" in str(failed.value)
    monkeypatch.setenv("HF_TOKEN", "hf_token")
    assert len(names(f"hf://{REPO}:train", settings)) == 2


def test_packed_files_of_the_hub_are_unpacked(hub: Hub, settings: Settings) -> None:
    import gzip

    hub.publish(REPO, {"train.csv.gz": gzip.compress(b"text,label\na,1\n")})
    for file in fetch_sources(f"hf://{REPO}", settings):
        assert file.path.read_bytes() == b"text,label\na,1\n"
        assert file.path.name == "train.csv"
        assert file.name.endswith("train.csv.gz")
        assert file.origin["sha256"] == sha256(hub.datasets[REPO][COMMIT]["train.csv.gz"])


def test_killed_between_files_then_again(hub: Hub, tmp_path: Path) -> None:
    big = {**FILES, "data/train-00001-of-00002.parquet": b"x" * 3_000_000}
    hub.publish(REPO, big)
    hub.chunk_bytes, hub.pause_s = 50_000, 0.1
    home = tmp_path / "home"
    script = """
import sys
from pathlib import Path
from modwright.catalog import fetch_sources
from modwright.settings import Settings
for file in fetch_sources(sys.argv[1], Settings(home=Path(sys.argv[2]))):
    print(file.path, flush=True)
"""
    command = [sys.executable, "-c", script, f"hf://{REPO}:train", str(home)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    end = time.monotonic() + 30
    while not any(path.name.endswith(".incomplete") for path in home.rglob("*")):
        assert time.monotonic() < end
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert list(home.rglob(".*partial")), "the killed process left its staging folder"
    hub.pause_s = 0.0
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert [Path(path).read_bytes() for path in out] == [
        big["data/train-00000-of-00002.parquet"],
        big["data/train-00001-of-00002.parquet"],
    ]
    assert hub.downloads("train-00000-of-00002.parquet") == 1
    assert list(home.rglob(".*")) == []
