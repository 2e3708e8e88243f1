"""What disguises cost a model, with and without the normaliser, on three labelled sets.

    python benchmarks/robustness.py [--recipe fast] [--sets ethos davidson surge] [--shuffles 2]

For each set and shuffle the recipe is trained with several `normalise.steps`, on the same training rows, and judged on the
same test rows as they are and under every perturbation: recall at the threshold of best F1 out of fold, ROC-AUC, and false
alarms on harmless sentences of other scripts. What a normaliser gains is a mean over shuffles, with a standard error; the
intervals of a single run stand beside its figures. Nothing is chosen on test rows.

A run is written to benchmarks/results/robustness.json when it is done; a rerun skips it.
"""

from __future__ import annotations

import argparse
import csv
import functools
from typing import Any

import numpy as np

from common import PACKAGES, RESULTS, Book, data_file, identity_of, rounded, silent
from modwright.evaluation.other_scripts import measure_false_alarms
from modwright.evaluation.perturbations import PERTURBATIONS
from modwright.evaluation.rates import Rate
from modwright.evaluation.robustness import Effect, measure_robustness
from modwright.models.normalise import STEPS, VERSION
from modwright.pipeline.evaluate import score, scored_rows
from modwright.pipeline.fitting import fit_rows
from modwright.recipe import load_recipe
from modwright.schema import Schema, Target, TargetKind, text_input
from modwright.serving.engine import DEFAULT_OPERATING_POINT
from modwright.settings import load_settings
from modwright.training.rows import TrainingRows

LABEL = "harmful"
SCHEMA = Schema((Target.create("moderation", TargetKind.MULTI_LABEL, [LABEL]),))
#: Rows trained on and judged on, of each set.
SIZES = {"ethos": (698, 300), "davidson": (1500, 500), "surge": (700, 200)}
CHARACTERS = ("invisible", "compatibility", "lookalikes")
VARIANTS = {"none": (), "characters": CHARACTERS, "all": tuple(STEPS)}
AS_THEY_ARE = "as they are"


def main() -> None:
    """Run every set, shuffle and variant, and print tables."""
    arguments = _arguments()
    book = Book(RESULTS / "robustness.json", PACKAGES)
    for name in arguments.sets:
        for shuffle in range(arguments.shuffles):
            for variant in arguments.variants:
                steps = VARIANTS[variant]
                settings = [f"normalise.steps={list(steps)}", *arguments.overrides]
                recipe = load_recipe(arguments.recipe, settings)
                identity = identity_of(recipe, *SIZES[name], VERSION, arguments.resamples)
                work = functools.partial(_run, recipe, name, shuffle, arguments.resamples)
                book.run(f"{name}, shuffle {shuffle}, {variant}", identity, work)
    shuffles = {name: _complete(book, name) for name in SIZES}
    done = [name for name, complete in shuffles.items() if complete]
    book.write(
        recipe=arguments.recipe,
        normaliser={"version": VERSION, **{variant: list(steps) for variant, steps in VARIANTS.items()}},
        sizes={name: dict(zip(("train", "test"), SIZES[name], strict=True)) for name in done},
        shuffles={name: len(shuffles[name]) for name in done},
        means={name: _means(book, name, shuffles[name]) for name in done},
        other_scripts={name: _alarms(book, name, shuffles[name]) for name in done},
    )
    _print(book.data)


def _run(recipe: Any, name: str, shuffle: int, resamples: int) -> dict[str, Any]:
    train, test = _split(name, shuffle)
    engine = fit_rows(recipe, SCHEMA, train, load_settings(), on_event=silent).engine

    def scorer(inputs: Any) -> Any:
        return score(engine, inputs)

    split = scored_rows("test", engine, test, score(engine, test.inputs))
    found = measure_robustness(
        split, scorer, list(PERTURBATIONS.values()), resamples=resamples, seed=shuffle, most_rows=len(split)
    )
    alarms = measure_false_alarms(SCHEMA, engine.operating_point(DEFAULT_OPERATING_POINT), scorer)
    first = found.effects[0]
    return {
        AS_THEY_ARE: {key: _interval(value) for key, value in first.before.items()},
        **{effect.perturbation: _figures(effect) for effect in found.effects},
        "false_alarms": {one.language: one.flagged.value for one in alarms},
    }


def _figures(effect: Effect) -> dict[str, Any]:
    return {
        "changed": effect.changed,
        **{key: _interval(value) for key, value in effect.after.items()},
        "change": {key: _interval(value) for key, value in effect.change.items()},
    }


def _interval(value: Any) -> dict[str, Any]:
    return {key: rounded(part) for key, part in value.to_json().items() if key != "n"}


