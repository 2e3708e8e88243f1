"""Real comments through every command, and one score wherever it is asked for."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from the_road import Road, filler, read_lines, run, serving, write_lines

from modwright.data.dataset import make_dataset, write_dataset
from modwright.schema import text_input
from modwright.serving.engine import Engine

pytestmark = pytest.mark.real

#: What two roads to one score may differ by.
SAME = 1e-4
TARGET, LABEL = "moderation", "isHate"


@dataclass
class Asked:
    """A server, the texts it is asked for, and what `predict` said of them."""

    client: httpx.Client
    texts: list[str]
    offline: list[dict]

    def ask(self, numbers: list[int]) -> list[dict]:
        """Return the server's results for some of the texts, in one request."""
        body = {"model": "model", "input": [self.texts[number] for number in numbers]}
        answer = self.client.post("/v1/classifications", json=body)
        assert answer.status_code == 200, answer.text[:500]
        return [result[TARGET] for result in answer.json()["results"]]

    def furthest(self, numbers: list[int]) -> float:
        """Ask for some texts; everything but the score has to be equal, and that is compared."""
        found = self.ask(numbers)
        assert len(found) == len(numbers)
        differences = []
        for number, result in zip(numbers, found, strict=True):
            expected = self.offline[number]
            assert result["flags"] == expected["flags"][TARGET]
            assert (result["windows"], result["span"]) == (expected["windows"], expected["span"])
            differences.append(abs(result["scores"][LABEL] - expected["scores"][TARGET][LABEL]))
        return max(differences)


@pytest.fixture(scope="module")
def predicted(road: Road) -> tuple[list[str], list[dict]]:
    """The held-out texts, short and long ones, and what the command `predict` said of them."""
    texts, _ = road.test_rows()
    texts = [*texts, "Hello", "goose", "no", filler(3_000), filler(3_000, punctuated=False)]
    lines = write_lines(road.work / "texts.jsonl", [{"id": n, "text": text} for n, text in enumerate(texts)])
    output = road.work / "scores.jsonl"
    run("predict", road.model, "--input", lines, "--output", output, env=road.env)
    found = read_lines(output)
    assert [line["id"] for line in found] == list(range(len(texts)))
    return texts, found


@pytest.fixture(scope="module")
def asked(road: Road, predicted: tuple[list[str], list[dict]]) -> Iterator[Asked]:
    """The command `serve`."""
    with serving(road.model, env=road.env) as (_, url), httpx.Client(base_url=url, timeout=120) as client:
        yield Asked(client, *predicted)


def test_the_held_out_rows_are_told_apart(road: Road, predicted: tuple[list[str], list[dict]]) -> None:
    _, truth = road.test_rows()
    scores = [line["scores"][TARGET][LABEL] for line in predicted[1]][: len(truth)]
    assert roc_auc_score(truth, scores) > 0.8


def test_evaluate_says_what_predict_shows(road: Road, predicted: tuple[list[str], list[dict]]) -> None:
    out = road.work / "evaluation"
    run("evaluate", road.model, road.parts, "--out", out, "--resamples", 50, env=road.env)
    found = json.loads((out / "metrics.json").read_text())["splits"]["test"][TARGET][LABEL]
    _, truth = road.test_rows()
    lines = predicted[1][: len(truth)]
    scores = [line["scores"][TARGET][LABEL] for line in lines]
    assert found["roc_auc"]["value"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-6)
    flagged = np.array([LABEL in line["flags"][TARGET] for line in lines])
    right = int((flagged & np.array(truth)).sum())
    assert found["precision"]["value"] == pytest.approx(right / flagged.sum(), abs=1e-6)
    assert found["recall"]["value"] == pytest.approx(right / sum(truth), abs=1e-6)
    assert (out / "report.html").stat().st_size > 10_000


def test_labels_dealt_out_at_random_teach_nothing(road: Road) -> None:
    """The same road can fail: with shuffled training labels the held-out rows are not told apart."""
    train = road.dataset.split("train")
    column = f"{TARGET}/{LABEL}"
    order = np.random.default_rng(0).permutation(len(train))
    splits = {**road.dataset.splits, "train": train.with_columns(train[column][order.tolist()].alias(column))}
    shuffled, model = road.work / "shuffled", road.work / "shuffled-model"
    write_dataset(make_dataset(road.dataset.schema, splits, {"sources": [], "steps": ["shuffled"]}), shuffled)
    run("train", "fast", "evaluation.resamples=0", "--data", shuffled, "--out", model, env=road.env)
    found = json.loads((model / "metrics.json").read_text())["splits"]["test"][TARGET][LABEL]
    assert abs(found["roc_auc"]["value"] - 0.5) < 0.12


def test_the_engine_in_process_gives_the_scores_of_predict(
    road: Road, predicted: tuple[list[str], list[dict]]
) -> None:
    texts, offline = predicted
    engine = Engine.load(road.model)
    found = engine.calibrated([text_input(text) for text in texts]).values[TARGET][:, 0]
    alone = [engine.calibrated([text_input(text)]).values[TARGET][0, 0] for text in texts[-12:]]
    expected = np.array([line["scores"][TARGET][LABEL] for line in offline])
    furthest = max(np.abs(found - expected).max(), np.abs(alone - expected[-12:]).max())
    print(f"engine against predict, {len(texts)} texts: {furthest:.2e}")
    assert furthest < SAME


@pytest.mark.parametrize("size", [1, 7, 64])
def test_served_scores_are_those_of_predict_in_any_batch_and_order(asked: Asked, size: int) -> None:
    numbers = list(range(len(asked.texts)))
    random.Random(size).shuffle(numbers)
    batches = [numbers[begin : begin + size] for begin in range(0, len(numbers), size)]
    furthest = max(asked.furthest(batch) for batch in batches)
    print(f"served in batches of {size} against predict: {furthest:.2e}")
    assert furthest < SAME


def test_served_scores_stay_the_same_under_eight_threads(asked: Asked) -> None:
    rows = len(asked.texts)
    draw = random.Random(8)
    batches = [draw.sample(range(rows), draw.choice((1, 2, 5, 13))) for _ in range(64)]
    with ThreadPoolExecutor(8) as threads:
        furthest = max(threads.map(asked.furthest, batches))
    print(f"served to eight threads against predict: {furthest:.2e}")
    assert furthest < SAME


def test_moderations_flag_what_predict_flags(asked: Asked) -> None:
    answer = asked.client.post("/v1/moderations", json={"model": "model", "input": asked.texts})
    assert answer.status_code == 200, answer.text[:500]
    results = answer.json()["results"]
    flagged = [bool(line["flags"][TARGET]) for line in asked.offline]
    assert [result["flagged"] for result in results] == flagged
    assert [result["categories"][LABEL] for result in results] == flagged
    assert any(flagged)
    assert not all(flagged)


def test_health_has_run_the_model(asked: Asked) -> None:
    answer = asked.client.get("/health")
    assert (answer.status_code, answer.json()["models"]) == (200, 1)


def test_sigterm_ends_the_server_without_an_error(road: Road) -> None:
    with serving(road.model, env=road.env) as (process, url):
        assert httpx.get(f"{url}/health", timeout=60).status_code == 200
        process.terminate()
        assert process.wait(60) == 0
