"""The shipped recipe that does what the cookbook's notebook does, from a hub to JSONL, against the notebook's own code."""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from modwright.cli.data import data_app

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / "catalog"), str(TESTS.parent / "benchmarks")]
stand_ins = importlib.import_module("stand_ins")
notebook = importlib.import_module("curation_notebook")

SIZES = {"train": 3_000, "validation": 500, "test": 700}
RATES = (0.3, 0.0005, 0.05, 0.02, 0.25, 0.05, 0.004)
CARD = b"---\nconfigs:\n- config_name: default\n  data_files:\n" + b"".join(
    f"  - split: {split}\n    path: data/{split}-*\n".encode() for split in SIZES
)


def rows_of(split: str) -> pl.DataFrame:
    """Return rows with the columns of civil_comments; scores are in steps of 1/6, so that some are 0.5 exactly."""
    random = np.random.default_rng(len(split))
    number = SIZES[split]
    held = random.random((number, len(RATES))) < RATES
    scores = np.where(held, random.integers(4, 7, held.shape), random.integers(0, 4, held.shape)) / 6
    texts = [f'{split} comment {row}, "quoted"\nand \u2028 more' for row in range(number)]
    return pl.DataFrame({"text": texts, **dict(zip(notebook.LABELS, scores.T, strict=True))})


@pytest.fixture
def hub(monkeypatch, tmp_path):
    for name in [*os.environ]:
        if name.startswith(("HF_", "MODWRIGHT_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    server = stand_ins.Hub()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("MODWRIGHT_HOME", str(tmp_path / "home"))
    files = {}
    for split in SIZES:
        buffer = io.BytesIO()
        rows_of(split).write_parquet(buffer)
        files[f"data/{split}-00000-of-00001.parquet"] = buffer.getvalue()
    server.publish("google/civil_comments", {"README.md": CARD + b"---\n", **files})
    yield server
    server.close()


def by_the_notebook(folder: Path) -> None:
    """Write the JSONL files of the notebook's code; `datasets` shuffles a buffer that holds every row like this."""
    for split in SIZES:
        frame = rows_of(split)
        order = list(range(len(frame)))
        np.random.default_rng(42).shuffle(order)
        frame[order].write_parquet(folder / f"{split}.parquet")
    notebook.main(folder, ".parquet", folder / "jsonl", "records")


def lines(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Return texts and labels, sorted: the notebook's last shuffle has no seed."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    return sorted((record["text"], tuple(sorted(record["labels"]["moderation"]))) for record in records)


def test_the_notebooks_recipe_writes_the_notebooks_files(hub, tmp_path):
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(data_app, list(arguments), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    built = tmp_path / "built"
    shown = run("build", "civil-comments-notebook", "--out", str(built))
    assert "rare_labels: removed" in shown
    run("export", str(built), "--format", "factory", "--safe", "safe", "--out", str(tmp_path / "ours"))
    (tmp_path / "theirs").mkdir()
    by_the_notebook(tmp_path / "theirs")
    for split in SIZES:
        ours = lines(tmp_path / "ours" / f"{split}.jsonl")
        assert ours == lines(tmp_path / "theirs" / "jsonl" / f"{split}.jsonl")
        assert 0 < len(ours) < SIZES[split]
