"""Files of this machine, patterns of them, packed ones and standard input; nothing of them is left behind."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard
from stand_ins import Web, sha256

from modwright.catalog import SourceFile, fetch_sources, spec_label
from modwright.catalog.unpack import scratch_folder
from modwright.errors import DataError, SourceError, UsageError
from modwright.settings import Settings

TEXT = b"".join(b"row %d of a file that is packed\n" % row for row in range(200_000))


def zstd(data: bytes) -> bytes:
    return zstandard.compress(data)


PACKED = {"a.csv.gz": gzip.compress(TEXT), "a.csv.zst": zstd(TEXT), "a.csv.ZSTD": zstd(TEXT)}


def left(settings: Settings) -> list[str]:
    return [path.name for path in settings.cache_dir.rglob("*") if path.name != "scratch"]


def read(spec: str, settings: Settings) -> bytes:
    with contextlib.closing(fetch_sources(spec, settings)) as files:
        (content,) = (file.path.read_bytes() for file in files)
    return content


def test_a_plain_path_is_read_in_place(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a[1].csv").write_text("x")
    assert list(fetch_sources("a[1].csv", settings)) == [SourceFile(Path("a[1].csv"), "a[1].csv")]
    assert list(fetch_sources("none.csv", settings)) == [SourceFile(Path("none.csv"), "none.csv")]
    assert not settings.cache_dir.exists()


def test_patterns_are_sorted_and_match_files(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("d/b.csv", "d/a.csv", "d/e/c.csv", "d/a.txt", "d/x.csv/f.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    assert [file.name for file in fetch_sources("d/*.csv", settings)] == ["d/a.csv", "d/b.csv"]
    assert [file.name for file in fetch_sources("**/[ac].csv", settings)] == ["d/a.csv", "d/e/c.csv"]
    found = fetch_sources(f"{tmp_path}/d/?.csv", settings)
    assert [file.name for file in found] == [f"{tmp_path}/d/a.csv", f"{tmp_path}/d/b.csv"]
    with pytest.raises(DataError, match=r"d/\*\.jsonl: no file matches"):
        list(fetch_sources("d/*.jsonl", settings))


@pytest.mark.parametrize("name", PACKED)
def test_packed_files_are_unpacked_and_removed(tmp_path: Path, settings: Settings, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(PACKED[name])
    for file in fetch_sources(str(path), settings):
        assert file.path.read_bytes() == TEXT
        assert (file.path.name, file.name) == ("a.csv", str(path))
        assert file.origin == {"sha256": sha256(PACKED[name])}
    assert left(settings) == []


@pytest.mark.parametrize("name", PACKED)
def test_several_members_are_one_file(tmp_path: Path, settings: Settings, name: str) -> None:
    pack = gzip.compress if name.endswith("gz") else zstd
    path = tmp_path / name
    path.write_bytes(pack(TEXT[:100]) + pack(b"") + pack(TEXT[100:]))
    assert read(str(path), settings) == TEXT


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("keep", [0, 1, 7, 1_000, -1])
def test_packed_files_that_are_cut_off(tmp_path: Path, settings: Settings, name: str, keep: int) -> None:
    path = tmp_path / name
    path.write_bytes(PACKED[name][:keep])
    with pytest.raises(DataError, match="cut off") as failed:
        read(str(path), settings)
    assert str(path) in str(failed.value)
    assert left(settings) == []


@pytest.mark.parametrize("name", PACKED)
def test_packed_files_that_are_damaged(tmp_path: Path, settings: Settings, name: str) -> None:
    path = tmp_path / name
    damaged = bytearray(PACKED[name])
    damaged[len(damaged) // 2 : len(damaged) // 2 + 50] = b"\xff" * 50
    for content in (b"text,label\nplain,1\n", bytes(damaged)):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is not a sound"):
            read(str(path), settings)
    assert left(settings) == []
    with pytest.raises(DataError, match="no such file"):
        read(f"none-{name}", settings)


@pytest.mark.parametrize(("name", "pack"), [("bomb.csv.gz", gzip.compress), ("bomb.csv.zst", zstd)])
def test_a_bomb_is_bounded(tmp_path: Path, name: str, pack: object) -> None:
    assert callable(pack)
    path = tmp_path / name
    path.write_bytes(pack(bytes(300_000_000)))
    assert path.stat().st_size < 500_000
    settings = Settings(home=tmp_path / "home", max_unpacked_bytes=1_000_000)
    with pytest.raises(DataError, match="unpacks to more than 1,000,000 bytes") as failed:
        read(str(path), settings)
    assert "MODWRIGHT_MAX_UNPACKED_BYTES" in str(failed.value)
    assert left(settings) == []


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_packed_files_that_cannot_be_read(tmp_path: Path, settings: Settings, ending: str) -> None:
    (tmp_path / "file").touch()
    loop, memory = tmp_path / f"loop.csv{ending}", tmp_path / f"memory.csv{ending}"
    loop.symlink_to(loop)
    memory.symlink_to("/proc/self/mem")  # opens, and its first byte cannot be read
    paths = [loop, tmp_path / "file" / f"a.csv{ending}", tmp_path / f"{'x' * 300}.csv{ending}"]
    for path in [*paths, *([memory] if sys.platform.startswith("linux") else [])]:
        with pytest.raises(DataError, match="cannot be read: ") as failed:
            read(str(path), settings)
        assert failed.value.where == str(path)
    assert left(settings) == []


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the home should be")
    path = tmp_path / "a.csv.gz"
    path.write_bytes(PACKED["a.csv.gz"])
    with pytest.raises(SourceError, match="cannot be written") as failed:
        read(str(path), Settings(home=tmp_path / "home"))
    assert "MODWRIGHT_CACHE" in str(failed.value)


def test_what_is_unpacked_goes_when_the_reader_fails(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(PACKED["a.csv.gz"])
    files = fetch_sources(str(path), settings)
    next(files)
    assert left(settings)
    files.close()  # as `contextlib.closing` does on an error
    assert left(settings) == []


def test_what_a_killed_process_unpacked_goes_with_the_next(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(PACKED["a.csv.gz"])
    script = """
