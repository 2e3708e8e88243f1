"""The known rows of each label and of the decision, as every measurement takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modwright.evaluation.binary import Sample
from modwright.evaluation.scored import ScoredSplit
from modwright.schema import BoolArray, FloatArray, IntArray, Target, TargetKind


@dataclass(frozen=True, slots=True)
class KnownRows:
    """The rows of a split that are known for one label.

    Attributes:
        known: (N,) which they are.
        sample: of these rows, in order; None where there are none.
    """

    known: BoolArray
    sample: Sample | None

    def within(self, rows: BoolArray) -> KnownRows:
        """Return those among some rows (N,) of the split."""
        known = np.asarray(self.known & rows, dtype=np.bool_)
        if self.sample is None or not known.any():
            return KnownRows(known, None)
        here, whole = rows[self.known], self.sample
        flagged = None if whole.flagged is None else whole.flagged[here]
        return KnownRows(
            known, Sample(whole.scores[here], whole.labels[here], whole.positives[here], flagged)
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """The question "is any label flagged" beside the answer "does any flaggable label hold".

    Attributes:
        known: (N,) rows of which it is known.
        flagged, positives: (N,) of all rows; a positive that is not known counts for nothing.
    """

    known: BoolArray
    flagged: BoolArray
    positives: BoolArray

    def within(self, rows: BoolArray) -> Decision:
        """Return it on some rows (N,) of the split."""
        return Decision(np.asarray(self.known & rows, dtype=np.bool_), self.flagged, self.positives)


def told(
    target: Target, scores: FloatArray, labels: FloatArray, flags: BoolArray
) -> tuple[FloatArray, BoolArray]:
    """Return labels and flags, both (N, L), as a target is judged by.

    Multi-label: as they are. Single-label: a row with an unknown label is unknown as a whole, and a negative label
    counts as flagged where it is the most probable one, so that each label is judged one against the rest.
    """
    if target.kind is TargetKind.MULTI_LABEL:
        return labels, flags
    masked = np.where(np.isnan(labels).any(axis=1, keepdims=True), np.nan, labels)
    chosen, flags = scores.argmax(axis=1), flags.copy()
    for label in target.negative_labels:
        flags[:, target.index(label)] = chosen == target.index(label)
    return masked, flags


def most_probable(values: FloatArray) -> IntArray:
    """Return the place (N,) of each row's highest value, the first of equals; -1 where unknown or all 0."""
    usable = ~np.isnan(values).any(axis=1) & (np.nan_to_num(values).max(axis=1) > 0)
    return np.where(usable, np.nan_to_num(values).argmax(axis=1), -1)


def label_samples(
    target: Target, scores: FloatArray, labels: FloatArray, flags: BoolArray, positive_above: float
) -> dict[str, KnownRows]:
    """Return each label's known rows, of scores, labels and flags (N, L) as `told` gives them.

    A negative label of a multi-label target is never flagged.
    """
    found = {}
    for place, label in enumerate(target.labels):
        known = ~np.isnan(labels[:, place])
        if not known.any():
            found[label] = KnownRows(known, None)
            continue
        never = target.kind is TargetKind.MULTI_LABEL and label in target.negative_labels
        values = labels[known, place]
        flagged = None if never else flags[known, place]
        found[label] = KnownRows(
            known, Sample(scores[known, place], values, values > positive_above, flagged)
        )
    return found


def decision(target: Target, labels: FloatArray, flags: BoolArray, positive_above: float) -> Decision:
    """Set up the decision on rows whose flaggable labels are all known, of labels and flags (N, L).

    A row with one label that holds and others unknown is left out too: keeping the certain positives of rows whose
    certain negatives cannot be had would make every rate look better than it is.
    """
    columns = [target.index(label) for label in target.flaggable]
    values = labels[:, columns]
    return Decision(
        known=np.asarray(~np.isnan(values).any(axis=1), dtype=np.bool_),
        flagged=np.asarray(flags[:, columns].any(axis=1), dtype=np.bool_),
        positives=np.asarray((np.nan_to_num(values) > positive_above).any(axis=1), dtype=np.bool_),
    )


def samples_of(split: ScoredSplit, target: Target) -> dict[str, KnownRows]:
    """Return each label's known rows of a scored split."""
    scores = split.scores[target.name]
    labels, flags = told(target, scores, split.labels[target.name], split.flagged[target.name])
    return label_samples(target, scores, labels, flags, split.schema.positive_above)


def decision_of(split: ScoredSplit, target: Target) -> Decision:
    """Return the decision of a scored split."""
    scores = split.scores[target.name]
    labels, flags = told(target, scores, split.labels[target.name], split.flagged[target.name])
    return decision(target, labels, flags, split.schema.positive_above)
