"""Folders appear whole or not at all: under exceptions, kills at every point, and two writers at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from modwright import files
from modwright.errors import IntegrityError, UsageError
from modwright.files import (
    file_hashes,
    has_leftovers,
    link_or_copy,
    read_json,
    sha256_file,
    sha256_json,
    staged_folder,
    verify,
    write_json,
    write_text_atomic,
)


def write(final, content, replace=True):
    with staged_folder(final, replace=replace) as staging:
        (staging / "a").write_text(content)
        (staging / "sub").mkdir()
        (staging / "sub" / "b").write_text(content)


def content(final):
    return {
        path.relative_to(final).as_posix(): path.read_text() for path in final.rglob("*") if path.is_file()
    }


def names(folder):
    return [path.name for path in folder.iterdir()]


def whole(text):
    return {"a": text, "sub/b": text}


def test_a_folder_appears_with_everything_in_it(tmp_path):
    final = tmp_path / "deep" / "final"
    with staged_folder(final) as staging:
        assert not final.exists()
        assert has_leftovers(final), "a writer is at work"
        (staging / "a").write_text("one")
    assert content(final) == {"a": "one"}
    assert not has_leftovers(final)
    assert names(final.parent) == ["final"]


def test_an_exception_leaves_the_old_one_and_nothing_else(tmp_path):
    final = tmp_path / "final"
    write(final, "old")
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), staged_folder(final, replace=True) as staging:  # noqa: PT012
            (staging / "a").write_text("half")
            raise error
        assert content(final) == whole("old")
        assert names(tmp_path) == ["final"]


def test_what_exists_is_only_replaced_when_asked_to(tmp_path):
    final = tmp_path / "final"
    write(final, "old")
    with pytest.raises(UsageError, match="exists already"):
        write(final, "new", replace=False)
    assert content(final) == whole("old")
    write(final, "new")
    assert content(final) == whole("new")
    (tmp_path / "file").write_text("a file")
    for replace in (False, True):
        with pytest.raises(UsageError, match="is a file"):
            write(tmp_path / "file", "new", replace)
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "new", replace=False)
    assert content(tmp_path / "empty") == whole("new")


def child(code, *arguments):
    """Start a Python process that runs code with `files`, `Path`, `os`, `sys` and `write` at hand."""
    head = """
        import os, signal, sys, time
        from pathlib import Path
        from modwright import files
        def die(*args, **more):
            os.kill(os.getpid(), signal.SIGKILL)
        def write(final, text, replace=True):
            with files.staged_folder(Path(final), replace=replace) as staging:
                (staging / "a").write_text(text)
                (staging / "sub").mkdir()
                (staging / "sub" / "b").write_text(text)
    """
    script = textwrap.dedent(head) + textwrap.dedent(code)
    return subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)])


#: Code that makes the child kill itself at a point of its second write.
KILLED_AT = {
    "the body's begin": "files.shutil.rmtree = files.shutil.rmtree; Path.write_text = die",
    "the body's end": "files.sync_tree = die",
    "before the swap": "files._swap_in = die",
    "between the renames": """
files._exchanged = lambda one, other: False  # as where the system cannot
rename = Path.rename
def first_only(self, target):
    rename(self, target)
    if str(target).endswith(".old"):
        die()
Path.rename = first_only
""",
    "after the renames": "files._exchanged = lambda one, other: False; files.shutil.rmtree = die",
    "after the exchange": "files.shutil.rmtree = die",
    "while the old one is removed": """
def half(path, *args, **more):
    os.unlink(Path(path) / "a")
    die()