import sys, time
from pathlib import Path
from modwright.catalog import fetch_sources
from modwright.settings import Settings
for file in fetch_sources(sys.argv[1], Settings(home=Path(sys.argv[2]))):
    print("ready", flush=True)
    time.sleep(60)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(path), str(settings.home)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    with scratch_folder(settings.cache_dir / "scratch"):
        assert "a.csv" in left(settings), "the other process is alive, so its file stays"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert "a.csv" in left(settings)
    assert read(str(path), settings) == TEXT
    assert left(settings) == []


def test_standard_input(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(TEXT)))
    for file in fetch_sources("-", settings, format="csv"):
        assert file.path.read_bytes() == TEXT
        assert (file.path.suffix, file.name) == (".csv", "stdin")
        assert file.origin == {"spec": "-", "sha256": sha256(TEXT)}
    assert left(settings) == []
    with pytest.raises(UsageError, match="--format csv, tsv, jsonl or parquet"):
        list(fetch_sources("-", settings))


def test_packed_files_of_the_web(web: Web, settings: Settings) -> None:
    web.files["/a.csv.gz"] = PACKED["a.csv.gz"]
    assert read(f"{web.url}/a.csv.gz", settings) == TEXT


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_unpacking_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    peaks = []
    for size in (1_000_000, 300_000_000):
        for name, pack in (("a.csv.gz", gzip.compress), ("a.csv.zst", zstd)):
            path = tmp_path / name
            path.write_bytes(pack(os.urandom(1000) * (size // 1000)))
            script = (
                "import sys; from pathlib import Path; from modwright.catalog import fetch_sources\n"
                "from modwright.settings import Settings\n"
                "for file in fetch_sources(sys.argv[1], Settings(home=Path(sys.argv[2]))): pass\n"
                "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
            )
            start = time.monotonic()
            command = [sys.executable, "-c", script, str(path), str(tmp_path / "home")]
            peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            assert time.monotonic() - start < 60
    assert max(peaks[2:]) - max(peaks[:2]) < 80_000, f"peaks in KB: {peaks}"


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        ("a/b?.csv", "a/b?.csv"),
        ("-", "-"),
        ("HTTPS://user:secret@h:80/a.csv?token=secret#secret", "https://h:80/a.csv"),
        ("http://[::1]:8/@a.csv", "http://[::1]:8/@a.csv"),
        ("https://h?token=secret/a.csv", "https://h"),
        ("ftp://user:sec/secret@h/a.csv", "ftp://…"),
        ("ftp://user:#secret@h/a.csv", "ftp://user:"),
        ("ftp://user:s#secret@h/a.csv", "ftp://…"),
        ("s3://key:secret@b/a?.csv", "s3://b/a?.csv"),
        ("hf://a/b@main#c:train", "hf://a/b@main#c:train"),
    ],
)
def test_what_messages_call_a_source(spec: str, label: str) -> None:
    assert spec_label(spec) == label


@pytest.mark.parametrize(
    "spec", ["ftp://user:secret@h/a.csv?token=secret", "hf://secret@x", "S3://a:secret@b"]
)
def test_errors_hold_no_secret(settings: Settings, spec: str) -> None:
    with pytest.raises(UsageError) as failed:
        list(fetch_sources(spec, settings))
    assert "secret" not in str(failed.value)


def test_schemes_in_capitals(web: Web, settings: Settings) -> None:
    web.files["/a.csv"] = TEXT
    assert read(f"{web.url}/a.csv".replace("http", "HTTP"), settings) == TEXT
