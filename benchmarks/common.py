"""What the benchmarks share: where data lies and results go, what machine they ran on, and runs that are done once."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from modwright.files import locked, read_json, write_text_atomic
from modwright.recipe import Recipe
from modwright.settings import load_settings

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("modwright", "numpy", "onnxruntime", "tokenizers", "torch")
TUNED_PACKAGES = (*PACKAGES, "transformers", "peft")


def data_file(name: str) -> Path:
    """Return a file of the labelled data sets, from MODWRIGHT_TEST_DATA or `../shared/data` beside the checkout."""
    folder = Path(os.environ.get("MODWRIGHT_TEST_DATA", ROOT.parent / "shared" / "data"))
    path = folder / name
    if not path.is_file():
        sys.exit(f"{name} is not there; set MODWRIGHT_TEST_DATA to the folder that holds it")
    return path


def machine(packages: tuple[str, ...] = PACKAGES) -> dict[str, object]:
    """Return what a reader needs to place the figures."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }


def silent(event: object) -> None:
    """Take an event and say nothing."""


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Return a figure as it is written down."""
    return None if value is None else round(float(value), digits)


def working_folder(*names: str) -> Path:
    """Return a folder below MODWRIGHT_HOME for what a killed benchmark goes on from; made if needed."""
    folder = load_settings().home.joinpath("benchmarks", *names)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Book:
    """A result file that grows run by run: a run that stands in it is not done again.

    Attributes:
        data: the file's content; its `runs` holds name to result.
    """

    def __init__(self, path: Path, packages: tuple[str, ...] = TUNED_PACKAGES) -> None:
        self.path = path
        self._packages = packages
        self.data: dict[str, Any] = read_json(path) if path.is_file() else {}
        self.data.setdefault("runs", {})
        self._done: set[str] = set()

    @property
    def runs(self) -> dict[str, Any]:
        """Return name to result of what was run so far."""
        return self.data["runs"]

    def run(self, name: str, identity: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a run's result, doing the work unless the file holds the run of this very identity."""
        found = self.runs.get(name)
        if found is not None and found.get("identity") == identity:
            return found
        begun = time.perf_counter()
        print(f"{name} …", flush=True)
        result = {"identity": identity, **work()}
        result["seconds"] = round(time.perf_counter() - begun, 1)
        self.runs[name] = result
        self._done.add(name)
        self.write()
        shown = {key: value for key, value in result.items() if isinstance(value, int | float)}
        print(f"{name}: " + ", ".join(f"{key} {value:g}" for key, value in shown.items()), flush=True)
        return result

    def write(self, **parts: Any) -> None:
        """Lay parts over the content and write it, whole; runs that another process has written meanwhile stay."""
        self.path.parent.mkdir(exist_ok=True)
        with locked(self.path):
            there: dict[str, Any] = read_json(self.path) if self.path.is_file() else {}
            own = {name: self.runs[name] for name in self._done}
            runs = {**self.runs, **there.pop("runs", {}), **own}
            there.pop("machine", None)
            self.data = {"machine": machine(self._packages), **there, **parts, "runs": runs}
            write_text_atomic(self.path, json.dumps(self.data, indent=2, allow_nan=False) + "\n")


def identity_of(recipe: Recipe, *more: object) -> str:
    """Return a short name of a recipe and what else decides a run."""
    from modwright.pipeline.writing import recipe_hash

    return "-".join([recipe_hash(recipe)[:12], *map(str, more)])
