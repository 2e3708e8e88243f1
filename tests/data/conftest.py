"""Helpers for the data room's tests: files made on the spot, and the shared real data where it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modwright.data.importing import Loaded, load_dataset
from modwright.data.options import ImportOptions, Meaning, Reading

_BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def load(tmp_path):
    """Write files (name to bytes or text) and load them; `splits` maps a file's name to its split."""

    def _load(files, splits=None, reading=None, **meaning) -> Loaded:
        sources, named = [], []
        for name, content in files.items():
            path = tmp_path / name
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            split = (splits or {}).get(name)
            if split is None:
                sources.append(str(path))
            else:
                named.append((split, str(path)))
        how, what = Reading(**(reading or {})), Meaning(**meaning)
        return load_dataset(ImportOptions(tuple(sources), tmp_path / "out", tuple(named), how, what))

    return _load


@pytest.fixture
def real_data() -> Path:
    """The folder of real data: MODWRIGHT_TEST_DATA, else shared/data beside the repository, else a skip."""
    folder = Path(os.environ.get("MODWRIGHT_TEST_DATA") or _BESIDE_THE_REPOSITORY)
    if not folder.is_dir():
        pytest.skip("no real data: set MODWRIGHT_TEST_DATA to its folder")
    return folder
