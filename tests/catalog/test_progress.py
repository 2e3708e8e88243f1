"""Progress: a bar on terminals, a line elsewhere, and a poll that cannot outlive its download."""

from __future__ import annotations

import io
import logging
import shutil
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console
from stand_ins import Told

from modwright.catalog.progress import LogProgress, TerminalProgress, file_sizes, watched


def test_a_terminal_gets_a_bar() -> None:
    out = io.StringIO()
    with TerminalProgress(Console(file=out, force_terminal=True, width=100)) as progress:
        progress.advance("tiny", 0, 2_000_000)
        progress.advance("tiny", 3_000_000, 2_000_000)
        progress.notice("source [one] failed")
    assert "2.0/2.0 MB" in out.getvalue()
    assert "source [one] failed" in out.getvalue()


def test_a_pipe_gets_one_line_per_download() -> None:
    out = io.StringIO()
    with TerminalProgress(Console(file=out, width=40)) as progress:
        for done in (0, 1, 2):
            progress.advance("a-base-with-a-rather-long-name-of-its-own", done, 2_000_000)
    assert out.getvalue() == "fetching a-base-with-a-rather-long-name-of-its-own, 2.0 MB\n"


def test_without_a_progress_notices_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="modwright"):
        LogProgress().notice("a source failed 100 %")
    assert caplog.messages == ["a source failed 100 %"]


def test_the_poll_ends_with_the_body_even_when_it_fails(told: Told) -> None:
    def body() -> None:
        with watched(lambda: 5, told, "tiny", 4):
            time.sleep(0.5)
            raise ValueError

    with pytest.raises(ValueError):
        body()
    assert len(told.steps) >= 2
    assert set(told.steps) == {("tiny", 4, 4)}
    assert not [thread for thread in threading.enumerate() if thread.name == "download-progress"]


def test_files_are_measured_where_another_removes_them(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"12345")
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            for number in range(20):
                deep = tmp_path / "unpacked" / str(number)
                deep.mkdir(parents=True)
                (deep / "part").write_bytes(b"1")
            shutil.rmtree(tmp_path / "unpacked")

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(300):
            assert 5 in file_sizes(tmp_path)
    finally:
        over.set()
        thread.join()
    assert file_sizes(tmp_path) == [5]
