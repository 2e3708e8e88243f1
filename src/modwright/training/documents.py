"""Windows as training rows: each document's weight lies on the windows that made it what it is.

A document without a label is without it in every window. A document with a label owes it to at least one
window, and nobody said which: after a first fit on all windows, its weight goes to the one that scores
highest. For negative labels it is the other way round: what is harmless is so in every window. (mi-SVM, Andrews,
Tsochantaridis and Hofmann 2003, "Support vector machines for multiple-instance learning".)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modwright.models.windows import SingleLabelRule, signs_of
from modwright.schema import POSITIVE_ABOVE, BoolArray, FloatArray, IntArray, Target, TargetKind


@dataclass(frozen=True, slots=True)
class Documents:
    """N documents and their W windows.

    Attributes:
        starts: (N,) where each document's windows begin.
        owner: (W,) the document of each window.
        weights: (N,) of the documents.
    """

    starts: IntArray
    owner: IntArray
    weights: FloatArray

    @classmethod
    def of(cls, starts: IntArray, windows: int, weights: FloatArray) -> Documents:
        """Build from the features' starts and the number of windows in all."""
        counts = np.diff(np.append(starts, windows))
        return cls(starts, np.repeat(np.arange(len(starts)), counts), weights)

    @property
    def row_weights(self) -> FloatArray:
        """Return (W,) the most a window may weigh: its document's weight."""
        return self.weights[self.owner]

    @property
    def has_long(self) -> bool:
        """Return whether any document has several windows."""
        return len(self.owner) > len(self.starts)

    def spread(self, truth: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return truth (W, L), 0 where unknown, and weights (W, L): a document's, shared by its windows."""
        known = ~np.isnan(truth)
        counts = np.bincount(self.owner, minlength=len(self.starts))
        share = (self.weights / counts)[self.owner]
        return np.where(known, truth, 0.0)[self.owner], share[:, None] * known[self.owner]

    def focus(
        self, target: Target, truth: FloatArray, weight: FloatArray, logits: FloatArray, rule: SingleLabelRule
    ) -> FloatArray:
        """Return weights (W, Q * L) that lie on the highest-scoring window of each document with a label.

        Those of a document without a negative label lie on the window that scores lowest on it.

        Args:
            target: whose labels the columns repeat, fit after fit.
            truth: (N, L), NaN unknown.
            weight: (W, Q * L) as `spread`, masked per fit.
            logits: (W, Q * L) of the fits so far.
            rule: single-label targets are focused under "worst" only, and only where the label is not a
                negative one.
        """
        size = len(target.labels)
        times = logits.shape[1] // size
        held = np.nan_to_num(truth, nan=0.0) > POSITIVE_ABOVE  # (N, L)
        negative = signs_of(target) < 0
        if target.kind is TargetKind.SINGLE_LABEL:
            if rule is not SingleLabelRule.WORST or not target.negative_labels:
                return weight
            return self._focus_rows(held & ~negative, weight, logits, size, times)
        owed = np.where(negative, truth <= POSITIVE_ABOVE, held)  # NaN owes nothing
        focused = np.tile(owed, times)[self.owner]  # (W, Q * L)
        top = self._is_top(np.tile(signs_of(target), times) * logits)
        full = np.where(weight > 0, self.row_weights[:, None], 0.0)
        return np.where(focused, full * top, weight)

    def _focus_rows(
        self, held: BoolArray, weight: FloatArray, logits: FloatArray, size: int, times: int
    ) -> FloatArray:
        own: IntArray = np.asarray(np.where(held.any(axis=1), held.argmax(axis=1), 0))[self.owner]
        shaped = logits.reshape(len(logits), times, size)
        relative = shaped - np.log(
            np.exp(shaped - shaped.max(axis=2, keepdims=True)).sum(axis=2, keepdims=True)
        )
        relative = relative - shaped.max(axis=2, keepdims=True)
        score = np.take_along_axis(relative, own[:, None, None], axis=2)[:, :, 0]  # (W, Q) log-probability
        top = np.repeat(self._is_top(score), size, axis=1)
        full = np.where(weight > 0, self.row_weights[:, None], 0.0)
        positive: BoolArray = np.asarray(held.any(axis=1))[self.owner]
        return np.where(positive[:, None], full * top, weight)

    def _is_top(self, scores: FloatArray) -> BoolArray:
        """Return (W, C) true at the first window of each document that has its highest score."""
        counts = np.bincount(self.owner, minlength=len(self.starts))
        best = np.repeat(np.maximum.reduceat(scores, self.starts, axis=0), counts, axis=0)
        numbers = np.where(scores >= best, np.arange(len(scores))[:, None], len(scores))
        first = np.minimum.reduceat(numbers, self.starts, axis=0)
        result: BoolArray = np.arange(len(scores))[:, None] == np.repeat(first, counts, axis=0)
        return result


def whole_rows(target: Target, truth: FloatArray) -> FloatArray:
    """Return truth (N, L) whose single-label rows sum to 1, or are NaN as a whole where a part is unknown."""
    if target.kind is TargetKind.MULTI_LABEL:
        return truth
    total = truth.sum(axis=1, keepdims=True)
    return np.where(total > 0, truth / np.where(total > 0, total, 1.0), np.nan)
