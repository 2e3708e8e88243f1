"""kill -9 at every step of a writer, and at random moments: the old dataset or the new one, never a half, none lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("killed_writer.py")


@pytest.mark.parametrize("mode", ["dataset", "export"])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="writers are forked")
def test_the_old_or_the_new(mode, tmp_path):
    command = [sys.executable, str(SCRIPT), mode, str(tmp_path / "parent" / "folder")]
    (tmp_path / "parent").mkdir()
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    kills = [json.loads(line) for line in done.stdout.splitlines()]
    steps = [kill for kill in kills if kill["moment"].startswith("event")]
    assert len(steps) > 15
    assert [kill["killed"] for kill in steps] == [True] * (len(steps) - 1) + [False]
    assert {kill["found"] for kill in kills} == {"old", "new"}, done.stdout
    assert all(kill["again"] == "again" and kill["clean"] for kill in kills), done.stdout
    order = [kill["found"] for kill in steps]
    assert order == sorted(order, reverse=True)  # the exchange is one step: once new, always new
