"""Which head, how strongly regularised: compared on scores out of fold, on training rows alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from modwright.models.heads import HeadKind, probabilities
from modwright.models.windows import SingleLabelRule, combine
from modwright.schema import FloatArray, IntArray, Target, TargetKind
from modwright.training.basis import Basis
from modwright.training.documents import Documents, whole_rows
from modwright.training.solver import SELECTION_TOLERANCE, Fits, Solution, solve

#: Cells of the largest array that one round of joint fits may hold.
_MOST_CELLS = 20_000_000


@dataclass(frozen=True, slots=True)
class HeadChoice:
    """A kind of head, its strength of regularisation and kernel width, and what it scored out of fold."""

    kind: HeadKind
    c: float
    gamma: float
    log_loss: float


@dataclass(frozen=True, slots=True)
class Question:
    """One target's rows as every fit needs them.

    Attributes:
        target: what is asked.
        truth: (N, L), NaN unknown.
        fold: (N,) of the documents.
        documents: and their windows.
        rule: how the windows of a single-label target are combined.
        rounds: most rounds of a fit.
        most_steps: of the solver, over all rounds.
    """

    target: Target
    truth: FloatArray
    fold: IntArray
    documents: Documents
    rule: SingleLabelRule
    rounds: int
    most_steps: int

    @property
    def passes(self) -> int:
        """Return how many rounds make a difference: one where every document is a single window."""
        return self.rounds if self.documents.has_long else 1

    @property
    def steps_a_pass(self) -> int:
        """Return the most steps of one round: every round gets its share."""
        return max(1, self.most_steps // self.passes)


def out_of_fold(
    basis: Basis, question: Question, strengths: Sequence[float], *, tolerance: float = SELECTION_TOLERANCE
) -> Iterator[tuple[float, FloatArray]]:
    """Yield each strength C with probabilities (N, L), every document's by a fit that has not seen it."""
    folds = int(question.fold.max()) + 1
    columns = folds * len(question.target.labels)
    at_once = max(1, _MOST_CELLS // max(1, len(basis.rows) * columns))
    for begin in range(0, len(strengths), at_once):
        some = strengths[begin : begin + at_once]
        yield from zip(some, _held_out(basis, question, some, folds, tolerance), strict=True)


def _held_out(
    basis: Basis, question: Question, strengths: Sequence[float], folds: int, tolerance: float
) -> Iterator[FloatArray]:
    target, documents = question.target, question.documents
    size = len(target.labels)
    # Columns: fold, then strength, then label.
    left_out = question.fold[documents.owner]
    seen = np.concatenate(
        [np.repeat((left_out != fold)[:, None], len(strengths) * size, axis=1) for fold in range(folds)],
        axis=1,
    )
    c = np.tile(np.repeat(np.asarray(strengths, dtype=np.float64), size), folds)
    logits = fit(basis, question, seen, c, tolerance).logits(basis.rows)
    for number in range(len(strengths)):
        own = np.zeros((len(basis.rows), size))
        for fold in range(folds):
            begin = (fold * len(strengths) + number) * size
            rows = left_out == fold
            own[rows] = logits[rows, begin : begin + size]
        yield combine(target, probabilities(own, target.kind), documents.starts, question.rule)[0]


def fit(basis: Basis, question: Question, seen: FloatArray, c: FloatArray, tolerance: float) -> Solution:
    """Return the settled fits of Q problems; `seen` (W, Q * L) masks the rows of each, c is (Q * L,)."""
    solution: Solution | None = None
    for _ in range(question.passes):
        fits = fits_of_round(basis, question, seen, c, solution)
        steps = solve(basis, fits, solution, tolerance=tolerance)
        for number, latest in enumerate(steps, start=1):
            solution = latest
            if latest.settled or number == question.steps_a_pass:
                break
    assert solution is not None
    return solution


def fits_of_round(
    basis: Basis, question: Question, seen: FloatArray, c: FloatArray, before: Solution | None
) -> Fits:
    """Return the fits of a round: on all windows first, then on those that the round before scored top."""
    target, documents = question.target, question.documents
    truth, share = documents.spread(question.truth)
    times = len(c) // len(target.labels)
    truth, weight = np.tile(truth, times), np.tile(share, times) * seen
    if before is not None:
        weight = documents.focus(target, question.truth, weight, before.logits(basis.rows), question.rule)
    return Fits(target.kind, len(target.labels), truth, weight, c)


def document_log_loss(target: Target, scores: FloatArray, truth: FloatArray, weights: FloatArray) -> float:
    """Return the weighted mean log-loss of known cells (multi-label) or rows (single-label); 0 if none."""
    p = np.clip(scores, 1e-7, 1 - 1e-7)
    truth = whole_rows(target, truth)
    known = ~np.isnan(truth)
    y = np.where(known, truth, 0.0)
    if target.kind is TargetKind.MULTI_LABEL:
        loss = np.where(known, -(y * np.log(p) + (1 - y) * np.log(1 - p)), 0.0)
        weight = known * weights[:, None]
    else:
        loss = -(y * np.log(p)).sum(axis=1)
        weight = known.all(axis=1) * weights
    return float((loss * weight).sum() / max(float(weight.sum()), 1e-12))
