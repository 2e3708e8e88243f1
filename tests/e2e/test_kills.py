"""A training that is killed and started again ends with the model of an undisturbed one. benchmarks/kills.py does more."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
kills = importlib.import_module("kills")


@pytest.mark.real
def test_a_killed_training_ends_with_the_undisturbed_id(tmp_path):
    number, case = 4, kills.CASES["causal, adapters"]
    ground = kills.Ground.made(tmp_path, [case], rows=40)
    identity, seconds = kills.undisturbed(ground, case)
    told = list(kills.disturbed(ground, case, number, seconds, np.random.default_rng(number)))
    runs = [one for one in told if "id" in one]
    assert sum(run["kills"] for run in runs) == number
    assert [run["id"] for run in runs] == [identity] * len(runs)
    assert [run["left_over"] for run in runs] == [[]] * len(runs)
