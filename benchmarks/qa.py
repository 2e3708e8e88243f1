"""Prompt and response judged as a pair: shipped recipes on unseen prompts, and the pair against its parts.

    python benchmarks/qa.py [--recipes fast balanced quality] [--use fast balanced] [--folds 5]

Accuracy, F1 and ROC-AUC on a fifth of beavertails/dev.jsonl, split by prompt, with intervals over prompts; the threshold
is chosen on training rows. Who calls every pair harmful has the F1 that stands beside it. Then safe_rlhf/pairs.jsonl,
where every prompt has a safe and an unsafe response: each recipe of --use is trained on the pair, the prompt alone and the
response alone, and every row is judged by a fold that has not seen its prompt. A model that looks at prompts only is right
by chance there.

A run is written to benchmarks/results/qa.json when it is done; a rerun skips it.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from typing import Any

from common import RESULTS, Book, data_file, identity_of, rounded, working_folder
from modwright.data.dataset import Dataset
from modwright.data.importing import load_dataset
from modwright.data.options import ImportOptions, Meaning
from modwright.data.resplit import resplit
from modwright.evaluation.binary import Metric
from modwright.evaluation.metrics import SplitEvaluation
from modwright.pipeline.response_use import View, response_use
from modwright.pipeline.rows import rows_of
from modwright.recipe import load_recipe
from modwright.schema import Schema, Target, TargetKind
from modwright.settings import load_settings
from modwright.training.events import Event, Stage
from modwright.training.rows import TrainingRows
from tuning import Watch, calibrated, fit, measured

TARGET, LABEL = "moderation", "harmful"
SCHEMA = Schema((Target.create(TARGET, TargetKind.MULTI_LABEL, (LABEL,)),))
SPLIT_SEED = 0
#: On the whole test set of BeaverTails, as published: F1 of the pair being harmful. Another split, so orders only.
PUBLISHED_F1 = {"MD-Judge 7B": 0.866, "Qwen3Guard 4B": 0.866, "GPT-4": 0.842, "Llama Guard 1 7B": 0.653}
#: Scratch code, MiniLM fine-tuned for 2 epochs on safe_rlhf/pairs.jsonl, a fifth held out by prompt.
REFERENCE_USE = {"pair": 0.70, "prompt": 0.52}


def main() -> None:
    """Run both parts and print tables."""
    arguments = _arguments()
    book = Book(RESULTS / "qa.json")
    for name in arguments.recipes:
        _judged(book, name, arguments)
    for name in arguments.use:
        _used(book, name, arguments)
    book.write(published_f1=PUBLISHED_F1, reference_response_use_auc=REFERENCE_USE)
    _print(book, arguments)


def _judged(book: Book, name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train a recipe on four fifths of the prompts and judge the rest."""
    recipe = load_recipe(name, arguments.overrides)
    identity = identity_of(recipe)

    def work() -> dict[str, Any]:
        dataset = resplit(_pairs("beavertails/dev.jsonl"), {"train": 0.8, "test": 0.2}, SPLIT_SEED)
        rows = {split: _rows(dataset, split) for split in dataset.splits}
        scratch = working_folder("qa", f"{name}-{identity}")
        watch = Watch(scratch)
        fitted = fit(recipe, SCHEMA, rows["train"], watch, checkpoints=scratch / "checkpoints")
        scores = calibrated(fitted, rows["test"].inputs)
        found = measured(SCHEMA, fitted, rows["test"], scores, arguments.resamples)
        shutil.rmtree(scratch)
        return {
            "rows": {split: len(part.inputs) for split, part in rows.items()},
            **_figures(found),
            **watch.work,
        }

    return book.run(f"beavertails, {name}", identity, work)


def _figures(found: SplitEvaluation) -> dict[str, Any]:
    target = found.targets[TARGET]
    label = target.labels[LABEL]
    measures = {
        "accuracy": target.decision["accuracy"],
        "f1": label.metrics[Metric.F1],
        "auc": label.metrics[Metric.ROC_AUC],
    }
    figures: dict[str, Any] = {key: rounded(value.value) for key, value in measures.items()}
    return figures | {
        "intervals": {key: [rounded(value.low), rounded(value.high)] for key, value in measures.items()},
        "always_harmful_f1": rounded(label.always_flag_f1),
        "harmful": label.positives,
    }


def _used(book: Book, name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train a recipe on pairs and on their parts, and judge by folds over prompts."""
    recipe = load_recipe(name, arguments.overrides)

    def work() -> dict[str, Any]:
        dataset = _pairs("safe_rlhf/pairs.jsonl")
        found = response_use(
            recipe,
            SCHEMA,
            _rows(dataset, "train"),
            load_settings(),
            number_of_folds=arguments.folds,
            resamples=arguments.resamples,
            on_event=_told,
        )
        data = found.to_json()
        (label,) = found.labels
        return {
            **{f"auc_{view}": rounded(label.views[view][str(Metric.ROC_AUC)].value) for view in View},
            "response_is_used": label.is_used,
            **{key: data[key] for key in ("rows", "prompts", "folds")},
            "label": data["labels"][0],
        }

    return book.run(f"safe_rlhf, {name}", identity_of(recipe, arguments.folds), work)


def _told(event: Event) -> None:
    if isinstance(event, Stage) and "fold" in event.name:
        print(f"  {event.name}", flush=True)


def _pairs(file: str) -> Dataset:
    """Read pairs of which each is `harmful` or `unharmful`."""
    meaning = Meaning(prompt="prompt", response="response", labels=("label",))
    options = ImportOptions(sources=(str(data_file(file)),), out=RESULTS / "unused", meaning=meaning)
    return load_dataset(options).dataset


def _rows(dataset: Dataset, split: str) -> TrainingRows:
    """Return a split's rows with the one label `harmful`, which holds or not and so has a threshold."""
    rows = rows_of(dataset.split(split), dataset.schema)
    place = dataset.schema.target(TARGET).index(LABEL)
    return dataclasses.replace(rows, labels={TARGET: rows.labels[TARGET][:, [place]]})


def _print(book: Book, arguments: argparse.Namespace) -> None:
    for name in arguments.recipes:
        found = book.runs[f"beavertails, {name}"]
        told = ", ".join(
            f"{key} {found[key]:.3f} ({found['intervals'][key][0]:.3f} to {found['intervals'][key][1]:.3f})"
            for key in ("accuracy", "f1", "auc")
        )
        print(f"{name:9} {told}; always harmful F1 {found['always_harmful_f1']:.3f}")
    for name in arguments.use:
        found = book.runs[f"safe_rlhf, {name}"]
        told = ", ".join(f"{view} {found[f'auc_{view}']:.3f}" for view in View)
        print(f"{name:9} AUC by what is seen: {told}; response used: {found['response_is_used']}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="*", default=["fast", "balanced", "quality"])
    parser.add_argument("--use", nargs="*", default=["fast", "balanced"])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=1_000)
    parser.add_argument("--set", nargs="+", default=[], dest="overrides", metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
