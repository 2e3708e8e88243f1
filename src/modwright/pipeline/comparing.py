"""`evaluate --against`: the model and another one on the same rows, in quality, in speed, and where they disagree."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modwright.data.dataset import Dataset
from modwright.data.options import TRAIN
from modwright.errors import ModwrightError
from modwright.evaluation.comparison import Comparison, Judged
from modwright.evaluation.disagreement import Disagreement, disagreements
from modwright.evaluation.paired import compare
from modwright.evaluation.scored import ScoredSplit
from modwright.evaluation.sections import Section
from modwright.pipeline.against.answers import Answers, Other, Speed, everything
from modwright.pipeline.against.specs import AgainstOptions, check_other, open_other
from modwright.pipeline.comparing_section import comparison_section, no_answers, overview_section
from modwright.pipeline.proof import Finding, Measurement, Proof
from modwright.pipeline.rows import aligned_rows, training_split
from modwright.schema import Input, IntArray, Schema
from modwright.serving.engine import Engine
from modwright.settings import Settings
from modwright.training.rows import TrainingRows

KEY = "comparison"
#: Texts on which two local models are timed in turns, at most; how many of them a turn has; the seconds that are enough.
_TIMED, _TURN, _ENOUGH_S = 512, 32, 20.0


@dataclass(frozen=True, slots=True)
class Compared:
    """What came out of one split against one other model.

    Attributes:
        rows: places in the split that both were judged on.
        speed: the model's and the other's.
    """

    split: ScoredSplit
    other: Other
    rows: IntArray
    comparison: Comparison
    answers: Answers
    disagreements: Sequence[Disagreement]
    speed: tuple[Speed, Speed]

    def to_json(self) -> dict[str, Any]:
        """Return all figures; of the rows on which both disagree, the ids and no text."""
        ids = [str(self.split.ids[row]) for row in self.rows]
        return {
            **self.comparison.to_json(),
            "other_is": self.other.what,
            "failures": self.answers.counted,
            "speed": {
                side: {"texts": speed.texts, "seconds": speed.seconds, "texts_per_s": speed.texts_per_s}
                for side, speed in zip(("one", "other"), self.speed, strict=True)
            }
            | {"in_turns": self.speed[1].in_turns},
            "disagreements": [
                {
                    "id": ids[found.row],
                    "target": found.target,
                    "label": found.label,
                    "scores": list(found.scores),
                    "flags": list(found.flags),
                    "truth": found.truth,
                }
                for found in self.disagreements
            ],
        }


@dataclass(frozen=True, slots=True)
class Against:
    """The measurement that compares a proven model with others.

    Attributes:
        specs: each as `against.specs.open_other` takes it; baselines are fitted on the dataset's training split.
    """

    specs: tuple[str, ...]
    settings: Settings
    options: AgainstOptions

    def check(self, dataset: Dataset, splits: Sequence[str]) -> None:
        """Raise as `against.specs.check_other` does, for all of them, before any work is done for one."""
        for spec in self.specs:
            check_other(spec, dataset.schema, self.options, has_training=TRAIN in dataset.splits)

    def __call__(self, proof: Proof) -> Finding:
        """Open all, then ask one after the other: a word that stands for nothing costs no answers of another."""
        schema, training = proof.engine.schema, _training(proof.dataset, proof.engine.schema)
        with contextlib.ExitStack() as held:
            others: list[Other] = []
            for spec in self.specs:
                other = open_other(spec, schema, self.settings, self.options, training)
                held.callback(other.close)
                other.name = _free(other.name, {_name(proof), *(known.name for known in others)})
                others.append(other)
            return _finding(proof, others, self.options.most_rows)


def against(specs: Sequence[str], settings: Settings, options: AgainstOptions | None = None) -> Measurement:
    """Return the measurement that compares a proven model with others, each named once; see `Against`."""
    return Against(tuple(dict.fromkeys(specs)), settings, options or AgainstOptions())


def _finding(proof: Proof, others: Sequence[Other], most_rows: int | None) -> Finding:
    """Compare with each; one that cannot be asked to the end leaves the figures of all others as they are."""
    figures: dict[str, Any] = {}
    compared: list[list[Compared]] = []
    sections: list[Section] = []
    notes: list[str] = []
    failures: list[ModwrightError] = []
    for place, other in enumerate(others, start=1):
        found, failed = _on_splits(proof, other, most_rows)
        compared.append(found)
        figures[other.name] = {item.split.name: item.to_json() for item in found}
        told = [f"{other.name} {note}" for note in no_answers(found)]
        if failed is not None:
            split, error = failed
            failures.append(error)
            figures[other.name][split] = {"error": {"code": error.code, "message": str(error)}}
            told.append(f"{other.name} was not compared on {split}: {' '.join(str(error).split())}")
        sections.append(comparison_section(f"against-{place}", _name(proof), other, found, told))
        notes += [*other.notes, *told]
    overview = [overview_section(_name(proof), compared)] if any(compared) else []
    return Finding(KEY, figures, [*overview, *sections], notes, failures)


def _on_splits(
    proof: Proof, other: Other, most_rows: int | None
) -> tuple[list[Compared], tuple[str, ModwrightError] | None]:
    """Return what came out of each split, up to the first that could not be compared, and why it could not."""
    found: list[Compared] = []
    for split in proof.splits.values():
        try:
            found.append(_compared(proof, split, other, most_rows))
        except ModwrightError as error:
            return found, (split.name, error)
    return found, None


def _free(name: str, taken: set[str]) -> str:
    """Return a name that is not taken."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free


