"""What the benchmarks share: where data lies and results go, and what machine they ran on."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"


def data_file(name: str) -> Path:
    """Return a file of the labelled data sets, from MODWRIGHT_TEST_DATA or `../shared/data` beside the checkout."""
    folder = Path(os.environ.get("MODWRIGHT_TEST_DATA", ROOT.parent / "shared" / "data"))
    path = folder / name
    if not path.is_file():
        sys.exit(f"{name} is not there; set MODWRIGHT_TEST_DATA to the folder that holds it")
    return path


def machine() -> dict[str, object]:
    """Return what a reader needs to place the figures."""
    packages = ("modwright", "numpy", "onnxruntime", "tokenizers", "torch")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }


def silent(event: object) -> None:
    """Take an event and say nothing."""
