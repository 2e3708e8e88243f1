"""What disguises do to a model: the same rows as they are and perturbed, label by label, on the same resamples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from modwright.evaluation.binary import Metric, weighted_sum
from modwright.evaluation.measuring import Bootstrapped, Statistics
from modwright.evaluation.perturbations import Perturbation
from modwright.evaluation.rates import FlagRates, Rate, Separation, Together, gap
from modwright.evaluation.resampling import Interval, Resampler
from modwright.evaluation.results import MIN_EVIDENCE
from modwright.evaluation.samples import decision_of, samples_of
from modwright.evaluation.scored import ScoredSplit, Scorer, scored_split
from modwright.evaluation.slices import DECISION
from modwright.schema import BoolArray, FloatArray, IntArray

#: At most so many rows of a split are perturbed: each perturbation scores all of them again.
MOST_ROWS = 1000

#: Told how many of how many perturbations are done.
Progress = Callable[[int, int], None]
#: (perturbation or "" as they are, target, label)
_Key = tuple[str, str, str]
_AS_THEY_ARE = ""


class MeanScore(StrEnum):
    """The mean score of a label, for which no threshold counts."""

    POSITIVES = "score_of_positives"
    NEGATIVES = "score_of_negatives"


class MeanScores:
    """The mean score (n,) of the rows a label holds for, and of the others."""

    def __init__(self, scores: FloatArray, positives: BoolArray) -> None:
        self._scores = scores
        self._positives = positives

    def at(self) -> dict[str, float]:
        """Return both; NaN where there are no such rows."""
        values = self.resampled(np.ones((1, len(self._scores))))
        return {name: float(value[0]) for name, value in values.items()}

    def resampled(self, counts: FloatArray) -> dict[str, FloatArray]:
        """Return both, (R,), for bootstrap counts (R, n)."""
        sides = {MeanScore.POSITIVES: self._positives, MeanScore.NEGATIVES: ~self._positives}
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                name: weighted_sum(counts, self._scores * side) / weighted_sum(counts, side)
                for name, side in sides.items()
            }


@dataclass(frozen=True, slots=True)
class Effect:
    """What one perturbation does to one label, or to the decision whether any is flagged.

    Attributes:
        label: its name, or `slices.DECISION`.
        positives, negatives: known rows.
        changed: known rows whose text is another one.
        before, after: recall and false-positive rate at the operating point, ROC-AUC and mean scores, as they are and
            perturbed; of the decision the two rates alone.
        change: after less before, on the same resamples.
    """

    perturbation: str
    target: str
    label: str
    positives: int
    negatives: int
    changed: int
    before: Mapping[str, Interval]
    after: Mapping[str, Interval]
    change: Mapping[str, Interval]

    @property
    def enough(self) -> bool:
        """Return whether there are enough positives and negatives to judge by."""
        return min(self.positives, self.negatives) >= MIN_EVIDENCE

    def to_json(self) -> dict[str, Any]:
        """Return everything but the names of perturbation, target and label."""
        return {
            "positives": self.positives,
            "negatives": self.negatives,
            "changed": self.changed,
            "enough": self.enough,
            "before": {str(name): value.to_json() for name, value in self.before.items()},
            "after": {str(name): value.to_json() for name, value in self.after.items()},
            "change": {str(name): value.to_json() for name, value in self.change.items()},
        }


@dataclass(frozen=True, slots=True)
class Robustness:
    """What perturbations do to a model on one split.

    Attributes:
        rows, of: rows that were perturbed, and rows of the split.
        effects: perturbation by perturbation, target by target, the decision before the labels.
    """

    rows: int
    of: int
    effects: tuple[Effect, ...]


def measure_robustness(
    split: ScoredSplit,
    scorer: Scorer,
    perturbations: Sequence[Perturbation],
    *,
    resamples: int,
    seed: int,
    most_rows: int = MOST_ROWS,
    progress: Progress | None = None,
) -> Robustness:
    """Score rows with perturbed last turns and compare with how they scored as they are.

    Args:
        split: as it was scored by the same model, at the operating point that is measured.
        scorer: of the model, calibrated.
        resamples: bootstrap resamples, drawn by group; 0 for values without intervals.
        seed: of perturbations, resamples and of which rows are taken.
        most_rows: more are thinned out at random.
        progress: told after each perturbation.
    """
    taken = thinned(split, most_rows, seed)
    bench: dict[_Key, Bootstrapped[Statistics]] = dict(_statistics(taken, _AS_THEY_ARE))
    changed: dict[str, BoolArray] = {}
    for number, perturbation in enumerate(perturbations, start=1):
        rescored, changed[perturbation.name] = _perturbed(taken, scorer, perturbation, seed)
        bench |= _statistics(rescored, perturbation.name)
        if progress is not None:
            progress(number, len(perturbations))
    resampler = Resampler(len(taken), list(taken.groups), resamples, seed)
    for counts in resampler.counts():
        for statistics in bench.values():
            statistics.take(counts)
    positives = _positives(taken)
    effects = tuple(
        _effect(key, bench, positives[key[1:]], changed[key[0]]) for key in bench if key[0] != _AS_THEY_ARE
    )
    return Robustness(len(taken), len(split), effects)


def thinned(split: ScoredSplit, most_rows: int, seed: int) -> ScoredSplit:
    """Return a split of at most so many rows, drawn at random and in their order."""
    if len(split) <= most_rows:
        return split
    drawn = np.random.default_rng(seed).choice(len(split), size=most_rows, replace=False)
    rows: IntArray = np.sort(drawn).astype(np.int64)
    return scored_split(
        split.name,
        split.schema,
        [split.inputs[row] for row in rows],
        {name: values[rows] for name, values in split.labels.items()},
        {name: values[rows] for name, values in split.scores.items()},
        split.point,
        weights=split.weights[rows],
        groups=[split.groups[row] for row in rows],
        ids=[split.ids[row] for row in rows],
    )


def _perturbed(
    split: ScoredSplit, scorer: Scorer, perturbation: Perturbation, seed: int
) -> tuple[ScoredSplit, BoolArray]:
    """Return the split as its perturbed last turns score, and which rows (N,) are other texts."""
    inputs, rows = [], []
    for row, value in enumerate(split.inputs):
        text = perturbation(value[-1].content, seed)
        if text != value[-1].content:
            rows.append(row)
            inputs.append((*value[:-1], replace(value[-1], content=text)))
    changed = np.zeros(len(split), dtype=np.bool_)
    changed[rows] = True
    scores = {name: values.copy() for name, values in split.scores.items()}
    if inputs:
        for name, values in scorer(inputs).items():
            scores[name][rows] = values
    return split.rescored(scores), changed


def _statistics(split: ScoredSplit, perturbation: str) -> dict[_Key, Bootstrapped[Statistics]]:
    """Return what is measured of each label, and of the decision where it asks more than one label by itself."""
    found: dict[_Key, Bootstrapped[Statistics]] = {}
    for target in split.schema:
        if target.asks_for_flag and len(target.flaggable) > 1:
            decision = decision_of(split, target)
            known = decision.known
            rates = FlagRates(decision.flagged[known], decision.positives[known]) if known.any() else None
            found[perturbation, target.name, DECISION] = Bootstrapped(known, rates)
        for label, rows in samples_of(split, target).items():
            if label in target.negative_labels:
                continue
            sample, statistics = rows.sample, None
            if sample is not None:
                statistics = Together(
                    FlagRates(sample.flagged, sample.positives),
                    Separation(sample.scores, sample.positives),
                    MeanScores(sample.scores, sample.positives),
                )
            found[perturbation, target.name, label] = Bootstrapped(rows.known, statistics)
    return found


def _positives(split: ScoredSplit) -> dict[tuple[str, str], BoolArray]:
    """Return which rows (N,) are known positives, by target and label or decision."""
    found: dict[tuple[str, str], BoolArray] = {}
    for target in split.schema:
        decision = decision_of(split, target)
        found[target.name, DECISION] = decision.known & decision.positives
        for label in target.flaggable:
            found[target.name, label] = split.positives(target.name, label)[1]
    return found


def _effect(
    key: _Key, bench: Mapping[_Key, Bootstrapped[Statistics]], positives: BoolArray, changed: BoolArray
) -> Effect:
    perturbation, target, label = key
    after, before = bench[key], bench[_AS_THEY_ARE, target, label]
    names: tuple[str, ...] = (Rate.RECALL, Rate.FALSE_POSITIVE)
    if label != DECISION:
        names = (*names, Metric.ROC_AUC, *MeanScore)
    return Effect(
        perturbation=perturbation,
        target=target,
        label=label,
        positives=int(positives.sum()),
        negatives=int(after.known.sum() - positives.sum()),
        changed=int((changed & after.known).sum()),
        before={name: before.interval(name) for name in names},
        after={name: after.interval(name) for name in names},
        change={name: gap(after, before, name) for name in names},
    )