files.shutil.rmtree = half
""",
    "after everything": "files._sync = lambda path: die() if path.name == 'top' else None",
}


@pytest.mark.parametrize("point", KILLED_AT)
def test_a_kill_leaves_the_old_or_the_new_and_the_next_writer_puts_it_right(tmp_path, point):
    top = tmp_path / "top"
    final = top / "final"
    write(final, "old")
    process = child(KILLED_AT[point] + "\nwrite(sys.argv[1], 'new')", final)
    assert process.wait(60) == -signal.SIGKILL
    assert has_leftovers(final)
    if final.exists():
        assert content(final) in (whole("old"), whole("new"))
    else:
        assert point == "between the renames"
        with pytest.raises(UsageError, match="exists already"):
            write(final, "third", replace=False)
        assert content(final) == whole("old"), "the old one is back, and was not asked to be replaced"
    write(final, "third")
    assert content(final) == whole("third")
    assert names(top) == ["final"]


@pytest.mark.parametrize("delay_s", [0.0, 0.004, 0.02])
def test_a_kill_at_any_moment_leaves_a_whole_folder(tmp_path, delay_s):
    final = tmp_path / "final"
    write(final, "start")
    loop = """
        print("ready", flush=True)
        number = 0
        while True:
            number += 1
            write(sys.argv[1], str(number))
    """
    process = child(loop, final)
    deadline = time.monotonic() + 30
    while (content_or_none(final) or {}).get("a") in (None, "start") and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(delay_s)
    process.kill()
    process.wait(30)
    if final.exists():
        found = content(final)
        assert found == whole(found["a"])
    write(final, "end")
    assert content(final) == whole("end")
    assert names(tmp_path) == ["final"]


def content_or_none(final):
    try:
        return content(final)
    except OSError:
        return None


def test_two_writers_at_once_each_write_a_whole_folder(tmp_path):
    final = tmp_path / "final"
    code = "for number in range(30): write(sys.argv[1], sys.argv[2] + str(number))"
    both = [child(code, final, name) for name in "xy"]
    assert [process.wait(60) for process in both] == [0, 0]
    found = content(final)
    assert found == whole(found["a"])
    assert found["a"] in ("x29", "y29")
    assert names(tmp_path) == ["final"]


def test_of_two_writers_that_may_not_replace_one_is_refused(tmp_path):
    """The second waits for the first, and must then see what the first has made."""
    final = tmp_path / "final"
    code = """
        with files.staged_folder(Path(sys.argv[1])) as staging:
            (staging / "a").write_text("first")
            Path(sys.argv[2]).touch()
            time.sleep(0.5)
    """
    first = child(code, final, tmp_path / "inside")
    while not (tmp_path / "inside").exists():
        time.sleep(0.005)
    with pytest.raises(UsageError, match="exists already"):
        write(final, "second", replace=False)
    assert first.wait(30) == 0
    assert content(final) == {"a": "first"}


def test_hashes_are_checked_file_by_file(tmp_path):
    write(tmp_path / "final", "text")
    folder = tmp_path / "final"
    hashes = file_hashes(folder)
    assert list(hashes) == ["a", "sub/b"]
    assert file_hashes(folder, leave_out=frozenset({"a"})).keys() == {"sub/b"}
    verify(folder, hashes)
    (folder / "sub" / "b").write_text("texT")
    with pytest.raises(IntegrityError, match="the manifest promises") as caught:
        verify(folder, hashes)
    assert str(folder / "sub" / "b") in str(caught.value)
    (folder / "sub" / "b").unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        verify(folder, hashes)


def test_sha256_of_a_file_and_of_json(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(b"x" * (files._CHUNK_BYTES + 1))
    import hashlib

    assert sha256_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sha256_json({"b": 1, "a": [1.5, "é"]}) == sha256_json({"a": [1.5, "é"], "b": 1})
    assert sha256_json({"a": 1}) != sha256_json({"a": "1"})
    with pytest.raises(ValueError):
        sha256_json({"a": float("nan")})


def test_json_files_are_written_and_read_strictly(tmp_path):
    path = tmp_path / "data.json"
    write_json(path, {"é": [1, None]})
    assert read_json(path) == {"é": [1, None]}
    assert path.read_text(encoding="utf-8").startswith('{\n  "é"')
    with pytest.raises(ValueError):
        write_json(path, float("inf"))
    for broken in (b"{", b"\xff\xfe", b"", b"[" * 100_000):
        path.write_bytes(broken)
        with pytest.raises(IntegrityError, match="is not valid JSON"):
            read_json(path)
    with pytest.raises(IntegrityError, match="is missing"):
        read_json(tmp_path / "none.json")


def test_link_or_copy_makes_the_same_bytes_even_where_links_are_refused(tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.write_text("bytes")
    link_or_copy(source, tmp_path / "sub" / "linked")
    assert (tmp_path / "sub" / "linked").stat().st_ino == source.stat().st_ino

    def refuse(*args):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    link_or_copy(source, tmp_path / "copied")
    assert (tmp_path / "copied").read_text() == "bytes"
    assert (tmp_path / "copied").stat().st_ino != source.stat().st_ino


def test_a_text_is_replaced_at_once(tmp_path):
    path = tmp_path / "sub" / "text"
    write_text_atomic(path, "one")
    held = path.open()
    write_text_atomic(path, "two")
    assert held.read() == "one"
    held.close()
    assert path.read_text() == "two"
    assert names(path.parent) == ["text"]


def test_the_lock_is_let_go_when_its_holder_is_killed(tmp_path):
    path = tmp_path / "thing"
    process = child(
        "lock = files.locked(Path(sys.argv[1])); lock.__enter__(); Path(sys.argv[2]).touch(); time.sleep(60)",
        path,
        tmp_path / "inside",
    )
    while not (tmp_path / "inside").exists():
        time.sleep(0.005)
    process.kill()
    process.wait(30)
    with files.locked(path):
        assert has_leftovers(path)
    assert not has_leftovers(path)
    assert Path(tmp_path / "inside").exists()


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "notes.txt").write_text("years of work")
    with (
        pytest.raises(UsageError, match=r"there is no manifest\.json"),
        staged_folder(tmp_path / "thesis", replace=True, only="manifest.json"),
    ):
        pass
    assert (tmp_path / "thesis" / "notes.txt").read_text() == "years of work"


def test_a_link_stays_and_its_folder_is_written(tmp_path):
    write(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for text in ("new", "newer"):
        write(tmp_path / "link", text)
        assert (tmp_path / "link").is_symlink()
        assert content(tmp_path / "real") == whole(text)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_the_folder_this_runs_in_is_not_swapped(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for final in (Path(), Path(".."), tmp_path / "here"):
        with pytest.raises(UsageError, match="the folder this runs in"):
            write(final, "new", replace=True)
