"""Killed at random moments, a training goes on and ends with the model of an undisturbed one, in every family.

    python benchmarks/kills.py [--kills 20] [--seed 0] [--cases frozen "encoder, folds" ...]

Tiny models of random weights are trained by the installed command. Each case is first trained in peace, which gives the
artifact's id and how long it takes. Then it is trained anew, and the process is killed (SIGKILL, no last word) after a
random part of that time and started again by the same command, as often as the case's share of --kills; the last
start is left alone. Every start has the caches that the killed one left. The id at the end must be the first one's.
Where every kill hit, and the ids, go to benchmarks/results/kills.json.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common import RESULTS, TUNED_PACKAGES, machine
from modwright.artifact import MANIFEST, read_artifact
from modwright.data.dataset import write_dataset
from modwright.pipeline.run_folder import CHECKPOINTS, EVENTS, run_folder_of
from modwright.recipe import Recipe
from modwright.testing import (
    make_tiny_base,
    make_tiny_causal,
    tiny_causal_recipe,
    tiny_dataset,
    tiny_encoder_recipe,
    tiny_recipe,
)

COMMAND = Path(sys.executable).with_name("modwright")
_POLL_S = 0.005

#: Tiny models learn in many small steps: many moments to be killed at, and checkpoints among them.
STEPS = (
    "training.epochs=6",
    "batches.max_tokens=512",
    "checkpoints.every_steps=7",
    "evaluation.resamples=0",
)
HOLDOUT = ("validation.method=holdout", "validation.patience=0")


@dataclass(frozen=True)
class Case:
    """A tiny recipe, and the maker of its base."""

    name: str
    recipe: Callable[..., Recipe]
    base: Callable[[Path], Path]
    settings: tuple[str, ...]


CASES = {
    case.name: case
    for case in (
        Case("frozen", tiny_recipe, make_tiny_base, ()),
        Case("encoder, folds", tiny_encoder_recipe, make_tiny_base, (*STEPS, "validation.folds=3")),
        Case("encoder, holdout", tiny_encoder_recipe, make_tiny_base, (*STEPS, *HOLDOUT)),
        Case("causal, adapters", tiny_causal_recipe, make_tiny_causal, (*STEPS, *HOLDOUT)),
        Case("causal, full", tiny_causal_recipe, make_tiny_causal, (*STEPS, *HOLDOUT, "adapter.method=full")),
        Case(
            "causal, sharded",
            tiny_causal_recipe,
            make_tiny_causal,
            (*STEPS, *HOLDOUT, "adapter.method=full", "shards.processes=2"),
        ),
    )
}


@dataclass(frozen=True)
class Ground:
    """What every run of one measurement shares: tiny data and recipes, and where runs go."""

    folder: Path
    data: Path
    recipes: dict[str, Path]

    @classmethod
    def made(cls, folder: Path, cases: Sequence[Case], rows: int = 90) -> Ground:
        """Make the bases, the recipes and the data of some cases below a folder."""
        recipes = {}
        for number, case in enumerate(cases):
            base = case.base(folder / f"base-{number}")
            recipes[case.name] = folder / f"recipe-{number}.toml"
            text = case.recipe(base, *case.settings).to_toml()
            recipes[case.name].write_text(text, encoding="utf-8")
        return cls(folder, write_dataset(tiny_dataset(rows, held_out=20), folder / "data"), recipes)

    def start(self, case: Case, run: str) -> subprocess.Popen[str]:
        """Start a training by the installed command; runs of other names share nothing with it."""
        home = self.folder / run / "home"
        own = {"HOME": home, "CACHE": home / "cache", "THREADS": 1}
        return subprocess.Popen(
            [
                *(str(COMMAND), "train", str(self.recipes[case.name])),
                *("--data", str(self.data), "--out", str(self.out(run)), "--json"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {f"MODWRIGHT_{key}": str(value) for key, value in own.items()},
        )

    def out(self, run: str) -> Path:
        """Return the folder of a run's artifact."""
        return self.folder / run / "model"


def undisturbed(ground: Ground, case: Case) -> tuple[str, float]:
    """Train in peace; gives the artifact's id and the seconds that it took."""
    begun = time.monotonic()
    return _ended(ground.start(case, f"{case.name} in peace")), time.monotonic() - begun


