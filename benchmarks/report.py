"""What the report costs beside the scoring, and how large it is: at 1,000, 10,000 and 100,000 rows, and with 60 labels.

    python benchmarks/report.py [--train 1000] [--scored 300] [--resamples 1000] [--rows 1000 10000 100000]

A `fast` model is trained on comments of civil_comments and scores others; its seconds per row are the measure. Rows of the
larger sets are drawn from the scored ones with repetition, their scores shifted by a little noise each, so that there are
as many thresholds as rows. Sixty labels are the scored ones' columns over again. Times are of the processor, so that other
work beside it does not count. Figures go to benchmarks/results/report.json, each run when it is done; a rerun skips what
stands there.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from common import PACKAGES, RESULTS, Book, data_file, identity_of, silent
from modwright.evaluation.explorer import explorers
from modwright.evaluation.metrics import evaluate_split
from modwright.evaluation.report import Report, report_html
from modwright.evaluation.report_forms import report_json, report_markdown
from modwright.evaluation.scored import ScoredSplit, scored_split
from modwright.evaluation.thresholds import choose_thresholds
from modwright.evaluation.worst import worst_errors
from modwright.pipeline.evaluate import score
from modwright.pipeline.fitting import fit_rows
from modwright.recipe import Recipe, load_recipe
from modwright.schema import FloatArray, Input, Schema, Target, TargetKind, text_input
from modwright.settings import load_settings
from modwright.training.rows import TrainingRows

LABELS = {"toxic": "toxicity", "insult": "insult", "obscene": "obscene", "identity_attack": "identity_attack"}
SCHEMA = Schema((Target.create("moderation", TargetKind.MULTI_LABEL, tuple(LABELS)),))
MANY = Schema((Target.create("moderation", TargetKind.MULTI_LABEL, tuple(f"label {n}" for n in range(60))),))
RECIPE = ("window.min_tokens=128", "window.max_tokens=128", 'head.kinds=["linear"]')
SEED = 7
NOISE = 0.01
MEGABYTE = 1_000_000


def main() -> None:
    """Score, make reports of several sizes, and print a line each."""
    arguments = _arguments()
    recipe = load_recipe("fast", list(RECIPE))
    book = Book(RESULTS / "report.json", PACKAGES)
    identity = identity_of(recipe, arguments.train, arguments.scored, arguments.resamples)
    sample = Sample(recipe, arguments.train, arguments.scored)
    scoring = book.run("scoring", identity, sample.cost)
    for rows in arguments.rows:
        book.run(
            f"{rows} rows",
            identity,
            lambda: _cost(_drawn(sample.split, rows), arguments.resamples, scoring),  # noqa: B023
        )
    book.run("60 labels", identity, lambda: _cost(_widened(_drawn(sample.split, 20_000)), 0, scoring))


class Sample:
    """Comments that a model has scored, and how long it took; made when first asked for."""

    def __init__(self, recipe: Recipe, train: int, wanted: int) -> None:
        self._recipe, self._train, self._wanted = recipe, train, wanted
        self._made: tuple[ScoredSplit, float] | None = None

    @property
    def split(self) -> ScoredSplit:
        """Return the scored comments."""
        return self._scored()[0]

    def cost(self) -> dict[str, Any]:
        """Return what scoring costs."""
        score_s = self._scored()[1]
        return {
            "rows": self._wanted,
            "score_s": round(score_s, 2),
            "score_s_per_1000": 1000 * score_s / self._wanted,
        }

    def _scored(self) -> tuple[ScoredSplit, float]:
        if self._made is None:
            self._made = _scored(self._recipe, self._train, self._wanted)
        return self._made


def _scored(recipe: Recipe, train: int, wanted: int) -> tuple[ScoredSplit, float]:
    with data_file("civil_comments/scores.csv").open(encoding="utf-8") as stream:
        found = list(csv.DictReader(stream))
    order = np.random.default_rng(SEED).permutation(len(found))[: train + wanted]
    texts = [text_input(found[place]["text"]) for place in order]
    labels = np.array([[float(found[place][column]) for column in LABELS.values()] for place in order])
    trained = fit_rows(recipe, SCHEMA, _rows(texts[:train], labels[:train]), load_settings(), on_event=silent)
    begun = time.process_time()
    scores = score(trained.engine, texts[train:])
    score_s = time.process_time() - begun
    return _split(SCHEMA, texts[train:], labels[train:], scores["moderation"]), score_s


def _rows(texts: list[Input], labels: FloatArray) -> TrainingRows:
    groups = [str(place) for place in range(len(texts))]
    return TrainingRows(texts, {"moderation": labels}, np.ones(len(texts)), groups)


def _split(schema: Schema, texts: list[Input], labels: FloatArray, scores: FloatArray) -> ScoredSplit:
    values, told = {"moderation": scores}, {"moderation": labels}
    part = {"moderation": scores[:2000]}, {"moderation": labels[:2000]}
    return scored_split("test", schema, texts, told, values, choose_thresholds(schema, *part))


def _drawn(split: ScoredSplit, rows: int) -> ScoredSplit:
    rng = np.random.default_rng(rows)
    places = rng.integers(0, len(split), rows)
    scores = split.scores["moderation"][places]
    shifted = np.clip(scores + NOISE * rng.normal(size=scores.shape), 1e-6, 1 - 1e-6)
    return _split(
        split.schema, [split.inputs[place] for place in places], split.labels["moderation"][places], shifted
    )


def _widened(split: ScoredSplit) -> ScoredSplit:
    columns = np.arange(len(MANY.targets[0].labels)) % len(LABELS)
    labels, scores = (part["moderation"][:, columns] for part in (split.labels, split.scores))
    return _split(MANY, list(split.inputs), labels, scores)


def _cost(split: ScoredSplit, resamples: int, scoring: Mapping[str, Any]) -> dict[str, Any]:
    begun = time.process_time()
    evaluation = evaluate_split(split.schema, split.scores, split.labels, split.flagged, resamples=resamples)
    measured = time.process_time()
    report = Report(
        title="civil comments",
        schema=split.schema,
        evaluations={"test": evaluation},
        point=split.point,
        points={"default": split.point},
        facts={"rows": len(split)},
        explorers=explorers(split, {"default": split.point.thresholds}),
        errors=worst_errors([split]),
    )
    forms = (report_html(report), json.dumps(report_json(report)), report_markdown(report))
    written = time.process_time()
    sizes = [len(form.encode()) / MEGABYTE for form in forms]
    score_s = len(split) * scoring["score_s_per_1000"] / 1000
    return {
        "rows": len(split),
        "resamples": resamples,
        "html_mb": round(sizes[0], 3),
        "json_mb": round(sizes[1], 3),
        "markdown_mb": round(sizes[2], 3),
        "score_s": round(score_s, 1),
        "metrics_s": round(measured - begun, 2),
        "report_s": round(written - measured, 2),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=int, default=1000)
    parser.add_argument("--scored", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 100_000])
    return parser.parse_args()


if __name__ == "__main__":
    main()
