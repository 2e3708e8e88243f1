"""Heads to begin with: a logistic regression on the untrained encoder's pooled features.

A fine-tuned encoder whose heads begin so needs fewer epochs and forgets less of what its base knew (Kumar et al. 2022,
"Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from modwright.models.heads import HeadKind
from modwright.models.windows import SingleLabelRule
from modwright.schema import BoolArray, Float32Array, FloatArray, TargetKind
from modwright.training.basis import Basis, make_basis
from modwright.training.documents import Documents
from modwright.training.solver import SELECTION_TOLERANCE, Fits, Solution, solve
from modwright.training.window_cells import Cells

_MOST_STEPS = 300


@dataclass(frozen=True, slots=True)
class Probe:
    """Fitted heads of all targets, side by side.

    Attributes:
        weights: (D, sum of L).
        bias: (sum of L,).
        weight: per target the cells' weights (W, L); those of documents of several windows as the probe left them.
    """

    weights: FloatArray
    bias: FloatArray
    weight: list[FloatArray]


def fit_probe(
    features: Float32Array,
    cells: Sequence[Cells],
    documents: Documents,
    *,
    c: float,
    rounds: int,
    rule: SingleLabelRule,
    fitted: BoolArray | None = None,
) -> Probe:
    """Fit every target on features (W, D), one row per window.

    Args:
        features: pooled.
        cells: per target.
        documents: and their windows.
        c: inverse strength of regularisation.
        rounds: the first on all windows; in each further one a positive document counts where it scored highest.
        rule: how windows of a single-label target are combined.
        fitted: (W,) the windows that are fitted on; None is all. Those of long documents are scored as well.
    """
    if fitted is not None:
        cells = [replace(one, factor=one.factor * fitted[:, None]) for one in cells]
    factor = np.max([one.factor.max(axis=1, initial=0.0) for one in cells], axis=0)
    # A window may weigh as much as its document and its class: the solver's bound needs the most of that.
    basis = make_basis(features, documents.row_weights * factor, features[:0], HeadKind.LINEAR, 0.0)
    weights, biases, found = [], [], []
    for one in cells:
        solution: Solution | None = None
        for number in range(rounds if documents.has_long else 1):
            if solution is not None and number:
                one = one.focused(documents, solution.logits(basis.rows), rule)
            solution = _fit(basis, one, c, solution)
        assert solution is not None
        head = basis.head(solution.theta, solution.bias)
        weights.append(head.weights)
        biases.append(head.bias)
        found.append(one.weight)
    return Probe(np.concatenate(weights, axis=1), np.concatenate(biases), found)


def _fit(basis: Basis, cells: Cells, c: float, start: Solution | None) -> Solution:
    kind = TargetKind.SINGLE_LABEL if cells.categorical else TargetKind.MULTI_LABEL
    labels = len(cells.target.labels)
    fits = Fits(kind, labels, cells.truth, cells.weight * cells.factor, np.full(labels, c))
    for number, solution in enumerate(solve(basis, fits, start, tolerance=SELECTION_TOLERANCE), start=1):
        if solution.settled or number == _MOST_STEPS:
            return solution
    raise AssertionError("the solver yields for as long as it is asked")
