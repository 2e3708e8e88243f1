"""What a measurement of unintended bias found, as data: per label and identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from modwright.evaluation.rates import Rate, is_clear
from modwright.evaluation.resampling import Interval
from modwright.evaluation.results import MIN_EVIDENCE, evidence_note
from modwright.schema import BoolArray, FloatArray

#: Exponent of the mean over identities: the worst count most.
POWER = -5.0
#: Weight of the overall ROC-AUC and of each of the three means in the final score.
WEIGHT = 0.25


class BiasMetric(StrEnum):
    """ROC-AUC on rows chosen by identity and label; 1.0 is best."""

    SUBGROUP = "subgroup_auc"  # rows that mention the identity
    BPSN = "bpsn_auc"  # positives that do not mention it, negatives that do: low where mentions are taken for the label
    BNSP = "bnsp_auc"  # positives that mention it, negatives that do not: low where mentions hide the label


#: At the flags, compared between the rows that mention the identity and those that do not.
GAPS: tuple[str, ...] = (Rate.FALSE_POSITIVE, Rate.RECALL)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which rows mention a group of people.

    Attributes:
        mentioned: (N,)
        known: (N,) rows of which it is known; the others are left out wherever this identity is judged.
    """

    name: str
    mentioned: BoolArray
    known: BoolArray

    @classmethod
    def of_shares(cls, name: str, shares: FloatArray, positive_above: float) -> Identity:
        """Take shares of annotators (N,), NaN unknown; mentioned is what lies above `positive_above`."""
        known = ~np.isnan(shares)
        return cls(name, np.asarray(np.nan_to_num(shares) > positive_above, dtype=np.bool_), known)

    @classmethod
    def of_mentions(cls, name: str, mentioned: BoolArray) -> Identity:
        """Take what is known of every row (N,)."""
        return cls(name, mentioned, np.ones(len(mentioned), dtype=np.bool_))


@dataclass(frozen=True, slots=True)
class IdentityBias:
    """What one label's scores say of the rows that mention an identity.

    Attributes:
        positives, negatives: rows that mention it.
        other_positives, other_negatives: rows that do not.
        metrics: each `BiasMetric`, and the `GAPS` rates of the rows that mention it; ``n`` is the rows each rests on.
        others: the `GAPS` rates of the rows that do not.
        gaps: how much higher these rates are where it is mentioned.
    """

    identity: str
    positives: int
    negatives: int
    other_positives: int
    other_negatives: int
    metrics: Mapping[str, Interval]
    others: Mapping[str, Interval]
    gaps: Mapping[str, Interval]

    @property
    def rows(self) -> int:
        """Return the number of known rows that mention it."""
        return self.positives + self.negatives

    @property
    def note(self) -> str:
        """Return why the evidence is not enough; empty where it is."""
        if min(self.other_positives, self.other_negatives) < MIN_EVIDENCE:
            return f"without a mention {evidence_note(self.other_positives, self.other_negatives)}"
        return evidence_note(self.positives, self.negatives)

    @property
    def ranked(self) -> bool:
        """Return whether there are enough rows to rank and average by."""
        return not self.note

    @property
    def worst(self) -> float:
        """Return the lowest of the three areas; 1.0 where none is defined."""
        values = [self.metrics[metric].value for metric in BiasMetric]
        return min((value for value in values if value is not None), default=1.0)

    def is_clear(self, rate: str) -> bool:
        """Say whether a rate differs from that of the other rows by more than chance is likely to make."""
        needed = self.positives if rate == Rate.RECALL else self.negatives
        return needed >= MIN_EVIDENCE and is_clear(
            rate, self.gaps[rate], self.others[rate], self.positives, self.negatives
        )

    def to_json(self) -> dict[str, Any]:
        """Return all but the name, as JSON-ready data."""
        return {
            "positives": self.positives,
            "negatives": self.negatives,
            "enough": self.ranked,
            "note": self.note,
            "metrics": _json(self.metrics),
            "others": _json(self.others),
            "gaps": _json(self.gaps),
        }


@dataclass(frozen=True, slots=True)
class LabelBias:
    """What one label's scores say of every identity.

    Attributes:
        overall: ROC-AUC on all known rows.
        means: of each `BiasMetric` the generalised mean (power `POWER`) over the counted identities.
        score: the final score: `WEIGHT` times the overall area and each mean; undefined where no identity counts.
        identities: in the order given.
    """

    target: str
    label: str
    overall: Interval
    means: Mapping[str, Interval]
    score: Interval
    identities: tuple[IdentityBias, ...]

    @property
    def ranking(self) -> tuple[IdentityBias, ...]:
        """Return the identities with enough evidence, the one with the lowest area first."""
        return tuple(sorted((one for one in self.identities if one.ranked), key=lambda one: one.worst))

    def to_json(self) -> dict[str, Any]:
        """Return all but the names, as JSON-ready data."""
        return {
            "overall_auc": self.overall.to_json(),
            "means": _json(self.means),
            "score": self.score.to_json(),
            "ranking": [one.identity for one in self.ranking],
            "identities": {one.identity: one.to_json() for one in self.identities},
        }


def _json(intervals: Mapping[str, Interval]) -> dict[str, Any]:
    return {str(name): found.to_json() for name, found in intervals.items()}
