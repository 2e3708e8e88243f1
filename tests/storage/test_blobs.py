"""Content by its sha256, in a folder and in a bucket: whole or not at all, kept once, gone when nobody names it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import subprocess
import sys
import threading

import pytest
from sqlalchemy import func, select, update

from modwright.errors import IntegrityError, NotFoundError, SettingsError, StorageError, StorageFullError
from modwright.settings import Settings
from modwright.storage.blobs import open_blobs
from modwright.storage.database import open_database
from modwright.storage.tables import blob_reservations
from modwright.storage.tables import blobs as blobs_table

CONTENT = b"you are a silly goose\n" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MEMORY = """
import sys
from modwright.settings import Settings
from modwright.storage.blobs import open_blobs
from modwright.storage.database import open_database
database = open_database(f"sqlite:///{sys.argv[1]}/memory.db")
database.migrate()
blobs = open_blobs(Settings(home=sys.argv[1]), database)
with blobs.writer() as writer:
    for _ in range(int(sys.argv[2])):
        writer.write(bytes(1 << 20))
    info = writer.commit()
assert sum(map(len, blobs.read(info.sha256))) == info.bytes == int(sys.argv[2]) << 20
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""


def put(blobs, content=CONTENT):
    with blobs.writer() as writer:
        for start in range(0, len(content), 1000):
            writer.write(content[start : start + 1000])
        return writer.commit()


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file() and "modwright.db" not in path.name]


