"""Seed 002's experiment on shared data: validation loss by epochs, AUC by label, soft labels against booleans.

    python benchmarks/toxicity.py [--recipe toxicity-multilabel] [--civil 3000] [--epochs 1 2 3 5] [--seeds 0 1 2]

The rows are those of toxicity_rows.py: 1,000 of jigsaw and --civil of civil_comments, in three parts. The recipe is
trained once per number of epochs: its validation loss is told before training and after every epoch, beside the loss of
who knows nothing but the labels' base rates. The number of epochs with the lowest validation loss is judged on the test
rows: ROC-AUC of each label with its interval, over both sets and within each; a label of fewer than ten positives is
"not enough evidence". Then the same with soft labels and with labels rounded to yes or no, at three seeds.

A run is written to benchmarks/results/toxicity.json when it is done; a rerun skips it.
"""

from __future__ import annotations

import argparse
import shutil
from typing import Any

import numpy as np

from common import RESULTS, Book, identity_of, rounded, working_folder
from modwright.evaluation.binary import Metric
from modwright.evaluation.metrics import SplitEvaluation
from modwright.recipe import EncoderRecipe, load_recipe
from toxicity_rows import CIVIL, JIGSAW, SCHEMA, TARGET, splits
from tuning import Watch, base_rate_loss, calibrated, fit, measured

#: What the notebook prints, on 35 rows of data of its own: before training and after five epochs.
NOTEBOOK = {"before": 0.7025, "after_5_epochs": 0.4955}


def main() -> None:
    """Run the grid and the comparison, and print tables."""
    arguments = _arguments()
    rows, _ = splits(arguments.civil)
    book = Book(RESULTS / "toxicity.json")
    grid = {
        epochs: _run(book, arguments, f"epochs {epochs}", f"epochs={epochs}") for epochs in arguments.epochs
    }
    best = min(grid, key=lambda epochs: grid[epochs]["validation_loss"])
    labels = {}
    for way, soft in (("soft labels", "true"), ("booleans", "false")):
        settings = (f"epochs={best}", f"loss.soft_labels={soft}")
        labels[way] = [
            _run(book, arguments, f"{way}, seed {seed}", *settings, f"seed={seed}")
            for seed in arguments.seeds
        ]
    base = base_rate_loss(SCHEMA, rows["train"], rows["validation"])
    book.write(
        notebook=NOTEBOOK,
        rows={name: len(part.inputs) for name, part in rows.items()},
        recipe=arguments.recipe,
        base_rate_loss=rounded(base),
        best_epochs=best,
        grid={str(epochs): _losses(found) for epochs, found in grid.items()},
        test=grid[best]["test"],
        soft_against_booleans={way: _mean(found) for way, found in labels.items()},
    )
    _print(book.data)


def _run(book: Book, arguments: argparse.Namespace, name: str, *settings: str) -> dict[str, Any]:
    """Train with these settings on the training rows and judge by the others."""
    recipe = load_recipe(arguments.recipe, [*settings, *arguments.overrides])
    assert isinstance(recipe, EncoderRecipe)
    identity = identity_of(recipe, arguments.civil)

    def work() -> dict[str, Any]:
        rows, sources = splits(arguments.civil)
        scratch = working_folder("toxicity", f"{name}-{identity}".replace(" ", "-").replace(",", ""))
        watch = Watch(scratch)
        fitted = fit(
            recipe,
            SCHEMA,
            rows["train"],
            watch,
            validation=rows["validation"],
            checkpoints=scratch / "checkpoints",
        )
        test, scores = rows["test"], calibrated(fitted, rows["test"].inputs)
        found = {"both sets": measured(SCHEMA, fitted, test, scores, arguments.resamples)}
        for source in (JIGSAW, CIVIL):
            part = np.flatnonzero(sources["test"] == source)
            some = {target: values[part] for target, values in scores.items()}
            found[source] = measured(SCHEMA, fitted, test.take(part), some, arguments.resamples)
        shutil.rmtree(scratch)
        kept = min(look["loss"] for look in watch.looks if look["step"] > 0)
        return {
            "validation_loss": kept,
            "looks": watch.looks,
            **watch.work,
            "test": {where: _by_label(evaluation) for where, evaluation in found.items()},
        }

    return book.run(name, identity, work)


def _by_label(evaluation: SplitEvaluation) -> dict[str, Any]:
    """Return what the test rows say of each label, and the mean over those with enough evidence."""
    found = evaluation.targets[TARGET.name]
    table: dict[str, Any] = {}
    for name, label in found.labels.items():
        auc = label.metrics[Metric.ROC_AUC].to_json()
        table[name] = {
            "positives": label.positives,
            "negatives": label.negatives,
            "evidence": "enough" if label.enough else f"not enough evidence: {label.note}",
            "auc": {key: rounded(value) for key, value in auc.items()},
            "f1": rounded(label.metrics[Metric.F1].value),
            "log_loss": rounded(label.metrics[Metric.LOG_LOSS].value),
        }
    macro = {metric: rounded(found.macro[metric].value) for metric in ("roc_auc", "log_loss", "brier", "f1")}
    return {"labels": table, "macro_of_labels_with_evidence": macro}


def _losses(found: dict[str, Any]) -> dict[str, Any]:
    """Return the validation loss before training and after every epoch."""
    return {f"{look['epoch']:g}": look["loss"] for look in found["looks"]}


def _mean(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean over seeds of the test rows' figures over both sets, with its standard error."""
    figures = [one["test"]["both sets"]["macro_of_labels_with_evidence"] for one in found]
    means = {}
    for key in figures[0]:
        values = [one[key] for one in figures]
        error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else None
        means[key] = {"mean": rounded(np.mean(values)), "standard_error": rounded(error)}
    return {"seeds": len(found), **means}


def _print(data: dict[str, Any]) -> None:
    print(f"\nvalidation loss (base rates give {data['base_rate_loss']:.4f}):")
    for epochs, losses in data["grid"].items():
        told = "  ".join(f"{epoch}: {loss:.4f}" for epoch, loss in losses.items())
        print(f"  {epochs} epochs  after epoch {told}")
    for where, found in data["test"].items():
        print(f"\ntest rows, {where}, {data['best_epochs']} epochs:")
        for label, row in found["labels"].items():
            auc = row["auc"]
            if row["evidence"] != "enough":
                print(f"  {label:14} {row['evidence']}")
                continue
            print(
                f"  {label:14} AUC {auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f}), "
                f"{row['positives']} of {row['positives'] + row['negatives']}, F1 {row['f1']:.3f}"
            )
    print("\nmacro over labels with enough evidence, mean over seeds (standard error):")
    for way, found in data["soft_against_booleans"].items():
        told = [
            f"{key} {value['mean']:.4f} ({value['standard_error']})"
            for key, value in found.items()
            if key != "seeds"
        ]
        print(f"  {way:12} {', '.join(told)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="toxicity-multilabel")
    parser.add_argument("--civil", type=int, default=3_000)
    parser.add_argument("--epochs", nargs="+", type=int, default=[1, 2, 3, 5])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--resamples", type=int, default=1_000)
    parser.add_argument("--set", nargs="+", default=[], dest="overrides", metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
