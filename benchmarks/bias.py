"""Unintended bias on civil_comments, by terms that name groups: as trained, and with a bias that was planted on purpose.

    python benchmarks/bias.py [--splits 3] [--train 2000] [--test 4500] [--resamples 400]

The copy of civil_comments at hand has no identity columns, so mentions are those of the shipped list `identities-en`. Two
models, `fast` with its linear head and TF-IDF with logistic regression, are trained on each random split twice: on rows as
they are, and on rows without the harmless ones (no insult) that mention `muslim` or `female`, which teaches that such a
mention is an insult. The planted bias has to show in BPSN AUC and false alarms of these two, more than in the others.

How often fair differences are called clear is counted, too: on identities drawn at random, as often mentioned as the
listed ones are. And figures by length, the slices of every comment whatever it says.

Every text of this set was called toxic by somebody: a row without the label is not a clean one, and rates of false alarms
are higher than on usual comments. Figures go to benchmarks/results/bias.json, each run when it is done; a rerun skips what
stands there. Scores are kept below MODWRIGHT_HOME.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from common import PACKAGES, RESULTS, Book, data_file, identity_of, rounded, silent, working_folder
from modwright.evaluation.bias import BiasMetric, Identity, LabelBias, evaluate_bias
from modwright.evaluation.rates import Rate
from modwright.evaluation.resampling import Interval
from modwright.evaluation.scored import ScoredSplit, scored_split
from modwright.evaluation.slices import differences, evaluate_slices
from modwright.evaluation.slicing import by_length
from modwright.evaluation.terms import mentions, read_terms
from modwright.evaluation.thresholds import OperatingPoint, choose_thresholds
from modwright.pipeline.bases import open_bases
from modwright.recipe import FrozenRecipe, load_recipe
from modwright.schema import BoolArray, FloatArray, IntArray, Schema, Target, TargetKind, text_input
from modwright.settings import load_settings
from modwright.training.events import follow
from modwright.training.frozen import fit
from modwright.training.rows import TrainingRows

LABELS = {"toxic": "toxicity", "insult": "insult", "identity_attack": "identity_attack"}
TARGET = Target.create("moderation", TargetKind.MULTI_LABEL, tuple(LABELS))
SCHEMA = Schema((TARGET,))
TERMS = "identities-en"
#: Windows of one length, so that splits share their embeddings, and the head that is fitted soonest.
RECIPE = ("window.min_tokens=128", "window.max_tokens=128", 'head.kinds=["linear"]')
PLANTED, PLANTED_IN = ("female", "muslim"), "insult"
SEED = 5
CHUNK = 500
#: Identities drawn at random for each split.
DRAWN = 20


def main() -> None:
    """Train and judge every model on every split and print a table."""
    arguments = _arguments()
    recipe = load_recipe("fast", [*RECIPE, *arguments.overrides])
    assert isinstance(recipe, FrozenRecipe)
    ground = Ground.read()
    book = Book(RESULTS / "bias.json", PACKAGES)
    sizes = (arguments.train, arguments.test)
    identity = identity_of(recipe, *sizes, arguments.resamples)
    pool = np.random.default_rng([SEED, 0]).permutation(len(ground.rows.inputs))[: sum(sizes)]
    names: dict[str, list[str]] = {model: [] for model in _MODELS}
    for number in range(arguments.splits):
        order = pool if number == 0 else np.random.default_rng([SEED, number]).permutation(pool)
        split = Split(number, order[: sizes[0]], order[sizes[0] :])
        for model in _MODELS:
            names[model].append(f"{model}, split {number}")
            work = partial(run, ground, model, recipe, split, arguments.resamples)
            book.run(names[model][-1], identity, work)
        book.write(
            labels=LABELS,
            rows={"train": sizes[0], "test": sizes[1]},
            planted={"identities": PLANTED, "label": PLANTED_IN},
            summary={model: summary([book.runs[name] for name in names[model]]) for model in _MODELS},
        )
    _print(book.data["summary"])


@dataclass(frozen=True)
class Split:
    """Places of the rows to train and to test on."""

    number: int
    train: IntArray
    test: IntArray


@dataclass(frozen=True)
class Ground:
    """All rows, and which mention whom.

    Attributes:
        mentioned: identity to (N,).
    """

    rows: TrainingRows
    mentioned: Mapping[str, BoolArray]

    @classmethod
    def read(cls) -> Ground:
        """Read the comments."""
        with data_file("civil_comments/scores.csv").open(encoding="utf-8", newline="") as stream:
            lines = list(csv.DictReader(stream))
        texts = [line["text"] for line in lines]
        values = np.array([[float(line[column]) for column in LABELS.values()] for line in lines])
        rows = TrainingRows(
            [text_input(text) for text in texts], {TARGET.name: values}, np.ones(len(texts)), texts
        )
        return cls(rows, mentions(texts, read_terms(TERMS)))

    def biased(self, train: IntArray) -> IntArray:
        """Return the training rows without the harmless ones that mention the planted identities."""
        harmless = self.rows.labels[TARGET.name][:, TARGET.index(PLANTED_IN)] <= SCHEMA.positive_above
        hit = np.any([self.mentioned[name] for name in PLANTED], axis=0)
        return train[~(harmless & hit)[train]]


def run(ground: Ground, model: str, recipe: FrozenRecipe, division: Split, resamples: int) -> dict[str, Any]:
    """Train one model on one split and judge it by every identity."""
    of, planted = _MODELS[model]
    number, test = division.number, division.test
    chosen = ground.biased(division.train) if planted else division.train
    split = _scored(ground, f"{model}-{number}", of, recipe, ground.rows.take(chosen), test)
    identities = [Identity.of_mentions(name, rows[test]) for name, rows in ground.mentioned.items()]
    rng = np.random.default_rng([SEED, number])
    drawn = [
        Identity.of_mentions(f"drawn {place}", rng.permutation(ground.mentioned[name][test]))
        for place, name in zip(range(DRAWN), _frequent(ground.mentioned), strict=False)
    ]
    found = evaluate_bias(split, identities, resamples=resamples)
    fair = evaluate_bias(split, drawn, resamples=min(resamples, 200))
    slices = evaluate_slices(split, [by_length(split.texts)], resamples=resamples)
    clear, made = differences(slices)
    return {
        "training_rows": len(chosen),
        "labels": {one.label: _label(one) for one in found},
        "drawn_at_random": _clearness(fair),
        "listed": _clearness(found),
        "by_length": {
            "parts": {
                part.part: {
                    str(name): rounded(part.metrics[name].value)
                    for name in (Rate.RECALL, Rate.FALSE_POSITIVE, "roc_auc")
                }
                for part in slices[0].parts[PLANTED_IN]
            },
            "clear": len(clear),
            "compared": made,
        },
    }


def _frequent(mentioned: Mapping[str, BoolArray]) -> list[str]:
    return sorted(mentioned, key=lambda name: -int(mentioned[name].sum()))


def _scored(
    ground: Ground, name: str, of: Any, recipe: FrozenRecipe, train: TrainingRows, test: IntArray
) -> ScoredSplit:
    """Return the test rows as a model trained on others scores them; scores and thresholds are kept for a rerun."""
    rows = ground.rows.take(test)
    path = (
        working_folder("bias")
        / f"{name.replace(' ', '-')}-{identity_of(recipe, len(train.inputs), len(test))}.npz"
    )
    if not path.is_file():
        scores, point = of(recipe, train, rows)
        np.savez(
            path, scores=scores, thresholds=[point.thresholds[TARGET.name][label] for label in TARGET.labels]
        )
    kept = np.load(path)
    thresholds = dict(zip(TARGET.labels, kept["thresholds"].tolist(), strict=True))
    point = OperatingPoint("default", "best F1 out of fold", {TARGET.name: thresholds})
    scores = {TARGET.name: kept["scores"]}
    return scored_split("test", SCHEMA, rows.inputs, rows.labels, scores, point, groups=rows.groups)


def _fast(recipe: FrozenRecipe, train: TrainingRows, test: TrainingRows) -> tuple[FloatArray, OperatingPoint]:
    opened = open_bases(recipe, load_settings(), on_event=silent)
    caches = [one.cache for one in opened]
    fitted = follow(fit(recipe, SCHEMA, train, [one.base for one in opened], caches=caches), silent)
    classifier: Any = fitted.classifier
    parts = [
        classifier.score_features(
            classifier.featuriser(test.inputs[start : start + CHUNK], caches=caches)
        ).values
        for start in range(0, len(test.inputs), CHUNK)  # what is embedded is kept after each
    ]
    raw = np.concatenate([part[TARGET.name] for part in parts])
    return fitted.calibration[TARGET.name].apply(raw), fitted.operating_point


def _tfidf(
    recipe: FrozenRecipe, train: TrainingRows, test: TrainingRows
) -> tuple[FloatArray, OperatingPoint]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline

    texts, others = ([value[-1].content for value in rows.inputs] for rows in (train, test))
    truth = train.labels[TARGET.name] > SCHEMA.positive_above
    scores, unseen = np.zeros((len(others), len(LABELS))), np.zeros(truth.shape)
    for place in range(len(LABELS)):
        model = make_pipeline(
            TfidfVectorizer(min_df=2, sublinear_tf=True), LogisticRegression(C=4.0, max_iter=1000)
        )
        unseen[:, place] = cross_val_predict(model, texts, truth[:, place], cv=5, method="predict_proba")[
            :, 1
        ]
        scores[:, place] = model.fit(texts, truth[:, place]).predict_proba(others)[:, 1]
    return scores, choose_thresholds(SCHEMA, {TARGET.name: unseen}, train.labels)


_MODELS: dict[str, tuple[Any, bool]] = {
    "fast": (_fast, False),
    "fast, planted": (_fast, True),
    "tfidf": (_tfidf, False),
    "tfidf, planted": (_tfidf, True),
}


def _label(found: LabelBias) -> dict[str, Any]:
    return {
        "overall_auc": _interval(found.overall),
        **{str(metric): _interval(found.means[metric]) for metric in BiasMetric},
        "score": _interval(found.score),
        "identities": {
            one.identity: {
                "rows": one.rows,
                "positives": one.positives,
                **{str(metric): rounded(one.metrics[metric].value) for metric in BiasMetric},
                "false_alarm_gap": rounded(one.gaps[Rate.FALSE_POSITIVE].value),
                "clear": one.is_clear(Rate.FALSE_POSITIVE),
            }
            for one in found.ranking
        },
    }


def _clearness(found: Sequence[LabelBias]) -> dict[str, int]:
    """Return how many rates of ranked identities were compared with those of other rows, and how many differ clearly."""
    sides = [one for label in found for one in label.ranking]
    judged = [one.is_clear(rate) for one in sides for rate in (Rate.FALSE_POSITIVE, Rate.RECALL)]
    return {"compared": len(judged), "clear": sum(judged)}


def _interval(found: Interval) -> list[float | None]:
    return [rounded(found.value), rounded(found.low), rounded(found.high)]


def summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return means over splits: final scores per label, what was planted, and how often chance was called clear."""
    labels = {
        label: {
            name: _mean([run["labels"][label][name][0] for run in runs])
            for name in ("overall_auc", *map(str, BiasMetric), "score")
        }
        for label in LABELS
    }
    planted = {
        group: {
            figure: _mean(
                [
                    one[figure]
                    for run in runs
                    for name, one in run["labels"][PLANTED_IN]["identities"].items()
                    if (name in PLANTED) == (group == "planted")
                ]
            )
            for figure in ("bpsn_auc", "bnsp_auc", "subgroup_auc", "false_alarm_gap")
        }
        for group in ("planted", "others")
    }
    clear = {
        which: {word: sum(run[which][word] for run in runs) for word in ("clear", "compared")}
        for which in ("listed", "drawn_at_random")
    }
    return {"splits": len(runs), "labels": labels, PLANTED_IN: planted, **clear}


def _mean(values: Sequence[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return rounded(np.mean(found)) if found else None


def _print(found: Mapping[str, Any]) -> None:
    for model, one in found.items():
        print(f"\n{model}, mean over {one['splits']} splits")
        for label, figures in one["labels"].items():
            print(f"  {label:16}" + "  ".join(f"{name} {value}" for name, value in figures.items()))
        for group, figures in one[PLANTED_IN].items():
            print(
                f"  {PLANTED_IN}, {group:8}" + "  ".join(f"{name} {value}" for name, value in figures.items())
            )
        for which in ("listed", "drawn_at_random"):
            print(
                f"  {which}: {one[which]['clear']} of {one[which]['compared']} rates differ clearly from other rows'"
            )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--test", type=int, default=4500)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--set", nargs="+", default=[], dest="overrides", metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
