"""One trained road for all tests of a run: real comments, a real base, the installed command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from the_road import Road, data_file, environment, run

from modwright.data.dataset import read_dataset


@pytest.fixture(scope="session")
def warm_cache(tmp_path_factory) -> Path:
    """MODWRIGHT_CACHE where it is set, so that nothing is fetched twice; else a new folder."""
    given = os.environ.get("MODWRIGHT_CACHE")
    return Path(given) if given else tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def road(tmp_path_factory, warm_cache) -> Road:
    """Import, split, check and train, each by its command."""
    source = data_file("ethos/binary.csv")
    work = tmp_path_factory.mktemp("road")
    env = environment(work / "home", warm_cache)
    whole, parts, model = work / "ethos", work / "parts", work / "model"
    meaning = ("--text", "comment", "--score", "isHate", "--threshold", ">= median", "--delimiter", ";")
    run("data", "import", source, *meaning, "--out", whole, env=env)
    run("data", "split", whole, "--out", parts, "--fractions", "train=0.8,test=0.2", env=env)
    run("data", "check", parts, env=env)
    run("train", "fast", "--data", parts, "--out", model, env=env)
    return Road(work, parts, model, read_dataset(parts), env)
