"""Files of the web and of S3: streamed into the cache whole or not at all, and fetched once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stand_ins import Buckets, Told, Web, sha256

from modwright.catalog import fetch_sources
from modwright.errors import DataError, SourceError, UsageError
from modwright.settings import Settings

Put = Callable[[str, bytes], None]
CSV = b"text,rude\n" + b"".join(b"text %d,%d\n" % (row, row % 2) for row in range(20_000))
FETCH = """
import sys
from pathlib import Path
from modwright.catalog import fetch_sources
from modwright.settings import Settings
for file in fetch_sources(sys.argv[1], Settings(home=Path(sys.argv[2]))):
    print(file.path)
"""


def fetched(spec: str, settings: Settings, told: Told | None = None) -> dict[str, bytes]:
    return {file.name: file.path.read_bytes() for file in fetch_sources(spec, settings, told)}


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_a_file_of_the_web_arrives_once(web: Web, settings: Settings, told: Told) -> None:
    web.files["/data/a b.csv"] = CSV
    url = f"{web.url}/data/a%20b.csv"
    (file,) = fetch_sources(url, settings, told)
    assert file.path.read_bytes() == CSV
    assert file.origin == {"spec": url, "etag": f'"{sha256(CSV)[:8]}"', "sha256": sha256(CSV)}
    assert file.path.is_relative_to(settings.cache_dir)
    assert file.path.suffix == ".csv"
    assert told.steps[-1][1:] == (len(CSV), len(CSV))
    (again,) = fetch_sources(url, settings, told)
    assert again == file
    assert web.downloads("/data/a%20b.csv") == 1
    assert hidden(settings.cache_dir) == []


def test_a_changed_file_is_fetched_again(web: Web, settings: Settings) -> None:
    web.files["/a.csv"] = CSV
    fetched(f"{web.url}/a.csv", settings)
    web.files["/a.csv"] = CSV.replace(b"text 7", b"text 8")
    assert fetched(f"{web.url}/a.csv", settings) == {f"{web.url}/a.csv": web.files["/a.csv"]}


def test_a_server_that_proves_nothing_is_asked_each_time(web: Web, settings: Settings) -> None:
    web.files["/a.csv"], web.proves = CSV, False
    for content in (CSV, CSV[::-1]):
        web.files["/a.csv"] = content
        assert list(fetched(f"{web.url}/a.csv", settings).values()) == [content]


def test_a_server_that_refuses_the_question_is_asked_for_the_file(web: Web, settings: Settings) -> None:
    web.files["/a.csv"], web.head_status = CSV, 405
    assert list(fetched(f"{web.url}/a.csv", settings).values()) == [CSV]


def test_a_wrong_length_beforehand_does_no_harm(web: Web, settings: Settings) -> None:
    web.files["/a.csv"], web.head_length = CSV, 0
    assert list(fetched(f"{web.url}/a.csv", settings).values()) == [CSV]


def test_a_damaged_copy_is_fetched_again(web: Web, settings: Settings) -> None:
    web.files["/a.csv"] = CSV
    (file,) = fetch_sources(f"{web.url}/a.csv", settings)
    file.path.write_bytes(CSV[:-5] + b"xxxxx")
    assert list(fetched(f"{web.url}/a.csv", settings).values()) == [CSV]


def test_a_query_reaches_the_server_and_stays_out_of_sight(web: Web, settings: Settings, told: Told) -> None:
    web.files["/a.csv"] = CSV
    (file,) = fetch_sources(f"{web.url.replace('//', '//me:pass@')}/a.csv?key=secret#x", settings, told)
    assert any("?key=secret" in path for path in web.requests)
    assert file.name == f"{web.url}/a.csv"
    seen = [str(file), *(path.read_text(errors="replace") for path in settings.cache_dir.rglob("*.json"))]
    web.status = web.head_status = 500
    with pytest.raises(SourceError) as failed:
        fetched(f"{web.url}/b.csv?key=secret", settings)
    assert not any(
        "secret" in text or "me:pass" in text for text in [*seen, str(failed.value), str(told.steps)]
    )


def test_a_download_that_breaks_off_leaves_nothing(web: Web, settings: Settings) -> None:
    web.files["/a.csv"], web.cut = CSV, True
    with pytest.raises(SourceError, match="broke off") as failed:
        fetched(f"{web.url}/a.csv", settings)
    assert "try again" in str(failed.value)
    assert not list(settings.cache_dir.rglob("*.csv"))
    assert hidden(settings.cache_dir) == []
    web.cut = False
    assert list(fetched(f"{web.url}/a.csv", settings).values()) == [CSV]


@pytest.mark.parametrize(
    ("status", "found", "remedy"),
    [
        (404, "no such file", "check the address"),
        (403, "refused", "log in"),
        (418, "answered 418", "give its path"),
    ],
)
def test_a_server_that_refuses(web: Web, settings: Settings, status: int, found: str, remedy: str) -> None:
    web.files["/a.csv"] = CSV
    web.status = web.head_status = status
    with pytest.raises(SourceError, match=found) as failed:
        fetched(f"{web.url}/a.csv", settings)
    assert remedy in str(failed.value)
    assert f"{web.url}/a.csv" in str(failed.value)


def test_without_a_network_the_copy_is_used_or_the_way_out_is_told(
    web: Web, settings: Settings, told: Told
) -> None:
    web.files["/a.csv"] = CSV
    url = f"{web.url}/a.csv"
    fetched(url, settings)
    web.close()
    assert list(fetched(url, settings, told).values()) == [CSV]
    assert "using the copy in the cache" in told.notices[0]
    start = time.monotonic()
    with pytest.raises(SourceError, match="no answer") as failed:
        fetched(url.replace("a.csv", "b.csv"), settings)
    assert time.monotonic() - start < 15
    assert "fetch the file on a machine that can reach it" in str(failed.value)


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ("https:///a.csv", "names no host"),
        ("https://house:door/a.csv", "is no address"),
        ("https://[::1/a.csv", "is no address"),
        ("https://example.org/*.csv", "lists no files"),
        ("s3://bucket", "names no file"),
        ("s3://bucket/folder/", "names no file"),
        ("ftp://example.org/a.csv", "scheme 'ftp'"),
    ],
)
def test_addresses_that_name_no_file(settings: Settings, spec: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        fetched(spec, settings)


def test_killed_in_the_middle_then_again(web: Web, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    web.files["/a.csv"], web.chunk_bytes, web.pause_s = content, 50_000, 0.1
    home = tmp_path / "home"
    command = [sys.executable, "-c", FETCH, f"{web.url}/a.csv", str(home)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    end = time.monotonic() + 30
    while not any(path.stat().st_size > 100_000 for path in home.rglob("a.csv")):
        assert time.monotonic() < end
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert hidden(home), "the killed process left its staging folder"
    web.pause_s = 0.0
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert Path(out.strip()).read_bytes() == content
    assert hidden(home) == []


def test_processes_that_fetch_at_once_download_once(web: Web, tmp_path: Path) -> None:
    web.files["/a.csv"], web.chunk_bytes, web.pause_s = CSV, 20_000, 0.05
    command = [sys.executable, "-c", FETCH, f"{web.url}/a.csv", str(tmp_path / "home")]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    paths = {child.communicate(timeout=60)[0].strip() for child in children}
    assert [child.returncode for child in children] == [0, 0, 0]
    assert [Path(path).read_bytes() for path in paths] == [CSV]
    assert web.downloads("/a.csv") == 1
    assert hidden(tmp_path) == []


def test_what_a_kill_right_after_the_landing_left_is_cleared(web: Web, settings: Settings) -> None:
    web.files["/a.csv"] = CSV
    (file,) = fetch_sources(f"{web.url}/a.csv", settings)
    folder = file.path.parent
    for name in (f".{folder.name}.old", f".{folder.name}.partial"):
        (folder.parent / name).mkdir()
    for name in (f".{folder.name}.lock", f".{folder.name}.fetch.lock"):
        (folder.parent / name).touch()
    fetched(f"{web.url}/a.csv", settings)
    assert hidden(settings.cache_dir) == []
    assert web.downloads("/a.csv") == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_stays_flat(web: Web, tmp_path: Path) -> None:
    script = FETCH + "\nprint(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    for size in (1_000_000, 150_000_000):
        web.files[f"/{size}.csv"] = bytes(size)
    peaks = []
    for size in (1_000_000, 150_000_000):
        command = [sys.executable, "-c", script, f"{web.url}/{size}.csv", str(tmp_path / "home")]
        peaks.append(
            int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])
        )
    assert peaks[1] - peaks[0] < 60_000, f"peaks in KB: {peaks}"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, bytes], None]]:
    """Give a function that puts a key up in the bucket `house`; the variables lead there."""
    server = Buckets()
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    yield lambda key, body: server.put("house", key, body)
    server.close()


def test_a_key_of_a_bucket_arrives_once(bucket: Put, settings: Settings, told: Told) -> None:
    bucket("in/a.csv", CSV)
    (file,) = fetch_sources("s3://house/in/a.csv", settings, told)
    assert file.path.read_bytes() == CSV
    assert file.name == file.origin["spec"] == "s3://house/in/a.csv"
    assert file.origin["sha256"] == sha256(CSV)
    assert file.origin["etag"]
    stamp = file.path.stat().st_mtime_ns
    (again,) = fetch_sources("s3://house/in/a.csv", settings, told)
    assert again.path.stat().st_mtime_ns == stamp
    bucket("in/a.csv", CSV[:-2])
    assert fetched("s3://house/in/a.csv", settings) == {"s3://house/in/a.csv": CSV[:-2]}


def test_patterns_of_keys_are_sorted_and_stop_at_folders(bucket: Put, settings: Settings) -> None:
    for key in ("in/b.csv", "in/a.csv", "in/more/c.csv", "in/a.txt", "inside.csv", "in/.a.csv"):
        bucket(key, key.encode())
    assert list(fetched("s3://house/in/*.csv", settings)) == ["s3://house/in/a.csv", "s3://house/in/b.csv"]
    assert list(fetched("s3://house/**/[ac].csv", settings)) == [
        "s3://house/in/a.csv",
        "s3://house/in/more/c.csv",
    ]
    with pytest.raises(DataError, match="no file matches; there are 5 below s3://house/in"):
        fetched("s3://house/in/*.parquet", settings)


def test_what_a_bucket_does_not_have(bucket: Put, settings: Settings) -> None:
    bucket("a.csv", CSV)
    with pytest.raises(SourceError, match="no such file, or there is no such bucket"):
        fetched("s3://house/none.csv", settings)
    with pytest.raises(SourceError, match="no such"):
        fetched("s3://other-house/*.csv", settings)


def test_an_endpoint_that_is_not_there(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    start = time.monotonic()
    for key in ("a.csv", "*.csv"):
        with pytest.raises(SourceError, match="no answer") as failed:
            fetched(f"s3://house/{key}", settings)
        assert "AWS_ENDPOINT_URL" in str(failed.value)
    assert time.monotonic() - start < 20
