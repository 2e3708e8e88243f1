"""Proves that an inference machine needs `[serve]` alone: installs it in a new environment, serves there.

    python3 .ci/serve_alone.py MODWRIGHT ARTIFACT WORK

MODWRIGHT is the command of an environment with `[all]`, whose `predict` says what the scores must be;
ARTIFACT a trained folder; WORK a folder to make the environment in. Needs the standard library only. Exits
non-zero at the first thing that is wrong.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ABSENT = ("torch", "transformers", "polars", "onnx", "onnxscript")
#: Of these the database, sealed secrets and the blob store are 64; a look at what grew belongs before raising it.
LIMIT_MB = 330
TOLERANCE = 1e-4
START_S = 120
TEXTS = [
    "You are a silly goose.",
    "Thank you, the soup was lovely.",
    "How do I repair a bicycle tyre?",
    "I will hide your shoes where you never find them.",
    "Ein schöner Tag 🌞",
    "The meeting was moved to Tuesday. " * 200 + "You are a silly goose.",
]


def main() -> None:
    """Install, look what is absent, serve, compare, measure."""
    modwright, artifact, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    begin = time.monotonic()
    site, before = install(work / "venv")
    bin_folder = work / "venv" / "bin"
    absent(bin_folder / "python")
    expected = predicted(modwright, artifact, work)
    with served(bin_folder / "modwright", artifact) as (url, model):
        compare(url, model, expected)
    report_size(site, before)
    print(f"[serve] alone serves what [all] trained; proven in {time.monotonic() - begin:.0f} s")


def install(folder: Path) -> tuple[Path, int]:
    """Make an environment with `[serve]`; returns its site-packages and their bytes before."""
    venv.create(folder, with_pip=True, clear=True)
    site = next(folder.glob("lib/python*/site-packages"))
    before = size_bytes(site)
    command = [folder / "bin" / "python", "-m", "pip", "install", "-q", "-c", "constraints.txt", ".[serve]"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=900)
    return site, before


def absent(python: Path) -> None:
    """Fail if one of the packages of training can be imported."""
    code = (
        "import importlib.util, sys\n"
        f"found = [name for name in {ABSENT!r} if importlib.util.find_spec(name)]\n"
        "sys.exit(f'importable on an inference machine: {found}' if found else 0)"
    )
    subprocess.run([python, "-c", code], check=True, timeout=60)
    print(f"absent: {', '.join(ABSENT)}")


def predicted(modwright: str, artifact: Path, work: Path) -> list[dict[str, Any]]:
    """Return what `modwright predict` of the whole installation says of the texts."""
    source, output = work / "texts.jsonl", work / "scores.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    command = [modwright, "predict", str(artifact), "--input", str(source), "--output", str(output)]
    subprocess.run(command, check=True, timeout=600)
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


@contextlib.contextmanager
def served(modwright: Path, artifact: Path) -> Iterator[tuple[str, str]]:
    """Serve the artifact on a free port; gives the URL and the model's name, and ends the server."""
    # Nothing on the path but this environment: a torch of the machine must not help.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [modwright, "serve", artifact, "--port", "0", "--json"]
    begin = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                sys.exit(f"the server ended with {process.wait()} before it was ready")
            ready = json.loads(line)
            print(f"served {ready['models']} after {time.monotonic() - begin:.1f} s")
            yield ready["url"], ready["models"][0]
        finally:
            process.terminate()
            code = process.wait(START_S)
    if code != 0:
        sys.exit(f"the server ended with {code} when it was told to stop")


def ask(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Send a request and return the JSON answer; raises on any status but success."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=START_S) as response:
        return dict(json.loads(response.read()))


def compare(url: str, model: str, expected: list[dict[str, Any]]) -> None:
    """Ask for all texts at once and one by one; every score must be the expected one."""
    health = ask(f"{url}/health")
    if (health["status"], health["models"]) != ("ok", 1):
        sys.exit(f"/health does not say that one model is well: {health}")
    together = ask(f"{url}/v1/classifications", {"model": model, "input": TEXTS})["results"]
    alone = [
        ask(f"{url}/v1/classifications", {"model": model, "input": text})["results"][0] for text in TEXTS
    ]
    largest = max(
        distance(line, answer)
        for found in (together, alone)
        for line, answer in zip(expected, found, strict=True)
    )
    print(f"largest difference from `modwright predict`: {largest:.1e} (allowed {TOLERANCE})")
    if not largest <= TOLERANCE:
        sys.exit("served scores are not the trained model's")
    moderations = ask(f"{url}/v1/moderations", {"input": TEXTS})["results"]
    for text, line, found in zip(TEXTS, expected, moderations, strict=True):
        flagged = {name for name, value in found["categories"].items() if value}
        if flagged != flags(line):
            sys.exit(f"/v1/moderations flags {flagged} in {text[:40]!r}, `modwright predict` {flags(line)}")


def distance(line: dict[str, Any], answer: dict[str, Any]) -> float:
    """Return the largest difference of two answers' scores; fails where targets, labels or windows differ."""
    if {name: list(labels) for name, labels in line["scores"].items()} != {
        name: list(target["scores"]) for name, target in answer.items()
    }:
        sys.exit(f"targets or labels differ: {line['scores']} and {answer}")
    if any(target["windows"] != line["windows"] for target in answer.values()):
        sys.exit(f"windows differ: {line['windows']} and {answer}")
    return max(
        abs(score - answer[name]["scores"][label])
        for name, labels in line["scores"].items()
        for label, score in labels.items()
    )


def flags(line: dict[str, Any]) -> set[str]:
    """Return what a predicted line flags, named as `/v1/moderations` names it."""
    targets = line["flags"]
    if "moderation" in targets or len(targets) == 1:
        return set(targets.get("moderation", next(iter(targets.values()))))
    return {f"{target}/{label}" for target, labels in targets.items() for label in labels}


def report_size(site: Path, before: int) -> None:
    """Print what the environment weighs; fail above the limit."""
    total, packages = size_bytes(site) / 1e6, len(list(site.glob("*.dist-info")))
    print(f"site-packages: {total:.0f} MB in {packages} packages, {before / 1e6:.0f} MB of them there before")
    if total > LIMIT_MB:
        sys.exit(f"an inference machine weighs {total:.0f} MB, the limit is {LIMIT_MB}")


def size_bytes(folder: Path) -> int:
    """Return the bytes of every file below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    main()