def _variants(book: Book, name: str) -> list[str]:
    """Return the variants that were run on the first shuffle of a set."""
    return [variant for variant in VARIANTS if f"{name}, shuffle 0, {variant}" in book.runs]


def _complete(book: Book, name: str) -> list[int]:
    """Return the shuffles of a set of which all those variants were run."""
    wanted = _variants(book, name)
    found = range(len(book.runs) if wanted else 0)
    return [one for one in found if all(f"{name}, shuffle {one}, {way}" in book.runs for way in wanted)]


def _means(book: Book, name: str, shuffles: list[int]) -> dict[str, Any]:
    """Return per perturbation and variant recall and ROC-AUC, and what the variant gains over none, over shuffles."""
    table: dict[str, Any] = {}
    for perturbation in (AS_THEY_ARE, *PERTURBATIONS):
        table[perturbation] = {}
        for figure in (str(Rate.RECALL), str(Rate.FALSE_POSITIVE), "roc_auc"):
            values = {
                variant: np.asarray(
                    [
                        book.runs[f"{name}, shuffle {shuffle}, {variant}"][perturbation][figure]["value"]
                        for shuffle in shuffles
                    ]
                )
                for variant in _variants(book, name)
            }
            table[perturbation][figure] = {
                variant: {"mean": rounded(found.mean()), "gain": _gain(found - values["none"])}
                for variant, found in values.items()
            }
    return table


def _gain(differences: np.ndarray) -> dict[str, float | None]:
    error = differences.std(ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else None
    return {"mean": rounded(differences.mean()), "standard_error": rounded(error)}


def _alarms(book: Book, name: str, shuffles: list[int]) -> dict[str, Any]:
    """Return language to the share of its harmless sentences that is flagged, per variant, over shuffles."""
    runs = {
        variant: [book.runs[f"{name}, shuffle {one}, {variant}"]["false_alarms"] for one in shuffles]
        for variant in _variants(book, name)
    }
    languages = list(runs["none"][0])
    return {
        language: {
            variant: rounded(np.mean([run[language] for run in found]), 3) for variant, found in runs.items()
        }
        for language in languages
    }


def _split(name: str, shuffle: int) -> tuple[TrainingRows, TrainingRows]:
    """Return training and test rows; every shuffle draws both anew, and no text is in both."""
    texts, truth = READERS[name]()
    _, first = np.unique(np.asarray(texts, dtype=object).astype(str), return_index=True)
    order = np.random.default_rng(1000 + shuffle).permutation(np.sort(first))
    train, test = SIZES[name]
    return _rows(texts, truth, order[:train]), _rows(texts, truth, order[train : train + test])


def _rows(texts: list[str], truth: np.ndarray, rows: np.ndarray) -> TrainingRows:
    chosen = [texts[row] for row in rows]
    labels = {"moderation": truth[rows].astype(float)[:, None]}
    return TrainingRows([text_input(text) for text in chosen], labels, np.ones(len(rows)), chosen)


def _ethos() -> tuple[list[str], np.ndarray]:
    with data_file("ethos/binary.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter=";"))
    hate = np.asarray([float(row["isHate"]) for row in rows])
    return [row["comment"] for row in rows], hate >= np.median(hate)


def _davidson() -> tuple[list[str], np.ndarray]:
    with data_file("davidson/labeled_data.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [row["tweet"] for row in rows], np.asarray([row["class"] != "2" for row in rows])


def _surge() -> tuple[list[str], np.ndarray]:
    with data_file("surge/toxicity_en.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [row["text"] for row in rows], np.asarray([row["is_toxic"] == "Toxic" for row in rows])


READERS = {"ethos": _ethos, "davidson": _davidson, "surge": _surge}


def _print(data: dict[str, Any]) -> None:
    for name, table in data["means"].items():
        print(f"\n{name}: recall and ROC-AUC, means over shuffles; with what the steps gain over none")
        for perturbation, figures in table.items():
            told = [
                f"{figure} " + " -> ".join(_shown(name, one) for name, one in figures[figure].items())
                for figure in ("recall", "roc_auc")
            ]
            print(f"  {perturbation:17} {'   '.join(told)}")
        alarms = data["other_scripts"][name]
        print("  false alarms: " + ", ".join(f"{language} {one}" for language, one in alarms.items()))


def _shown(variant: str, found: dict[str, Any]) -> str:
    gain, error = found["gain"]["mean"], found["gain"]["standard_error"]
    return f"{variant} {found['mean']:.3f} ({gain:+.3f}{'' if error is None else f' ± {error:.3f}'})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--sets", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--shuffles", type=int, default=2)
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--set", nargs="+", default=[], dest="overrides", metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
