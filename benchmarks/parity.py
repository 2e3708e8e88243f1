"""One score, wherever it is asked for: the server, `predict` and the engine in process, on real comments.

    python benchmarks/parity.py [--recipe fast]

Imports ETHOS, splits and trains by the installed commands, then compares the held-out rows, single words and texts of 3,000
words: one request for all at a time, in batches, shuffled, and from eight threads at once. The largest differences go to
benchmarks/results/parity.json.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from common import RESULTS, data_file, machine
from long_texts import LABEL, TARGET, filler
from modwright.data.dataset import inputs, read_dataset
from modwright.schema import text_input
from modwright.serving.engine import Engine

COMMAND = Path(sys.executable).with_name("modwright")
Ask = Callable[[list[int]], float]


def main() -> None:
    """Walk the road, compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="fast")
    recipe = parser.parse_args().recipe
    with tempfile.TemporaryDirectory(prefix="modwright-") as name:
        work = Path(name)
        texts = _texts(work, recipe)
        offline = _predict(work, texts)
        found = {"engine, all at once": _engine(work, texts, offline), **_served(work, texts, offline)}
    for way, difference in found.items():
        print(f"{way:32} against predict: largest difference {difference:.2e}")
    result = {"machine": machine(), "recipe": recipe, "texts": len(texts), "largest_difference": found}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "parity.json").write_text(json.dumps(result, indent=2) + "\n")


def _run(*arguments: object) -> None:
    subprocess.run([str(COMMAND), *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def _texts(work: Path, recipe: str) -> list[str]:
    """Train, and give the texts to compare: the held-out rows, one word, and thousands of them."""
    meaning = ("--text", "comment", "--score", LABEL, "--threshold", ">= median", "--delimiter", ";")
    _run("data", "import", data_file("ethos/binary.csv"), *meaning, "--out", work / "whole")
    _run("data", "split", work / "whole", "--out", work / "parts", "--fractions", "train=0.8,test=0.2")
    _run("train", recipe, "evaluation.resamples=0", "--data", work / "parts", "--out", work / "model")
    held_out = [one[-1].content for one in inputs(read_dataset(work / "parts").split("test"))]
    return [*held_out, "Hello", "goose", filler(3_000, punctuated=True), filler(3_000, punctuated=False)]


def _predict(work: Path, texts: list[str]) -> list[float]:
    source, output = work / "texts.jsonl", work / "scores.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    _run("predict", work / "model", "--input", source, "--output", output)
    return [json.loads(line)["scores"][TARGET][LABEL] for line in output.read_text().splitlines()]


def _engine(work: Path, texts: list[str], offline: list[float]) -> float:
    scores = Engine.load(work / "model").calibrated([text_input(text) for text in texts])
    return max(abs(a - b) for a, b in zip(scores.values[TARGET][:, 0].tolist(), offline, strict=True))


def _served(work: Path, texts: list[str], offline: list[float]) -> dict[str, float]:
    command = [str(COMMAND), "serve", str(work / "model"), "--no-jobs", "--port", "0", "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        with httpx.Client(base_url=url, timeout=300) as client:

            def ask(numbers: list[int]) -> float:
                body = {"model": "model", "input": [texts[number] for number in numbers]}
                results = client.post("/v1/classifications", json=body).raise_for_status().json()["results"]
                scores = [result[TARGET]["scores"][LABEL] for result in results]
                return max(
                    abs(score - offline[number]) for number, score in zip(numbers, scores, strict=True)
                )

            return _ways(ask, len(texts))
    finally:
        server.terminate()
        server.wait(60)


def _ways(ask: Ask, count: int) -> dict[str, float]:
    """Ask in every way; gives the way to its largest difference."""
    found = {}
    for size in (1, 7, 64):
        numbers = list(range(count))
        random.Random(size).shuffle(numbers)
        began = time.perf_counter()
        found[f"served, shuffled, batches of {size}"] = max(
            ask(numbers[begin : begin + size]) for begin in range(0, count, size)
        )
        print(f"batches of {size}: {count / (time.perf_counter() - began):.0f} texts a second", flush=True)
    draw = random.Random(8)
    batches = [draw.sample(range(count), draw.choice((1, 2, 5, 13))) for _ in range(100)]
    with ThreadPoolExecutor(8) as threads:
        found["served, eight threads"] = max(threads.map(ask, batches))
    return found


if __name__ == "__main__":
    main()
