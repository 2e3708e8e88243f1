"""The review band's promise: errors of texts decided without a person over 200 random splits, and the review load.

    python benchmarks/review_band.py [--sets davidson civil_comments ethos] [--splits 200] [--shuffles 20]

A `fast` model is trained on some rows of each set; the others are scored once and then halved at random, again and again:
calibration and band are fitted on one half, and the other is decided. Such halves are drawn alike, so that the mean error
is to stay at what was promised, of the texts that have a label (misses) and of those that have not (wrong actions). Beside
it stands the share of texts that a person sees, and the same on test halves thinned to a twentieth that have the label
against what the band expected there. `ethos out of fold` fits the band on rows that were scored out of fold, as training
does without a split of its own: there the promise holds only nearly, and this says how nearly.

Figures go to benchmarks/results/review_band.json, each run when it is done; a rerun skips what stands there. Scores are
kept below MODWRIGHT_HOME.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from common import PACKAGES, RESULTS, Book, identity_of, rounded, silent, working_folder
from decision_sets import SEED, shuffled
from modwright.evaluation.calibration import fit_calibration
from modwright.evaluation.decisions import rule_of
from modwright.evaluation.review import ACT, LEFT_OUT, PASS, REVIEW, Codes, Promise, ReviewBand
from modwright.evaluation.review_fit import fit_review
from modwright.pipeline.bases import open_bases
from modwright.recipe import FrozenRecipe, load_recipe
from modwright.schema import BoolArray, FloatArray, Schema, Target, TargetKind
from modwright.settings import load_settings
from modwright.training.events import follow
from modwright.training.fitted import Fitted
from modwright.training.frozen import fit
from modwright.training.rows import TrainingRows

RATES = (0.02, 0.05, 0.1)
RARE = 0.05
#: Set to the rows that are trained on and those that are scored and halved.
SIZES = {"davidson": (1500, 3000), "civil_comments": (2000, 3000), "ethos": (398, 600)}
OUT_OF_FOLD_ROWS = 500


def main() -> None:
    """Run every set and print what was promised and what came of it."""
    arguments = _arguments()
    recipe = load_recipe("fast", [])
    assert isinstance(recipe, FrozenRecipe)
    book = Book(RESULTS / "review_band.json", PACKAGES)
    for name in arguments.sets:
        run(book, name, recipe, arguments.splits, arguments.shuffles)


def run(book: Book, name: str, recipe: FrozenRecipe, splits: int, shuffles: int) -> None:
    """Measure one set, unless the book has it."""
    schema, rows = shuffled(name, sum(SIZES[name]))
    identity = identity_of(recipe, *SIZES[name], splits)
    _tell(name, book.run(name, identity, lambda: over_splits(name, recipe, schema, rows, splits)))
    if name == "ethos" and shuffles:
        key, identity = "ethos out of fold", identity_of(recipe, OUT_OF_FOLD_ROWS, shuffles)
        _tell(key, book.run(key, identity, lambda: out_of_fold(recipe, schema, rows, shuffles)))


def over_splits(
    name: str, recipe: FrozenRecipe, schema: Schema, rows: TrainingRows, splits: int
) -> dict[str, Any]:
    """Train once, then fit the band on one random half of the other rows and decide the other half."""
    (target,) = schema.targets
    pool = rows.take(np.arange(SIZES[name][0], len(rows.inputs)))
    scores = _pool_scores(name, recipe, schema, rows, pool)
    truth = _truth(target, pool.labels[target.name], schema.positive_above)
    tally = Tally(target)
    for split in range(splits):
        order = np.random.default_rng([SEED, split]).permutation(len(pool.inputs))
        half = len(order) // 2
        fitted_on, tested = order[:half], order[half:]
        calibration = fit_calibration(
            target, scores[fitted_on], pool.labels[target.name][fitted_on], None, rule_of(recipe)
        )
        calibrated = calibration.apply(scores)
        for rate in RATES:
            band = fit_review(
                schema,
                {target.name: calibrated[fitted_on]},
                {target.name: pool.labels[target.name][fitted_on]},
                Promise(rate, rate),
                resamples=0,
            )
            tally.add(rate, band, calibrated[tested], truth[tested])
    return {"calibration_rows": half, "test_rows": len(tested), "splits": splits, **tally.figures()}


def out_of_fold(recipe: FrozenRecipe, schema: Schema, rows: TrainingRows, shuffles: int) -> dict[str, Any]:
    """Train on part of the rows, fit the band on their scores out of fold, and decide the rest, for many shuffles."""
    (target,) = schema.targets
    tally = Tally(target)
    for shuffle in range(shuffles):
        order = np.random.default_rng([SEED, shuffle]).permutation(len(rows.inputs))
        test = rows.take(order[OUT_OF_FOLD_ROWS:])
        fitted, score = _trained(recipe, schema, rows.take(order[:OUT_OF_FOLD_ROWS]))
        calibrated = fitted.calibration[target.name].apply(score(test))
        truth = _truth(target, test.labels[target.name], schema.positive_above)
        unseen = fitted.unseen
        for rate in RATES:
            band = fit_review(
                schema, unseen.scores, unseen.rows.labels, Promise(rate, rate), groups=None, resamples=0
            )
            tally.add(rate, band, calibrated, truth)
    return {
        "calibration_rows": OUT_OF_FOLD_ROWS,
        "test_rows": len(test.inputs),
        "splits": shuffles,
        **tally.figures(),
    }


@dataclass
class Tally:
    """Errors and loads per promise and label, over splits."""

    target: Target

    def __post_init__(self) -> None:
        self._seen: dict[tuple[float, str], list[dict[str, float]]] = {}
        self._loads: dict[float, list[float]] = {}

    def add(self, rate: float, band: ReviewBand, scores: FloatArray, truth: FloatArray) -> None:
        """Add one split: calibrated scores (n, L) of rows that the band has not seen, truth (n, L) of 0, 1 or NaN."""
        texts, labels = band.decide(self.target, scores, {})
        self._loads.setdefault(rate, []).append(float(np.mean(texts == REVIEW)))
        for label, found in band.bands[self.target.name].items():
            if not found.promised:
                continue
            column = self.target.index(label)
            codes, known = labels[:, column], ~np.isnan(truth[:, column])
            if self.target.kind is TargetKind.SINGLE_LABEL:
                codes = _as_label(texts, codes, label in self.target.negative_labels)
            holds = truth[known, column] == 1
            expected = None if found.expected is None else found.expected.load_at(RARE)
            self._seen.setdefault((rate, label), []).append(_errors(codes[known], holds, expected))

    def figures(self) -> dict[str, Any]:
        """Return the means over splits, each with its standard error."""
        kept: dict[str, Any] = {}
        for (rate, label), splits in self._seen.items():
            figures = {name: _mean([split[name] for split in splits]) for name in splits[0]}
            # of a label of a single-label target it is promised that its texts do not pass, or of a negative one that
            # they are not acted on
            bounds = (
                ["misses"] if self.target.kind is TargetKind.SINGLE_LABEL else ["misses", "wrong_actions"]
            )
            holds = all(figures[name]["mean"] <= rate + 3 * figures[name]["error"] for name in bounds)
            kept.setdefault(f"{rate:g}", {})[label] = {
                **figures,
                "splits": len(splits),
                "promise_holds": holds,
            }
        loads = {f"{rate:g}": _mean(values) for rate, values in self._loads.items()}
        return {"labels": kept, "review_load": loads}


def _as_label(texts: Codes, mine: Codes, negative: bool) -> Codes:
    """Return "it is this label" (act) against what is wrong for its texts (pass): that they pass, or are acted on."""
    wrong = ACT if negative else PASS
    codes = np.where(texts == wrong, PASS, np.where(mine == LEFT_OUT, LEFT_OUT, ACT))
    return np.where(texts == REVIEW, REVIEW, codes).astype(np.int8)


def _errors(codes: Any, holds: BoolArray, expected_rare: float | None) -> dict[str, float]:
    """Return what happened to texts, also where a share `RARE` of them has the label."""
    review, with_label, without = codes == REVIEW, codes[holds], codes[~holds]
    rare = RARE * np.mean(with_label == REVIEW) + (1 - RARE) * np.mean(without == REVIEW)
    return {
        "misses": float(np.mean(with_label == PASS)),
        "wrong_actions": float(np.mean(without == ACT)),
        "review_load": float(np.mean(review)),
        "review_load_where_rare": float(rare),
        "expected_where_rare": float("nan") if expected_rare is None else expected_rare,
    }


def _mean(values: list[float]) -> dict[str, Any]:
    found = np.array(values)[~np.isnan(values)]
    error = found.std(ddof=1) / np.sqrt(len(found)) if len(found) > 1 else 0.0
    return {"mean": rounded(found.mean()), "error": rounded(error, 5)}


def _pool_scores(
    name: str, recipe: FrozenRecipe, schema: Schema, rows: TrainingRows, pool: TrainingRows
) -> FloatArray:
    """Return raw scores (N, L) of the rows that were not trained on, kept for the next run."""
    path = working_folder("review_band") / f"{name}-{identity_of(recipe, *SIZES[name])}.npy"
    if not path.is_file():
        _, score = _trained(recipe, schema, rows.take(np.arange(SIZES[name][0])))
        np.save(path, score(pool))
    return np.asarray(np.load(path), dtype=np.float64)


def _trained(
    recipe: FrozenRecipe, schema: Schema, train: TrainingRows
) -> tuple[Fitted, Callable[[TrainingRows], FloatArray]]:
    opened = open_bases(recipe, load_settings(), on_event=silent)
    caches = [one.cache for one in opened]
    fitted = follow(fit(recipe, schema, train, [one.base for one in opened], caches=caches), silent)
    classifier: Any = fitted.classifier
    (target,) = schema.targets

    def score(rows: TrainingRows) -> FloatArray:
        features = classifier.featuriser(rows.inputs, caches=caches)
        values: FloatArray = classifier.score_features(features).values[target.name]
        return values

    return fitted, score


def _truth(target: Target, labels: FloatArray, positive_above: float) -> FloatArray:
    if target.kind is TargetKind.MULTI_LABEL:
        return np.where(np.isnan(labels), np.nan, labels > positive_above)
    return np.asarray(np.eye(labels.shape[1])[labels.argmax(axis=1)], dtype=np.float64)


def _tell(name: str, found: Mapping[str, Any]) -> None:
    for rate, labels in found["labels"].items():
        for label, figures in labels.items():
            told = ", ".join(
                f"{key} {figures[key]['mean']:.4f} ({figures[key]['error']:.4f})"
                for key in ("misses", "wrong_actions", "review_load")
            )
            held = "holds" if figures["promise_holds"] else "does not hold"
            print(f"{name} at {rate}, {label}: {told}; {held} ({figures['splits']} splits)", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--shuffles", type=int, default=20)
    return parser.parse_args()


if __name__ == "__main__":
    main()