def disturbed(
    ground: Ground, case: Case, kills: int, seconds: float, draw: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """Train, killed so many times; yields where each kill hit, and the id of every artifact that came of it.

    A start that ends before its kill has ended its run: the next one begins anew.
    """
    number, left, again = 0, kills, 0
    while left:
        run = f"{case.name} disturbed {number}"
        after = float(draw.uniform(0.0, 1.0)) * seconds
        process = ground.start(case, run)
        if _killed_after(process, after):
            left, again = left - 1, again + 1
            yield {"killed_after_s": round(after, 2), "at": _where(ground.out(run))}
            continue
        yield {"id": _ended(process), "kills": again, "left_over": _left_over(ground.out(run))}
        number, again = number + 1, 0
    if again:
        run = f"{case.name} disturbed {number}"
        yield {
            "id": _ended(ground.start(case, run)),
            "kills": again,
            "left_over": _left_over(ground.out(run)),
        }


def _killed_after(process: subprocess.Popen[str], seconds: float) -> bool:
    """Kill a process after a time; False where it has ended before."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            return False
        time.sleep(_POLL_S)
    if process.poll() is not None:
        return False
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    return True


def _ended(process: subprocess.Popen[str]) -> str:
    """Wait for a training and return its artifact's id."""
    told, complaint = process.communicate(timeout=900)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, process.args))} left with {process.returncode}: {complaint}")
    return str(json.loads(told)["id"])


def _where(out: Path) -> str:
    """Return in words how far a run had come."""
    if (out / MANIFEST).is_file():
        return "the artifact was there"
    log = run_folder_of(out) / EVENTS
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    if not lines:
        return "before its first event"
    try:
        last = json.loads(lines[-1])
    except ValueError:
        return "in the middle of a line"
    told = [str(last[key]) for key in ("event", "name", "run", "step", "number") if key in last]
    return "after " + ", ".join(told)


def _left_over(out: Path) -> list[str]:
    """Return what should not lie about when a run has ended: checkpoints, and folders staged aside."""
    read_artifact(out)  # verifies every file's hash
    beside = {path.name for path in out.parent.iterdir()} - {"home", out.name, run_folder_of(out).name}
    checkpoints = run_folder_of(out) / CHECKPOINTS
    return sorted(beside) + ([CHECKPOINTS] if checkpoints.exists() else [])


def main() -> None:
    """Measure every case and print a table; leave with 1 where an id differs."""
    arguments = _arguments()
    chosen = [CASES[name] for name in arguments.cases]
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="modwright-kills-") as name:
        ground = Ground.made(Path(name), chosen)
        for place, case in enumerate(chosen):
            share = arguments.kills // len(chosen) + (place < arguments.kills % len(chosen))
            found.append(_case(ground, case, share, np.random.default_rng([arguments.seed, place])))
            result = {
                "machine": machine(TUNED_PACKAGES),
                "seed": arguments.seed,
                "kills": sum(len(one["kills"]) for one in found),
                "all_ids_equal": all(one["same"] for one in found),
                "cases": found,
            }
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / "kills.json").write_text(json.dumps(result, indent=2) + "\n")
    if not all(one["same"] for one in found):
        sys.exit("an artifact differs from the undisturbed one")


def _case(ground: Ground, case: Case, kills: int, draw: np.random.Generator) -> dict[str, Any]:
    identity, seconds = undisturbed(ground, case)
    print(f"{case.name}: {identity[:12]} in {seconds:.1f} s undisturbed", flush=True)
    places, runs = [], []
    for told in disturbed(ground, case, kills, seconds, draw):
        (runs if "id" in told else places).append(told)
        if "id" in told:
            word = "the same" if told["id"] == identity else f"ANOTHER: {told['id'][:12]}"
            print(f"  ended after {told['kills']} kills: {word}; left over {told['left_over']}", flush=True)
        else:
            print(f"  killed after {told['killed_after_s']:.1f} s: {told['at']}", flush=True)
    return {
        "case": case.name,
        "undisturbed_s": round(seconds, 1),
        "id": identity,
        "kills": places,
        "runs": runs,
        "same": all(run["id"] == identity and not run["left_over"] for run in runs),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES), metavar="CASE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