def _name(proof: Proof) -> str:
    return proof.folder.name or proof.folder.resolve().name


def _training(dataset: Dataset, schema: Schema) -> Callable[[], TrainingRows] | None:
    if TRAIN not in dataset.splits:
        return None
    return lambda: aligned_rows(dataset.split(training_split(dataset)), dataset.schema, schema).rows


def _compared(proof: Proof, split: ScoredSplit, other: Other, most_rows: int | None) -> Compared:
    rows = _rows(len(split), most_rows if other.remote else None, proof.seed)
    inputs = [split.inputs[row] for row in rows]
    begun = time.perf_counter()
    answers = other.answer(inputs, _told(proof, split, other))
    seconds = time.perf_counter() - begun
    one, judged = _own(proof, split, rows), answers.judged(other.name)
    labels = {name: values[rows] for name, values in split.labels.items()}
    comparison = compare(
        split.schema,
        labels,
        one,
        judged,
        groups=[split.groups[row] for row in rows],
        resamples=proof.resamples,
        seed=proof.seed,
    )
    timed = Speed(len(inputs), seconds, in_turns=False)
    return Compared(
        split=split,
        other=other,
        rows=rows,
        comparison=comparison,
        answers=answers,
        disagreements=disagreements(split.schema, labels, one, judged),
        speed=_speed(proof.engine, other, inputs, timed),
    )


def _told(proof: Proof, split: ScoredSplit, other: Other) -> Callable[[int, int], None] | None:
    progress = proof.progress
    return (
        None if progress is None else lambda done, total: progress(f"{other.name}, {split.name}", done, total)
    )


def _rows(number: int, most: int | None, seed: int) -> IntArray:
    """Return the places of the rows that are compared, all or so many drawn at random, in order."""
    if most is None or most >= number:
        return np.arange(number)
    return np.sort(np.random.default_rng(seed).choice(number, most, replace=False))


def _own(proof: Proof, split: ScoredSplit, rows: IntArray) -> Judged:
    return Judged(
        _name(proof),
        {name: values[rows] for name, values in split.flagged.items()},
        {name: values[rows] for name, values in split.scores.items()},
        everything(split.schema),
        np.zeros(len(rows), dtype=np.bool_),
    )


def _speed(engine: Engine, other: Other, inputs: Sequence[Input], asked: Speed) -> tuple[Speed, Speed]:
    """Time both on the same texts, in turns; one over HTTP has been timed while it was asked for all."""
    some = [inputs[place] for place in np.linspace(0, len(inputs) - 1, min(len(inputs), _TIMED)).astype(int)]
    taken = {"one": 0.0, "other": 0.0}
    work: dict[str, Callable[[Sequence[Input]], Any]] = {"one": engine.calibrated}
    if not other.remote:
        work["other"] = other.answer
    for ask in work.values():  # what is made ready at the first call is not a text's time
        ask(some[:1])
    texts = 0
    while texts < len(some) and sum(taken.values()) < _ENOUGH_S:
        part = some[texts : texts + _TURN]
        for side in sorted(work, reverse=bool(texts // _TURN % 2)):
            begun = time.perf_counter()
            work[side](part)
            taken[side] += time.perf_counter() - begun
        texts += len(part)
    own = Speed(texts, taken["one"], in_turns=not other.remote)
    return own, asked if other.remote else Speed(texts, taken["other"], in_turns=True)
