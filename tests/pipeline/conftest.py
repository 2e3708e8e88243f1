"""One artifact, trained once for the whole run, and homes whose cache holds nothing but the tiny base's graph."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modwright.pipeline.train import TrainResult, train
from modwright.serving.engine import Engine
from modwright.settings import Settings
from modwright.testing import tiny_dataset, tiny_recipe

# The fakes of a server, and a stand-in for a foreign one.
sys.path[:0] = [str(Path(__file__).parents[1] / "serving"), str(Path(__file__).parent)]


@pytest.fixture(scope="session")
def dataset():
    """Labelled texts in three splits; tests only read it."""
    return tiny_dataset()


@pytest.fixture(scope="session")
def recipe(tiny_base_folder):
    """The recipe every test trains with."""
    return tiny_recipe(tiny_base_folder)


@pytest.fixture(scope="session")
def new_home(tiny_base, tiny_cache) -> Callable[[Path], Settings]:
    """Make settings of a home whose cache holds the exported graph, and no embedding."""

    def make(home: Path) -> Settings:
        shutil.copytree(tiny_cache / "graphs", home / "cache" / "graphs")
        return Settings(home=home, threads=1)

    return make


@pytest.fixture(scope="session")
def events() -> list:
    """What the trainer told while `trained` was made."""
    return []


@pytest.fixture(scope="session")
def trained(tmp_path_factory, new_home, recipe, dataset, events) -> TrainResult:
    """A finished run; tests only read its folder."""
    root = tmp_path_factory.mktemp("trained")
    return train(recipe, dataset, root / "out" / "model", new_home(root / "home"), on_event=events.append)


@pytest.fixture(scope="session")
def engine(trained) -> Engine:
    """The artifact, loaded."""
    return Engine.load(trained.folder, threads=1)


@pytest.fixture
def artifact_copy(trained, tmp_path) -> Path:
    """A copy of the artifact that a test may damage: no file is shared with any cache."""
    return Path(shutil.copytree(trained.folder, tmp_path / "copy"))
