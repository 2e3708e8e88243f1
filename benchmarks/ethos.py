"""ETHOS, the benchmark of agile classifiers: F1 and ROC-AUC of the frozen recipes with 800 and 200 training rows.

    python benchmarks/ethos.py [--recipes fast fast-duo] [--rows 800 200] [--shuffles 25]

The split is the literature's: hateful = isHate >= median, rows shuffled with a seed, the first 800 (or 200) to train on,
the last 198 to test. The fixed split has the seed 32; beside it stand the means over the shuffles 0, 1, 2, … Heads,
calibration and thresholds come from training rows alone. Results go to benchmarks/results/ethos.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score

from common import RESULTS, data_file, machine, silent
from modwright.data.importing import load_dataset
from modwright.data.options import ImportOptions, Meaning, Reading
from modwright.pipeline.bases import OpenedBase, open_bases
from modwright.pipeline.rows import rows_of
from modwright.recipe import Recipe, load_recipe
from modwright.schema import Schema
from modwright.settings import load_settings
from modwright.training.events import follow
from modwright.training.frozen import fit
from modwright.training.rows import TrainingRows

FIXED_SEED = 32
TEST_FROM = 800
#: Scratch code with thresholds out of fold, 800 rows, mean of 11 shuffles: what the recipes have to reach.
REFERENCE = {"fast": (0.801, 0.870), "fast-duo": (0.821, 0.889)}


@dataclass(frozen=True)
class Result:
    """One shuffle: at the chosen threshold, at 0.5, and without any."""

    f1: float
    f1_at_half: float
    auc: float
    threshold: float


def main() -> None:
    """Run every recipe and print a table."""
    arguments = _arguments()
    dataset = load_dataset(
        ImportOptions(
            sources=(str(data_file("ethos/binary.csv")),),
            out=RESULTS / "unused",
            reading=Reading(delimiter=";"),
            meaning=Meaning(text="comment", scores=("isHate",), threshold=">= median"),
        )
    ).dataset
    rows = rows_of(dataset.splits["train"], dataset.schema)
    settings = load_settings()
    found = []
    for name in arguments.recipes:
        recipe = load_recipe(name)
        opened = open_bases(recipe, settings, on_event=silent)
        for count in arguments.rows:
            started = time.perf_counter()
            runs = {
                seed: run(recipe, dataset.schema, rows, opened, seed, count)
                for seed in [FIXED_SEED, *range(arguments.shuffles)]
            }
            found.append(_summary(name, count, runs, arguments.shuffles))
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / "ethos.json").write_text(
                json.dumps({"machine": machine(), "results": found}, indent=2) + "\n"
            )
            print(_line(found[-1]), f"({time.perf_counter() - started:.0f} s)", flush=True)


def run(
    recipe: Recipe, schema: Schema, rows: TrainingRows, opened: Sequence[OpenedBase], seed: int, count: int
) -> Result:
    """Train on the first rows of one shuffle and test on the last 198."""
    # What pandas' DataFrame.sample(frac=1, random_state=seed) does.
    order = np.random.RandomState(seed).choice(len(rows.inputs), size=len(rows.inputs), replace=False)
    train, test = take(rows, order[:count]), take(rows, order[TEST_FROM:])
    caches = [one.cache for one in opened]
    fitted = follow(fit(recipe, schema, train, [one.base for one in opened], caches=caches), silent)
    # As the engine scores, but with embeddings from the cache: the same texts come in every shuffle.
    raw = fitted.classifier.score_features(fitted.classifier.featuriser(test.inputs, caches=caches))
    (target,) = schema.targets
    scores = fitted.calibration[target.name].apply(raw.values[target.name])[:, 0]
    truth = test.labels[target.name][:, 0] > schema.positive_above
    (threshold,) = fitted.operating_point.thresholds[target.name].values()
    return Result(
        f1=float(f1_score(truth, scores >= threshold)),
        f1_at_half=float(f1_score(truth, scores >= 0.5)),
        auc=float(roc_auc_score(truth, scores)),
        threshold=threshold,
    )


def take(rows: TrainingRows, order: np.ndarray) -> TrainingRows:
    """Return some of the rows, in that order."""
    return TrainingRows(
        inputs=[rows.inputs[row] for row in order],
        labels={name: values[order] for name, values in rows.labels.items()},
        weights=rows.weights[order],
        groups=[rows.groups[row] for row in order],
    )


def _summary(name: str, count: int, runs: dict[int, Result], shuffles: int) -> dict[str, object]:
    over = [runs[seed] for seed in range(shuffles)]
    first = over[:11]

    def mean(results: Sequence[Result], field: str) -> float:
        return round(float(np.mean([getattr(result, field) for result in results])), 4)

    def error(field: str) -> float:
        values = [getattr(result, field) for result in over]
        return round(float(np.std(values, ddof=1) / np.sqrt(len(values))), 4)

    fixed = runs[FIXED_SEED]
    return {
        "recipe": name,
        "training_rows": count,
        "fixed_split": {
            "f1": round(fixed.f1, 4),
            "auc": round(fixed.auc, 4),
            "f1_at_half": round(fixed.f1_at_half, 4),
        },
        "mean_of_first_11": {"f1": mean(first, "f1"), "auc": mean(first, "auc")},
        "shuffles": shuffles,
        "mean": {"f1": mean(over, "f1"), "auc": mean(over, "auc"), "f1_at_half": mean(over, "f1_at_half")},
        "standard_error": {"f1": error("f1"), "auc": error("auc")},
        "reference_800_rows": REFERENCE.get(name),
    }


def _line(summary: dict[str, object]) -> str:
    fixed, mean, error = summary["fixed_split"], summary["mean"], summary["standard_error"]
    return (
        f"{summary['recipe']:9} {summary['training_rows']} rows: fixed split F1 {fixed['f1']:.3f} AUC {fixed['auc']:.3f}; "
        f"mean of {summary['shuffles']} shuffles F1 {mean['f1']:.3f} (se {error['f1']:.3f}) "
        f"AUC {mean['auc']:.3f} (se {error['auc']:.3f})"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="+", default=["fast", "fast-duo"])
    parser.add_argument("--rows", nargs="+", type=int, default=[800, 200])
    parser.add_argument("--shuffles", type=int, default=25)
    return parser.parse_args()


if __name__ == "__main__":
    main()
