"""Whether calibrated scores mean what they say, and what a change of prevalence does to them.

    python benchmarks/calibration.py [--sets davidson civil_comments ethos] [--trainings 5] [--halves 4] [--shifts 3]

Calibration: a model is trained on part of a set, and every method is fitted on its scores out of fold ("out of fold", as
training does) or on a random half of the other rows ("split", as with a split called `calibration`), and judged on rows
that neither has seen: calibration error per label, how often it lies in the 95 % band of the same scores with labels drawn
from them, Brier score and log-loss. Two models: the recipe `fast`, and one that is far too sure of itself (a linear head,
hardly regularised).

Prevalence: a model is trained and decided on rows half of which are harmful, and meets texts of which a twentieth are:
calibration error, Brier score, log-loss, and precision and recall at the operating points, before and after the deployment
prevalence is stated; and the prevalence that the unlabelled scores give away.

Figures go to benchmarks/results/calibration.json, each run when it is done; a rerun skips what stands there.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from common import PACKAGES, RESULTS, Book, identity_of, rounded
from decision_sets import ROWS, SEED, Scored, as_binary, read_set, scored
from modwright.evaluation.binary import LabelStatistics, Metric, Sample
from modwright.evaluation.calibration import CalibrationMethod, CalibrationRule, fit_calibration
from modwright.evaluation.decisions import Decisions, decide, rule_of
from modwright.evaluation.prevalence import estimated_prevalence
from modwright.evaluation.reliability import ece_band
from modwright.recipe import FrozenRecipe, load_recipe
from modwright.schema import FloatArray, IntArray, Schema, Target

MODELS = {"fast": (), "too sure": ("head.kinds=['linear']", "head.c=[1000.0]")}
METHODS = ("none", "temperature", "platt", "isotonic", "auto")
RAW = "calibration.method=none"
DRAWS = 400
TRAINED_AT, DEPLOYED_AT = 0.5, 0.05
#: Rows of the balanced training, at most.
BALANCED_ROWS = 1000
#: Random thinnings to the deployment prevalence that figures are averaged over, for each training.
THINNED = 20


def main() -> None:
    """Run what the result file does not hold yet."""
    arguments = _arguments()
    book = Book(RESULTS / "calibration.json", PACKAGES)
    for name in arguments.sets:
        for model, overrides in MODELS.items():
            recipe = _recipe(RAW, *overrides)
            for training in range(arguments.trainings):
                key = f"calibration: {name}, {model}, training {training + 1}"
                identity = identity_of(recipe, *ROWS[name], arguments.halves, DRAWS)
                book.run(key, identity, partial(calibrated, name, recipe, training, arguments.halves))
        for training in range(arguments.shifts):
            key, recipe = f"prevalence: {name}, training {training + 1}", _recipe(RAW)
            book.run(
                key, identity_of(recipe, BALANCED_ROWS, THINNED), partial(shifted, name, recipe, training)
            )
    book.write(summary=summary(book.runs))
    _tell(book.data["summary"])


def calibrated(name: str, recipe: FrozenRecipe, training: int, halves: int) -> dict[str, Any]:
    """Train once and measure every method, fitted out of fold and on random halves of the rest."""
    schema, rows = read_set(name)
    (target,) = schema.targets
    order = np.random.default_rng([SEED, training]).permutation(len(rows.inputs))
    model = scored(recipe, schema, rows, np.sort(order[: ROWS[name][1]]))
    labels = rows.labels[target.name]
    found = {"out of fold": [_methods(target, model, labels, model.trained, model.rest)]}
    found["split"] = []
    for half in range(halves):
        mixed = np.random.default_rng([SEED, training, half]).permutation(model.rest)
        middle = len(mixed) // 2
        found["split"].append(_methods(target, model, labels, mixed[:middle], mixed[middle:]))
    return {"ways": {way: _means(runs) for way, runs in found.items()}}


def _methods(
    target: Target, model: Scored, labels: FloatArray, fitted_on: IntArray, judged: IntArray
) -> dict[str, dict[str, dict[str, float]]]:
    """Return method to label to figures."""
    found = {}
    for method in METHODS:
        fitted = fit_calibration(target, model.scores[fitted_on], labels[fitted_on], None, _rule(method))
        scores = fitted.apply(model.scores[judged])
        found[method] = {
            label: _figures(scores[:, place], labels[judged, place])
            for place, label in enumerate(target.labels)
        }
    return found


def _figures(scores: FloatArray, labels: FloatArray) -> dict[str, float]:
    values = LabelStatistics(Sample(scores, labels, labels > 0.5, None)).at()
    band = ece_band(scores, DRAWS)
    return {
        "ece": values[Metric.ECE],
        "band": band,
        "within": float(values[Metric.ECE] <= band),
        "brier": values[Metric.BRIER],
        "log_loss": values[Metric.LOG_LOSS],
    }


def shifted(name: str, recipe: FrozenRecipe, training: int) -> dict[str, Any]:
    """Train on balanced rows, decide for the rows' own prevalence and for the deployment's, and meet rare harm."""
    schema, rows = as_binary(name, *read_set(name))
    (target,) = schema.targets
    rng, held = np.random.default_rng([SEED, training]), rows.labels[target.name][:, 0] > 0.5
    trained = _balanced(rng, held)
    model = scored(recipe, schema, rows, trained)
    on = rows.take(trained)
    decisions = {
        when: decide(
            _recipe(*more),
            schema,
            {target.name: model.scores[trained]},
            on.labels,
            weights=on.weights,
            groups=on.groups,
        )
        for when, more in (
            ("before", ()),
            ("after", (f"deployment.prevalence.harmful={DEPLOYED_AT}",)),
        )
    }
    drawn: dict[str, list[dict[str, float]]] = {when: [] for when in decisions}
    estimates = []
    for _ in range(THINNED):
        test = _thinned(rng, model.rest, held)
        for when, made in decisions.items():
            drawn[when].append(_met(schema, made, model.scores[test], held[test]))
        before = decisions["before"].calibrated({target.name: model.scores[test]})[target.name]
        estimates.append(float(estimated_prevalence(target.kind, before, np.array([TRAINED_AT]))[0]))
    return {
        "rows": {"trained": len(trained), "met": len(test)},
        "prevalence_estimated": rounded(float(np.mean(estimates))),
        **{when: _average(many) for when, many in drawn.items()},
    }


def _balanced(rng: np.random.Generator, held: Any) -> IntArray:
    """Return rows of which half hold: at most `BALANCED_ROWS`, and no more than half of either kind."""
    each = min(BALANCED_ROWS // 2, int(held.sum()) // 2, int((~held).sum()) // 2)
    chosen = [rng.choice(np.flatnonzero(kind), each, replace=False) for kind in (held, ~held)]
    return np.sort(np.concatenate(chosen))


def _thinned(rng: np.random.Generator, rest: IntArray, held: Any) -> IntArray:
    """Return all harmless rows of the rest and as many harmful ones as the deployment prevalence says."""
    harmless, harmful = rest[~held[rest]], rest[held[rest]]
    number = round(len(harmless) * DEPLOYED_AT / (1 - DEPLOYED_AT))
    return np.concatenate([harmless, rng.choice(harmful, min(number, len(harmful)), replace=False)])


def _met(schema: Schema, decisions: Decisions, raw: FloatArray, held: Any) -> dict[str, float]:
    (target,) = schema.targets
    scores = decisions.calibrated({target.name: raw})[target.name][:, 0]
    figures = _figures(scores, held.astype(float))
    figures["mean_score"], figures["prevalence"] = float(scores.mean()), float(held.mean())
    for name, point in decisions.points.items():
        flagged = scores >= point.thresholds[target.name]["harmful"]
        hits = float((flagged & held).sum())
        figures[f"{name}_precision"] = hits / flagged.sum() if flagged.any() else float("nan")
        figures[f"{name}_recall"] = hits / held.sum()
    return figures


def _average(many: list[dict[str, Any]]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for key in many[0]:
        known = [one[key] for one in many if one[key] is not None and not np.isnan(one[key])]
        found[key] = rounded(float(np.mean(known))) if known else None
    return found


def _means(runs: list[dict[str, dict[str, dict[str, float]]]]) -> dict[str, Any]:
    """Return method to label to means over runs."""
    return {
        method: {label: _average([run[method][label] for run in runs]) for label in runs[0][method]}
        for method in runs[0]
    }


def summary(runs: Mapping[str, Any]) -> dict[str, Any]:
    """Return, per set and model, the methods' means over labels and trainings, and of each set the shift's."""
    told: dict[str, Any] = {}
    for name in ROWS:
        for model in MODELS:
            these = [run for key, run in runs.items() if key.startswith(f"calibration: {name}, {model},")]
            for way in ("out of fold", "split") if these else ():
                told[f"{name}, {model}, {way}"] = {
                    method: _average([label for run in these for label in run["ways"][way][method].values()])
                    for method in METHODS
                }
        these = [run for key, run in runs.items() if key.startswith(f"prevalence: {name},")]
        if these:
            told[f"{name}, prevalence"] = {
                when: _average([run[when] for run in these]) for when in ("before", "after")
            }
            told[f"{name}, prevalence"]["estimated"] = rounded(
                np.mean([run["prevalence_estimated"] for run in these])
            )
    return told


def _tell(found: Mapping[str, Any]) -> None:
    for name, rows in found.items():
        for row, figures in rows.items():
            if isinstance(figures, dict):
                told = ", ".join(f"{key} {value:.4f}" for key, value in figures.items() if value is not None)
                print(f"{name}; {row}: {told}", flush=True)
            else:
                print(f"{name}; {row}: {figures}", flush=True)


def _recipe(*overrides: str) -> FrozenRecipe:
    recipe = load_recipe("fast", list(overrides))
    assert isinstance(recipe, FrozenRecipe)
    return recipe


def _rule(method: str) -> CalibrationRule:
    return rule_of(_recipe()) if method == "auto" else CalibrationRule(CalibrationMethod(method))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--trainings", type=int, default=5)
    parser.add_argument("--halves", type=int, default=4)
    parser.add_argument("--shifts", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
