"""The one command that a newcomer runs: what it leaves, offline, killed, and serving."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from the_road import COMMAND, environment, run

from modwright.artifact import read_artifact
from modwright.data.dataset import inputs, read_dataset

pytestmark = pytest.mark.real

METRICS = {"f1", "precision", "recall", "roc_auc", "average_precision", "brier", "log_loss", "ece"}


@dataclass(frozen=True)
class Made:
    """What the undisturbed command made, in an empty home, and what it said."""

    home: Path
    cache: Path
    told: dict


@pytest.fixture(scope="module")
def made(tmp_path_factory, warm_cache: Path) -> Made:
    home = tmp_path_factory.mktemp("quickstart") / "home"
    told = run("quickstart", "--no-serve", "--json", env=environment(home, warm_cache))
    return Made(home, warm_cache, json.loads(told))


def test_it_leaves_a_model_with_its_card_and_metrics(made: Made) -> None:
    folder = made.home / "quickstart"
    assert {path.name for path in made.home.iterdir()} == {"quickstart"}
    assert {path.name for path in folder.iterdir()} == {"data", "model", "model-run", "evaluation"}
    assert read_artifact(folder / "model").id == made.told["id"]
    card = (folder / "model" / "README.md").read_text(encoding="utf-8")
    assert "all-MiniLM-L6-v2" in card
    metrics = json.loads((folder / "evaluation" / "metrics.json").read_text(encoding="utf-8"))
    test = metrics["splits"]["test"]
    assert {target: len(labels) for target, labels in test.items()} == {"harmful": 1, "category": 8}
    for name in METRICS:
        found = test["harmful"]["harmful"][name]
        assert found["low"] <= found["value"] <= found["high"], name
    assert test["harmful"]["harmful"]["roc_auc"]["value"] > 0.6


def test_its_report_needs_nothing_but_itself(made: Made) -> None:
    report = Path(made.told["report"]).read_text(encoding="utf-8")
    fetched = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)|url\(([^)]+)\)|@import""", report)
    assert [one for one in fetched if not (one[0] or one[1]).startswith(("#", "data:"))] == []
    assert "<script src" not in report
    assert report.count("<svg") >= 4


def test_its_counts_and_no_prompt_on_both_sides(made: Made) -> None:
    assert made.told["dropped_duplicates"] == 21
    assert sum(made.told["rows"].values()) == 1_005 - 21
    dataset = read_dataset(Path(made.told["data"]))
    prompts = {
        name: {" ".join(one[0].content.casefold().split()) for one in inputs(frame)}
        for name, frame in dataset.splits.items()
    }
    assert prompts["train"].isdisjoint(prompts["test"])
    assert len(prompts["train"] | prompts["test"]) > 300


def test_offline_with_a_warm_cache_it_makes_the_same_model(made: Made, tmp_path: Path) -> None:
    offline = {"HF_HUB_OFFLINE": "1", "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    env = environment(tmp_path / "home", made.cache, **offline)
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        env.pop(name, None)
    assert json.loads(run("quickstart", "--no-serve", "--json", env=env))["id"] == made.told["id"]


def test_it_serves_answers_its_own_curl_line_and_ends_when_told(made: Made) -> None:
    env = environment(made.home, made.cache)
    process = subprocess.Popen(
        [COMMAND, "quickstart", "--port", "0"], env=env, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")  # the pipe stays open: who asks once more still reads
        line = next(line for line in lines if line.startswith("curl "))
        if shutil.which("curl") is None:
            pytest.skip("there is no curl")
        answer = subprocess.run(shlex.split(line), capture_output=True, text=True, check=True, timeout=60)
        (result,) = json.loads(answer.stdout)["results"]
        assert set(result["categories"]) >= {"harmful/harmful", "category/violence"}
        process.terminate()
        assert process.wait(90) == 0
    finally:
        process.kill()
        process.wait(30)


def _there(folder: Path, pattern: str) -> bool:
    return any(folder.rglob(pattern))


#: What can be seen on disk when the killed run is: exporting, embedding (the graph is there), and training.
MOMENTS = {
    "the data is written": lambda home, cache: _there(home, "dataset.json"),
    "the graph is there": lambda home, cache: _there(cache / "graphs", "graph.json"),
    "the model is staged": lambda home, cache: _there(home / "quickstart", ".model.partial"),
}


def test_killed_three_times_and_started_again_it_makes_the_same_model(made: Made, tmp_path: Path) -> None:
    home, cache = tmp_path / "home", tmp_path / "cache"
    for name in ("bases", "data"):  # downloads have kill tests of their own; all that follows is cold
        shutil.copytree(made.cache / name, cache / name, ignore=shutil.ignore_patterns("*mpnet*"))
    env = environment(home, cache)
    for moment in MOMENTS:
        _kill_at(moment, home, cache, env)
    told = json.loads(run("quickstart", "--no-serve", "--json", env=env))
    assert told["id"] == made.told["id"]
    left = [path for top in (home, cache) for path in top.rglob("*") if _leftover(path.name)]
    assert left == []
    assert {path.name for path in (home / "quickstart").iterdir()} == {
        "data",
        "model",
        "model-run",
        "evaluation",
    }


def _kill_at(moment: str, home: Path, cache: Path, env: dict[str, str]) -> None:
    """Run the command until the moment can be seen on disk, then kill it."""
    process = subprocess.Popen(
        [COMMAND, "quickstart", "--no-serve"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 900
    while not MOMENTS[moment](home, cache):
        assert process.poll() is None, f"the command ended before {moment}"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL


def _leftover(name: str) -> bool:
    return name.startswith((".", "tmp")) or name.endswith((".partial", ".tmp", ".lock", ".old"))
