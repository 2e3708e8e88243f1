"""The installed command as a user runs it: subprocesses, a server, and texts to ask it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modwright.data.dataset import Dataset, inputs, labels
from modwright.testing import HARMLESS_SENTENCES

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("modwright")


@dataclass(frozen=True)
class Road:
    """Folders that the commands made, in order, and the environment they ran in."""

    work: Path
    parts: Path
    model: Path
    dataset: Dataset
    env: dict[str, str]

    def test_rows(self) -> tuple[list[str], list[bool]]:
        """Return the held-out texts, and which are hateful."""
        frame = self.dataset.split("test")
        (target,) = self.dataset.schema.targets
        truth = labels(frame, target)[:, 0] > self.dataset.schema.positive_above
        return [one[-1].content for one in inputs(frame)], truth.tolist()


def filler(words: int, *, punctuated: bool = True) -> str:
    """Return that many mild words; without punctuation they are in lower case, too."""
    many = (" ".join(HARMLESS_SENTENCES) + " ") * (words // 40 + 1)
    text = " ".join(many.split()[:words])
    return text if punctuated else text.replace(".", "").lower()


def data_file(name: str) -> Path:
    """Return a file of the labelled data sets, or skip where they are absent."""
    folder = Path(os.environ.get("MODWRIGHT_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / name).is_file():
        pytest.skip(f"{name} is not in {folder}; MODWRIGHT_TEST_DATA names the folder of the labelled data")
    return folder / name


def environment(home: Path, cache: Path, **more: str) -> dict[str, str]:
    """Return this process's environment with another home and cache."""
    return {**os.environ, "MODWRIGHT_HOME": str(home), "MODWRIGHT_CACHE": str(cache), **more}


def run(*arguments: object, env: Mapping[str, str], timeout: float = 900) -> str:
    """Run the installed command to its end and return what it printed; a failure shows what it said."""
    command = [str(COMMAND), *map(str, arguments)]
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{' '.join(command)} left with {done.returncode}:\n{done.stderr[-2000:]}"
    return done.stdout


@contextlib.contextmanager
def serving(*arguments: object, env: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `modwright serve` on a free port; gives the process and its URL once it is ready."""
    command = [str(COMMAND), "serve", *map(str, arguments), "--no-jobs", "--port", "0", "--json"]
    process = subprocess.Popen(command, env=dict(env), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the server ended with {process.wait(30)} before it was ready"
        yield process, json.loads(line)["url"]
    finally:
        process.terminate()
        process.wait(60)


def write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> Path:
    """Write a JSONL file."""
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
