"""The notebook's flow, as it is written, by every kept client, against a real server with its worker.

What the models answer is held against `modwright predict` on the artifact that the job left in the store.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from seed_data import LABELS, PARTS, write_seed_files
from sklearn.metrics import roc_auc_score
from test_client_matrix import CLIENTS as MATRIX
from test_client_matrix import install as install_client
from the_road import COMMAND, environment, read_lines, run

from modwright.settings import Settings
from modwright.storage.artifacts import install
from modwright.storage.blobs import open_blobs
from modwright.storage.database import database_url, open_database
from modwright.storage.models import ModelStore

pytestmark = pytest.mark.real
CLIENTS = Path(__file__).parent
#: The drivers of the matrix by those that train; jobs went from `mistralai` with 2.5.2.
FLOWS = [
    (f"flow_{driver.removeprefix('drive_')}", requirement)
    for driver, requirement in MATRIX
    if requirement != "mistralai>=3,<4" and driver in ("drive_mistral.py", "drive_openai.py")
]
ALIASES = {"ministral-3b-latest": "fast", "gpt-4o-mini-2024-07-18": "fast"}
JOBS = "/v1/fine_tuning/jobs"
_PATIENCE_S = 900


@dataclass(frozen=True)
class Served:
    """A server with its worker: where it is, where it keeps things, its environment, and the notebook's files."""

    url: str
    home: Path
    env: dict[str, str]
    files: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory, warm_cache) -> Iterator[Served]:
    work = tmp_path_factory.mktemp("seed-flow")
    files = work / "files"
    files.mkdir()
    write_seed_files(files)
    env = environment(work / "home", warm_cache, MODWRIGHT_JOB_ALIASES=json.dumps(ALIASES))
    command = [str(COMMAND), "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert line, f"the server ended with {process.wait(30)} before it was ready"
            yield Served(json.loads(line)["url"], work / "home", env, files)
        finally:
            process.terminate()
            process.wait(60)


def flow(server: Served, folder: Path, driver: str, requirement: str) -> dict[str, Any]:
    """Run a driver to its end and return what it printed."""
    python = install_client(requirement, folder)
    env = {key: value for key, value in server.env.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, CLIENTS / driver, server.url, server.files],
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        env=env,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def predicted(server: Served, model: str, work: Path) -> list[dict[str, float]]:
    """Return what `modwright predict` says of the test file, by the artifact that a job left."""
    settings = Settings(home=server.home)
    database = open_database(database_url(settings))
    blobs = open_blobs(settings, database)
    row = ModelStore(database, blobs).get("default", model)
    install(row.manifest, blobs, work / "artifact")
    database.close()
    output = work / "scores.jsonl"
    run(
        "predict",
        work / "artifact",
        "--input",
        server.files / "test_file.jsonl",
        "--output",
        output,
        env=server.env,
    )
    return [line["scores"]["moderation"] for line in read_lines(output)]


def check_losses(found: dict[str, Any]) -> None:
    """Check that the training loss falls, and that held-out rows were scored at every 25th step and the last."""
    steps = [step for step, _ in found["train"]]
    assert steps == list(range(1, len(steps) + 1))
    losses = [loss for _, loss in found["train"]]
    tenth = max(1, len(losses) // 10)
    assert sum(losses[-tenth:]) < 0.9 * sum(losses[:tenth])
    assert [step for step, _ in found["valid"]] == sorted({*range(25, len(steps) + 1, 25), len(steps)})
    assert all(0.0 < loss < 2.0 for _, loss in found["valid"])


def check_scores(server: Served, found: dict[str, Any], work: Path) -> None:
    """Check that each score is that of `modwright predict`, and that the scores tell insults from others."""
    expected = predicted(server, found["model"], work)
    assert len(found["scores"]) == len(expected) == PARTS["test_file.jsonl"]
    for ours, theirs in zip(found["scores"], expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-9)
    assert auc(server, found["scores"]) > 0.75


def auc(server: Served, scores: list[dict[str, float]]) -> float:
    """Return the area under the curve of insults."""
    rows = read_lines(server.files / "test_file.jsonl")
    truth = ["insult" in row["labels"]["moderation"] for row in rows]
    return float(roc_auc_score(truth, [score["insult"] for score in scores]))


@pytest.mark.parametrize(("driver", "requirement"), FLOWS, ids=[requirement for _, requirement in FLOWS])
def test_the_flow_ends_with_a_model_that_answers(server, clients_folder, tmp_path, driver, requirement):
    found = flow(server, clients_folder, driver, requirement)
    job = found["job"]
    assert job in found["listed"]
    assert found["model"].startswith("ft:classifier:")
    assert found["model"].endswith(f":{job[:8]}")
    assert found["trained_tokens"] > 10_000
    check_losses(found)
    if driver == "flow_mistral.py":
        check_notebook(found)
    else:
        check_openai(found)
    check_scores(server, found, tmp_path)


def check_notebook(found: dict[str, Any]) -> None:
    assert found["statuses"] == ["QUEUED", "VALIDATED", "QUEUED", "SUCCESS"]
    assert found["validated_steps"] == found["total_training_steps"] == 200, "the steps asked for are echoed"
    assert [name for name, _ in found["targets"]] == ["moderation"]
    assert {*found["targets"][0][1]} == {*LABELS, "safe"}
    assert found["expected_s"] > 0
    told = [status for name, status in found["events"] if name == "status-updated"]
    assert told == ["QUEUED", "VALIDATING", "VALIDATED", "RUNNING", "SUCCESS"]
    assert "training-plan" in [name for name, _ in found["events"]]


def check_openai(found: dict[str, Any]) -> None:
    assert found["statuses"][0] == "queued"
    assert found["statuses"][-1] == "succeeded"
    assert {*found["statuses"]} <= {"queued", "validating_files", "running", "succeeded"}
    assert (found["seed"], found["error"]) == (7, None)
    assert ":geese:" in found["model"]
    assert found["checkpoint_models"][0] == found["model"]
    assert any("trains the recipe 'fast'" in message for message in found["events"])
    assert 0 < sum(found["flagged"]) < len(found["flagged"])


def test_shuffled_labels_teach_nothing(server, tmp_path):
    write_seed_files(tmp_path, shuffled=True)
    with httpx.Client(base_url=server.url, timeout=120) as client:
        ids = [
            client.post(
                "/v1/files", files={"file": (f"shuffled_{name}", (tmp_path / name).read_bytes())}
            ).json()["id"]
            for name in ("training_file.jsonl", "validation_file.jsonl")
        ]
        body = {
            "model": "fast",
            "training_files": ids[:1],
            "validation_files": ids[1:],
            "hyperparameters": {},
        }
        job = client.post(JOBS, json=body).json()
        until = time.monotonic() + _PATIENCE_S
        while job["status"] not in ("SUCCESS", "FAILED", "FAILED_VALIDATION"):
            assert time.monotonic() < until, job["status"]
            time.sleep(1)
            job = client.get(f"{JOBS}/{job['id']}").json()
        assert job["status"] == "SUCCESS", job["error"]
        texts = [row["text"] for row in read_lines(server.files / "test_file.jsonl")]
        asked = {"model": job["fine_tuned_model"], "input": texts}
        results = client.post("/v1/classifications", json=asked).json()["results"]
    assert 0.3 < auc(server, [result["moderation"]["scores"] for result in results]) < 0.7


def test_a_dry_run_says_what_a_job_would_take_and_keeps_nothing(server):
    with httpx.Client(base_url=server.url, timeout=300) as client:
        training = (server.files / "training_file.jsonl").read_bytes()
        file = client.post("/v1/files", files={"file": ("training_file.jsonl", training)}).json()["id"]
        before = client.get(JOBS).json()["total"]
        body = {"model": "fast", "training_files": [file], "hyperparameters": {"training_steps": 120}}
        told = client.post(JOBS, params={"dry_run": True}, json=body).json()
        assert client.get(JOBS).json()["total"] == before
    assert (told["object"], told["job_type"], told["training_steps"]) == ("job.metadata", "classifier", 120)
    assert told["expected_duration_seconds"] > 0
    assert told["data_tokens"] > 10_000
    assert "recipe 'fast'" in told["details"]
    assert list((server.home / "dry-runs").iterdir()) == []