def rows(database, table=blobs_table):
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_what_is_put_comes_back(any_blobs, tmp_path):
    info = put(any_blobs)
    assert (info.sha256, info.bytes) == (SHA256, len(CONTENT))
    assert b"".join(any_blobs.read(SHA256)) == CONTENT
    assert any_blobs.exists(SHA256)
    any_blobs.get_to(SHA256, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT


def test_an_empty_file_is_content_like_any_other(any_blobs):
    assert b"".join(any_blobs.read(put(any_blobs, b"").sha256)) == b""


def test_a_file_is_put_as_it_is_and_stays(any_blobs, tmp_path):
    path = tmp_path / "given"
    path.write_bytes(CONTENT)
    assert any_blobs.put_file(path).sha256 == any_blobs.put_file(path).sha256 == SHA256
    assert path.read_bytes() == CONTENT


def test_what_is_larger_than_a_part_goes_to_a_bucket_and_back(bucket_variables, tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'modwright.db'}")
    database.migrate()
    blobs = open_blobs(Settings(home=tmp_path, storage="s3://house"), database)
    (tmp_path / "large").write_bytes(os.urandom(1 << 20) * 20)
    info = blobs.put_file(tmp_path / "large")
    blobs.get_to(info.sha256, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "large").read_bytes()
    assert list((tmp_path / "incoming").iterdir()) == []


def test_released_content_is_gone_from_the_store(any_blobs):
    put(any_blobs)
    put(any_blobs)
    any_blobs.release(SHA256)
    assert any_blobs.exists(SHA256)  # the other still has it reserved
    any_blobs.release(SHA256)
    assert not any_blobs.exists(SHA256)
    with pytest.raises(NotFoundError):
        any_blobs.read(SHA256)
    assert list(any_blobs._objects.names(older_than_s=-60)) == []


def test_nothing_is_seen_before_the_commit_and_giving_up_leaves_nothing(blobs, folder, database):
    writer = blobs.writer()
    writer.write(CONTENT)
    assert not blobs.exists(SHA256)
    info = writer.finish()
    assert writer.path.read_bytes() == CONTENT
    assert info.sha256 == SHA256
    assert not blobs.exists(SHA256)
    writer.abort()
    with pytest.raises(TypeError), blobs.writer() as writer:
        writer.write("no bytes")
    assert files_below(folder) == []
    assert rows(database) == 0


def test_the_same_content_is_kept_once(blobs, folder):
    for _ in range(3):
        put(blobs)
    assert len(files_below(folder)) == 1


def test_threads_that_put_the_same_content_at_once_keep_it_once(blobs, folder, database):
    barrier = threading.Barrier(4)

    def work():
        with blobs.writer() as writer:
            writer.write(CONTENT)
            writer.finish()
            barrier.wait(30)
            writer.commit()

    run_threads(work, 4)
    assert len(files_below(folder)) == rows(database) == 1
    assert rows(database, blob_reservations) == 4


def run_threads(work, count):
    failed = []

    def guarded():
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failed == []


def test_damaged_content_is_found_when_it_is_read_back(blobs, folder, tmp_path):
    put(blobs)
    (path,) = files_below(folder)
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(IntegrityError, match="sha256"):
        blobs.get_to(SHA256, tmp_path / "copy")
    path.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        blobs.get_to(SHA256, tmp_path / "copy")
    assert not [path for path in tmp_path.iterdir() if "copy" in path.name]


def test_a_sweep_clears_what_killed_processes_left_and_nothing_else(blobs, folder, database, tmp_path):
    put(blobs)
    left = blobs.writer()  # was killed while writing
    left.write(b"half")
    (tmp_path / "orphan").write_bytes(b"put, and killed before its row was made")
    (folder / "incoming").mkdir(exist_ok=True)
    (tmp_path / "orphan").rename(folder / "incoming" / "orphan")
    blobs._objects.put("0" * 64 + "-00000000", folder / "incoming" / "orphan")
    assert blobs.sweep() == 0  # too young: somebody may be about to name it
    assert blobs.sweep(older_than_s=-60) == 2
    assert blobs.exists(SHA256)
    assert len(files_below(folder)) == 1
    with database.write() as connection:
        connection.execute(update(blob_reservations).values(expires_at=0.0))
    assert blobs.sweep(older_than_s=-60) == 0
    assert files_below(folder) == []
    assert rows(database) == rows(database, blob_reservations) == 0


@contextlib.contextmanager
def small_disk(folder):
    """Give a folder with room for about a megabyte: a tmpfs where one may be mounted, else files end there."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    with contextlib.suppress(FileNotFoundError):
        if subprocess.run(mount, capture_output=True).returncode == 0:
            try:
                yield
            finally:
                subprocess.run(["umount", "-l", str(folder)], check=True)
            return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_leaves_nothing_and_the_next_one_works(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'modwright.db'}")
    database.migrate()
    with small_disk(tmp_path / "small"):
        blobs = open_blobs(Settings(home=tmp_path, storage=str(tmp_path / "small")), database)
        with pytest.raises(StorageFullError, match="no room"):
            put(blobs, bytes(2_000_000))
        assert files_below(tmp_path / "small") == []
        with blobs.writer() as first:
            first.write(bytes(700_000))
            with pytest.raises(StorageFullError):
                put(blobs, bytes(1_200_000))
            assert first.path.stat().st_size == 700_000
        put(blobs)
        assert b"".join(blobs.read(SHA256)) == CONTENT
    database.close()


def test_a_database_that_is_down_leaves_nothing_aside(tmp_path):
    good = open_database(f"sqlite:///{tmp_path / 'modwright.db'}")
    good.migrate()
    blobs = open_blobs(Settings(home=tmp_path), open_database("postgresql://u@127.0.0.1:9/n"))
    with pytest.raises(StorageError):
        put(blobs)
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_bucket_that_is_not_there_is_a_storage_error_and_leaves_nothing(bucket_variables, tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'modwright.db'}")
    database.migrate()
    blobs = open_blobs(Settings(home=tmp_path, storage="s3://another-house"), database)
    with pytest.raises(StorageError, match="another-house"):
        put(blobs)
    assert list((tmp_path / "incoming").iterdir()) == []
    assert rows(database) == 0


@pytest.mark.parametrize("storage", ["gs://bucket", "https://somewhere/x", "s3://"])
def test_an_address_of_another_kind_is_refused(storage, tmp_path):
    with pytest.raises(SettingsError):
        open_blobs(Settings(home=tmp_path, storage=storage), None)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_stays_flat(tmp_path):
    peaks = []
    for megabytes in (1, 100):
        command = [sys.executable, "-c", MEMORY, str(tmp_path), str(megabytes)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 20_000, f"peaks in KB: {peaks}"
