"""ETHOS, the benchmark of agile classifiers: F1 and ROC-AUC of shipped recipes with 800 and 200 training rows.

    python benchmarks/ethos.py [--recipes fast fast-duo] [--rows 800 200] [--shuffles 25] [--set KEY=VALUE ...]
    python benchmarks/ethos.py --recipes balanced quality --shuffles 5
    python benchmarks/ethos.py --recipes llm --rows 800 --shuffles 0

The split is the literature's: hateful = isHate >= median, rows shuffled with a seed, the first 800 (or 200) to train on,
the last 198 to test. The fixed split has the seed 32; beside it stand the means over the shuffles 0, 1, 2, … Heads,
epochs, calibration and thresholds come from training rows alone. Fine-tuned recipes learn soft labels: halfway between the
yes or no that is asked and the share of annotators who said yes, both of the training rows alone. `llm` is trained until
its validation loss stops falling, at most 10 times over the rows; its looks are drawn to
benchmarks/results/ethos-llm-800.svg and .png.

Every run is written to benchmarks/results/ethos.json as soon as it is done, and a rerun skips what stands there. A run
that was killed goes on from its checkpoint.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score

from common import RESULTS, Book, data_file, identity_of, rounded, silent, working_folder
from modwright.data.importing import load_dataset
from modwright.data.options import ImportOptions, Meaning, Reading
from modwright.pipeline.bases import open_bases
from modwright.pipeline.rows import rows_of
from modwright.recipe import FrozenRecipe, Recipe, load_recipe
from modwright.schema import FloatArray, Schema
from modwright.settings import load_settings
from modwright.training.events import follow
from modwright.training.fitted import Fitted
from modwright.training.rows import TrainingRows
from tuning import Watch, calibrated, fit

FIXED_SEED = 32
TEST_FROM = 800
#: F1 and AUC that a recipe has to reach, with 800 and 200 rows, and whose they are.
REFERENCE: dict[str, dict[int, tuple[float, float, str]]] = {
    "fast": {800: (0.801, 0.870, "scratch code, mean of 11 shuffles, thresholds out of fold")},
    "fast-duo": {800: (0.821, 0.889, "scratch code, mean of 11 shuffles, thresholds out of fold")},
    "balanced": {
        800: (0.798, 0.877, "scratch code, MiniLM fine-tuned, fixed split"),
        200: (0.778, 0.847, "scratch code, MiniLM fine-tuned, mean of 3 shuffles"),
    },
    "quality": {
        800: (
            0.841,
            0.908,
            "scratch code, mpnet fine-tuned, mean of 3 shuffles; .858/.920 on the fixed split",
        ),
        200: (0.834, 0.875, "scratch code, mpnet fine-tuned, fixed split"),
    },
    "llm": {800: (0.786, 0.772, "scratch code, SmolLM2 LoRA, 2 epochs, loss still falling")},
}
#: Seed 003's own figures: Gemma 2B with LoRA of rank 4.
GEMMA_2B = {800: (0.84, 0.88), 200: (0.80, 0.78)}
#: What `llm` is trained with besides its recipe: until two epochs in a row have not lowered the validation loss.
UNTIL_IT_STOPS = {"llm": ("training.epochs=10", "validation.patience=2", "validation.keep=best")}
FIELDS = ("f1", "auc", "f1_at_half")


def main() -> None:
    """Run every recipe and print a table."""
    arguments = _arguments()
    schema, rows = _rows(">= median")
    soft = _soft(schema, rows, _rows(None)[1])
    book = Book(RESULTS / "ethos.json")
    for name in arguments.recipes:
        recipe = load_recipe(name, [*UNTIL_IT_STOPS.get(name, ()), *arguments.overrides])
        for count in arguments.rows:
            for seed in [FIXED_SEED, *range(arguments.shuffles)]:
                run(book, name, recipe, schema, rows, soft, seed, count)
            summary = _summary(book, name, count, arguments.shuffles)
            _keep(book, summary)
            print(_line(summary), flush=True)


def _rows(threshold: str | None) -> tuple[Schema, TrainingRows]:
    """Return all comments, labelled yes or no, or with the share of annotators who said yes."""
    dataset = load_dataset(
        ImportOptions(
            sources=(str(data_file("ethos/binary.csv")),),
            out=RESULTS / "unused",
            reading=Reading(delimiter=";"),
            meaning=Meaning(text="comment", scores=("isHate",), threshold=threshold),
        )
    ).dataset
    return dataset.schema, rows_of(dataset.splits["train"], dataset.schema)


def _soft(schema: Schema, hard: TrainingRows, shares: TrainingRows) -> TrainingRows:
    """Return the comments with labels halfway between the yes or no and the share."""
    assert hard.inputs == shares.inputs
    (target,), (values,) = schema.targets, shares.labels.values()
    return replace(hard, labels={target.name: (hard.labels[target.name] + values) / 2})


def run(
    book: Book,
    name: str,
    recipe: Recipe,
    schema: Schema,
    rows: TrainingRows,
    soft: TrainingRows,
    seed: int,
    count: int,
) -> None:
    """Train on the first rows of one shuffle and test on the last 198, unless the book has it."""
    # What pandas' DataFrame.sample(frac=1, random_state=seed) does.
    order = np.random.RandomState(seed).choice(len(rows.inputs), size=len(rows.inputs), replace=False)
    train, test = rows.take(order[:count]), rows.take(order[TEST_FROM:])
    key = _key(name, count, seed)
    identity = identity_of(recipe)

    def work() -> dict[str, Any]:
        if isinstance(recipe, FrozenRecipe):
            return _figures(schema, *_frozen(recipe, schema, train, test), test)
        scratch = working_folder("ethos", f"{key}-{identity}".replace(" ", "-"))
        watch = Watch(scratch)
        fitted = fit(recipe, schema, soft.take(order[:count]), watch, checkpoints=scratch / "checkpoints")
        scores = calibrated(fitted, test.inputs)[schema.targets[0].name][:, 0]
        found = _figures(schema, fitted, scores, test) | watch.work
        if name in UNTIL_IT_STOPS:
            found |= {"stopped_falling": not watch.looks[-1]["best"], "looks": watch.looks}
            pictures = [RESULTS / f"ethos-{name}-{count}.{kind}" for kind in ("svg", "png")]
            watch.draw(f"{name}, {count} rows of ETHOS", pictures)
        shutil.rmtree(scratch)
        return found

    book.run(key, identity, work)


def _key(name: str, count: int, seed: int) -> str:
    return f"{name} {count} rows shuffle {seed}"


def _frozen(
    recipe: FrozenRecipe, schema: Schema, train: TrainingRows, test: TrainingRows
) -> tuple[Fitted, FloatArray]:
    from modwright.training.frozen import fit as fit_frozen

    opened = open_bases(recipe, load_settings(), on_event=silent)
    caches = [one.cache for one in opened]
    fitted = follow(fit_frozen(recipe, schema, train, [one.base for one in opened], caches=caches), silent)
    # As the engine scores, but with embeddings from the cache: the same texts come in every shuffle.
    classifier: Any = fitted.classifier
    raw = classifier.score_features(classifier.featuriser(test.inputs, caches=caches))
    (target,) = schema.targets
    return fitted, fitted.calibration[target.name].apply(raw.values[target.name])[:, 0]


def _figures(schema: Schema, fitted: Fitted, scores: FloatArray, test: TrainingRows) -> dict[str, Any]:
    """Return the figures of one shuffle: at the chosen threshold, at 0.5, and without any."""
    (target,) = schema.targets
    truth = test.labels[target.name][:, 0] > schema.positive_above
    (threshold,) = fitted.operating_point.thresholds[target.name].values()
    return {
        "f1": rounded(f1_score(truth, scores >= threshold)),
        "auc": rounded(roc_auc_score(truth, scores)),
        "f1_at_half": rounded(f1_score(truth, scores >= 0.5)),
        "threshold": rounded(threshold),
        "auc_of_unseen_training_rows": _unseen_auc(schema, fitted),
    }


def _unseen_auc(schema: Schema, fitted: Fitted) -> float | None:
    """Return the ROC-AUC of training rows judged by fits that had not seen them: what choices may rest on."""
    (target,) = schema.targets
    truth = fitted.unseen.rows.labels[target.name][:, 0] > schema.positive_above
    return rounded(roc_auc_score(truth, fitted.unseen.scores[target.name][:, 0]))


def _summary(book: Book, name: str, count: int, shuffles: int) -> dict[str, Any]:
    over = [book.runs[_key(name, count, seed)] for seed in range(shuffles)]
    fixed = book.runs[_key(name, count, FIXED_SEED)]
    summary = {
        "recipe": name,
        "training_rows": count,
        "fixed_split": {field: fixed[field] for field in FIELDS},
        "shuffles": shuffles,
        "reference": REFERENCE.get(name, {}).get(count),
        "gemma_2b_lora": GEMMA_2B.get(count),
    }
    if shuffles > 1:
        summary |= {
            "mean": {field: _mean(over, field) for field in FIELDS},
            "standard_error": {field: _error(over, field) for field in ("f1", "auc")},
        }
    return summary


def _mean(results: Sequence[dict[str, Any]], field: str) -> float | None:
    return rounded(np.mean([result[field] for result in results]))


def _error(results: Sequence[dict[str, Any]], field: str) -> float | None:
    return rounded(np.std([result[field] for result in results], ddof=1) / np.sqrt(len(results)))


def _keep(book: Book, summary: dict[str, Any]) -> None:
    """Lay a summary over the one of the same recipe and rows; the others stay."""
    book.write()  # reads what another process has added
    key = ("recipe", "training_rows")
    others = [one for one in book.data.get("results", []) if any(one[part] != summary[part] for part in key)]
    book.write(results=[*others, summary])


def _line(summary: dict[str, Any]) -> str:
    fixed = summary["fixed_split"]
    line = (
        f"{summary['recipe']:9} {summary['training_rows']} rows: "
        f"fixed split F1 {fixed['f1']:.3f} AUC {fixed['auc']:.3f}"
    )
    if "mean" in summary:
        mean, error = summary["mean"], summary["standard_error"]
        line += (
            f"; mean of {summary['shuffles']} shuffles F1 {mean['f1']:.3f} (se {error['f1']:.3f}) "
            f"AUC {mean['auc']:.3f} (se {error['auc']:.3f})"
        )
    if summary["reference"]:
        f1, auc, whose = summary["reference"]
        line += f"; to reach F1 {f1:.3f} AUC {auc:.3f} ({whose})"
    return line


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="+", default=["fast", "fast-duo"])
    parser.add_argument("--rows", nargs="+", type=int, default=[800, 200])
    parser.add_argument("--shuffles", type=int, default=25)
    parser.add_argument("--set", nargs="+", default=[], dest="overrides", metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
