"""The how-to page on sources does what it says, with stand-ins for the hub, the web and S3."""

from __future__ import annotations

import gzip
import importlib
import io
import os
import shlex
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from modwright.cli.data import data_app
from modwright.data.dataset import read_dataset

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / "catalog"), str(TESTS)]
stand_ins = importlib.import_module("stand_ins")
steps = importlib.import_module("docs_pages").steps

PAGE = TESTS.parent / "docs" / "how-to" / "sources.md"
CSV = b"text,insult\na goose,1\na day,0\n"


@pytest.fixture
def world(tmp_path, monkeypatch):
    """An empty folder, a hub with civil_comments, a web server, and a bucket; gives the web server's address."""
    for name in [*os.environ]:
        if name.startswith(("HF_", "AWS_", "MODWRIGHT_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    hub, web, buckets = stand_ins.Hub(), stand_ins.Web(), stand_ins.Buckets()
    variables = {"MODWRIGHT_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url, **buckets.variables}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    buffer = io.BytesIO()
    columns = {"toxicity": [0.9, 0.1] * 60, "insult": [0.1, 0.6, 0.0] * 40}
    pl.DataFrame({"text": [f"comment {row}" for row in range(120)], **columns}).write_parquet(buffer)
    files = {f"data/{split}-00000-of-00001.parquet": buffer.getvalue() for split in ("train", "test")}
    hub.publish("google/civil_comments", files)
    web.files["/data/comments.csv.gz"] = gzip.compress(CSV)
    buckets.put("my-bucket", "comments/a.csv", CSV)
    monkeypatch.chdir(tmp_path)
    yield web.url
    for server in (hub, web, buckets):
        server.close()


def test_the_page_runs(world):
    walked = 0
    for step in steps(PAGE):
        if step.writes:
            Path(step.writes[0]).parent.mkdir(exist_ok=True)
            Path(step.writes[0]).write_text(step.writes[1])
            continue
        command, stdin = step.command, None
        if command[0] == "cat":
            stdin, command = Path(command[1]).read_bytes(), command[3:]
        assert command[:2] == ["modwright", "data"]
        arguments = [word.replace("https://example.org", world) for word in command[2:]]
        result = CliRunner().invoke(data_app, arguments, input=stdin)
        assert result.exit_code == 0, (shlex.join(command), result.output, result.exception)
        dataset = read_dataset(Path(command[-1]))
        assert len(dataset.splits["train"]) == {"comments": 4, "civil": 80}.get(command[-1], 2)
        walked += 1
    assert walked == 5
