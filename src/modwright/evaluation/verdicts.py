"""Verdicts: act, pass, or a person decides; and how the cuts of a review band give them to scores."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from modwright.schema import BoolArray, FloatArray, Target

#: Codes of verdicts in arrays, so that the gravest of several labels is their maximum.
LEFT_OUT, PASS, REVIEW, ACT = -1, 0, 1, 2
Codes = NDArray[np.int8]


class Verdict(StrEnum):
    """What happens to a text."""

    PASS = "pass"
    REVIEW = "review"
    ACT = "act"

    @classmethod
    def of(cls, code: int) -> Verdict | None:
        """Return the verdict of a code; None where a label says nothing."""
        return {PASS: cls.PASS, REVIEW: cls.REVIEW, ACT: cls.ACT}.get(int(code))


class TooFew(StrEnum):
    """What a label does that has too few rows for a promise."""

    LEAVE_OUT = "leave_out"  # what it cannot promise it does not say; a text that it flags goes to a person
    REVIEW = "review"  # every text that it cannot promise anything of goes to a person


def between(values: FloatArray, low: float, high: float) -> Codes:
    """Return the codes (N,) of values (N,): below `low` they pass, from `high` on they are acted on."""
    return np.where(values >= high, ACT, np.where(values < low, PASS, REVIEW)).astype(np.int8)


def action_scores(target: Target, scores: FloatArray) -> FloatArray:
    """Return the probability (N,) that a text asks for action: that no negative label of a single-label target holds."""
    negative = [target.index(label) for label in target.negative_labels]
    return np.asarray(np.clip(1.0 - scores[:, negative].sum(axis=1), 0.0, 1.0), dtype=np.float64)


def decide_action(
    target: Target, scores: FloatArray, low: float, high: float, silent: BoolArray
) -> tuple[Codes, Codes]:
    """Decide a single-label target that has negative labels: whether to act, by `action_scores`.

    No text passes whose most probable label is one that may be flagged and is `silent` (L,): one without a promise.

    Returns the codes of texts (N,) and labels (N, L): of a label the text is decided as, the most probable of its kind.
    """
    texts = between(action_scores(target, scores), low, high)
    negative = np.array([label in target.negative_labels for label in target.labels])
    flagged_unpromised = (silent & ~negative)[scores.argmax(axis=1)]
    texts = np.where((texts == PASS) & flagged_unpromised, REVIEW, texts).astype(np.int8)
    acted, passed = (np.where(kind, scores, -1.0).argmax(axis=1) for kind in (~negative, negative))
    top = np.where(texts == ACT, acted, np.where(texts == PASS, passed, scores.argmax(axis=1)))
    return texts, _at(scores.shape, top, texts)


def decide_label(scores: FloatArray, floors: FloatArray, promised: BoolArray) -> tuple[Codes, Codes]:
    """Decide a single-label target without negative labels: which label holds, or that a person says so.

    A text is decided as its most probable label where that has a promise and no other reaches its floor (L,).
    """
    rows, top = np.arange(len(scores)), scores.argmax(axis=1)
    reaching = scores >= floors
    reaching[rows, top] = False
    texts = np.where(promised[top] & ~reaching.any(axis=1), ACT, REVIEW).astype(np.int8)
    return texts, _at(scores.shape, top, texts)


def gravest(labels: Codes) -> Codes:
    """Return the gravest verdict (N,) of labels (N, L); a person decides where no label says anything."""
    texts = labels.max(axis=1, initial=LEFT_OUT)
    return np.where(texts == LEFT_OUT, REVIEW, texts).astype(np.int8)


def _at(shape: tuple[int, ...], columns: NDArray[np.intp], codes: Codes) -> Codes:
    labels = np.full(shape, LEFT_OUT, dtype=np.int8)
    labels[np.arange(shape[0]), columns] = codes
    return labels
