"""`modwright train` of a fine-tuned family, killed and started again from a shell: the same command goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from modwright.data.dataset import write_dataset
from modwright.testing import tiny_dataset

SCRIPT = "import sys; from modwright.cli.app import main; sys.argv = ['modwright', *sys.argv[1:]]; main()"
SMALL = (
    "window.min_tokens=16",
    "window.max_tokens=16",
    "batches.rows=8",
    "training.precision=float32",
    "epochs=6",
    "validation.method=holdout",
    "checkpoints.every_steps=5",
    "evaluation.resamples=0",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_base, tiny_base_folder, tiny_cache):
    """A folder with a dataset, and a home whose cache holds the graph."""
    root = tmp_path_factory.mktemp("killed")
    shutil.copytree(tiny_cache / "graphs", root / "home" / "cache" / "graphs")
    write_dataset(tiny_dataset(), root / "data")
    return root


def start(root, base, out, *overrides):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MODWRIGHT_")}
    environment = kept | {
        "MODWRIGHT_HOME": str(root / "home"),
        "MODWRIGHT_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = ["train", "balanced", f"base.name={base}", *SMALL, *overrides, "--data", "data", "--out", out]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *command],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out, err


def events(root, out):
    path = root / f"{out}-run" / "events.jsonl"
    if not path.is_file():
        return []
    return [
        json.loads(line)
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
        if line[-1:] == "\n"
    ]


def steps(root, out):
    return [line["number"] for line in events(root, out) if line["event"] == "step"]


def until_step(root, out, process, number):
    deadline = time.monotonic() + 240
    while len(steps(root, out)) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def artifact_id(root, out):
    return json.loads((root / out / "artifact.json").read_text())["id"]


def test_the_same_command_goes_on_and_ends_in_the_same_artifact(place, tiny_base_folder):
    finished(start(place, tiny_base_folder, "undisturbed"))
    process = start(place, tiny_base_folder, "killed")
    until_step(place, "killed", process, 12)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (place / "killed").exists()
    assert (place / "killed-run" / "checkpoints").is_dir()
    before = len(steps(place, "killed"))
    assert before < len(steps(place, "undisturbed"))
    _, shown = finished(start(place, tiny_base_folder, "killed"))
    assert "goes on after step" in shown
    assert artifact_id(place, "killed") == artifact_id(place, "undisturbed")
    assert (
        steps(place, "killed")
        == steps(place, "undisturbed")
        == list(range(1, len(steps(place, "killed")) + 1))
    )
    losses = [
        [(line["number"], line["train_loss"]) for line in events(place, out) if line["event"] == "step"]
        for out in ("killed", "undisturbed")
    ]
    assert losses[0] == losses[1]
    assert {path.name for path in (place / "killed-run").iterdir()} == {
        *("run.json", "events.jsonl", "loss.svg", "loss.png")
    }
    assert [line["event"] for line in events(place, "killed")].count("opened") == 2


def test_another_recipe_into_the_same_folder_says_what_it_drops(place, tiny_base_folder):
    process = start(place, tiny_base_folder, "changed")
    until_step(place, "changed", process, 6)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    process = start(place, tiny_base_folder, "changed", "epochs=1")
    said = ""
    while "final" not in said.splitlines():  # the run begins
        said += process.stderr.readline()
        assert process.poll() is None, said
    until_step(place, "changed", process, 1)
    process.kill()
    said += process.communicate()[1]
    assert "another recipe or dataset" in said
    assert "goes on after step" not in said
    assert min(steps(place, "changed")) == 1
