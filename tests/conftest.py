"""The tiny base, made and exported once for the whole run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from modwright.models.features import FrozenBase
from modwright.testing import make_tiny_base, open_tiny_base

# What is slow on a busy machine is not wrong: properties are judged by what they find, not by the clock.
settings.register_profile("modwright", deadline=None)
settings.load_profile("modwright")


@pytest.fixture(scope="session")
def tiny_base_folder(tmp_path_factory) -> Path:
    """A folder with a tiny BERT; tests only read it."""
    return make_tiny_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory) -> Path:
    """A cache that holds the tiny base's graph."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny_base(tiny_base_folder, tiny_cache) -> FrozenBase:
    """The tiny base, opened."""
    return open_tiny_base(tiny_base_folder, tiny_cache)
