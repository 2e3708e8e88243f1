"""Areas and rates of many identities under many weightings of the same rows at once.

What does not depend on the identity is summed once per weighting. The rows that mention an identity are few, and the
rows that do not are all rows less those: so an identity costs little more than the rows that mention it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modwright.evaluation.bias_results import BiasMetric, Identity
from modwright.evaluation.binary import Sample, weighted_sum
from modwright.evaluation.cuts import Ranking
from modwright.evaluation.rates import Rate
from modwright.schema import BoolArray, FloatArray, IntArray

#: Prefix of the rates of rows that do not mention the identity.
OTHERS = "others/"
_AREAS = frozenset(map(str, BiasMetric))


def named(identity: int, figure: str) -> str:
    """Return the name under which a figure of the identity at that place stands."""
    return f"{identity}/{figure}"


class BiasStatistics:
    """The areas and rates of one label's n known rows, for every identity.

    Named by `named`: each `BiasMetric`; recall and false-positive rate of the rows that mention it; the same with `OTHERS`
    before it, of those that do not. NaN where undefined, and for rates of a label that is never flagged.

    Args:
        sample: the known rows, n at least 1.
        identities: each of these n rows.
    """

    def __init__(self, sample: Sample, identities: Sequence[Identity]) -> None:
        self._ranking = Ranking.of(sample.scores)
        order = self._ranking.order
        flagged = np.zeros(len(order), dtype=np.bool_) if sample.flagged is None else sample.flagged[order]
        self._never_flagged = sample.flagged is None
        self._rows = _Rows(sample.positives[order], flagged)
        self._grounds: dict[bytes, BoolArray] = {}
        self._mentions: list[tuple[bytes, _Mention]] = []
        group_of = np.searchsorted(self._ranking.ends, np.arange(len(order)))
        for identity in identities:
            known = identity.known[order]
            key = known.tobytes()
            self._grounds[key] = known
            places = np.flatnonzero(identity.mentioned[order] & known)
            self._mentions.append((key, _Mention.of(places, group_of[places], self._rows)))

    def at(self) -> dict[str, float]:
        """Return every figure of the rows as they are."""
        found = self.resampled(np.ones((1, len(self._rows.positives))))
        return {name: float(values[0]) for name, values in found.items()}

    def resampled(self, counts: FloatArray) -> dict[str, FloatArray]:
        """Return every figure, (R,), for bootstrap counts (R, n)."""
        ranked = counts[:, self._ranking.order]
        grounds = {
            key: _Ground.of(ranked if known.all() else ranked * known, self._rows, self._ranking)
            for key, known in self._grounds.items()
        }
        found = {}
        with np.errstate(invalid="ignore", divide="ignore"):
            for place, (key, mention) in enumerate(self._mentions):
                for name, values in mention.figures(ranked, grounds[key]).items():
                    undefined = self._never_flagged and name not in _AREAS
                    found[named(place, name)] = np.full(len(values), np.nan) if undefined else values
        return found


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows in ranked order: positives and flagged are (n,)."""

    positives: BoolArray
    flagged: BoolArray


@dataclass(frozen=True, slots=True)
class _Sums:
    """Weighted numbers (R,) of positive and negative rows, and of those among them that are flagged."""

    positive: FloatArray
    negative: FloatArray
    hits: FloatArray
    false: FloatArray

    @classmethod
    def of(cls, counts: FloatArray, rows: _Rows) -> _Sums:
        return cls(
            weighted_sum(counts, rows.positives),
            weighted_sum(counts, ~rows.positives),
            weighted_sum(counts, rows.flagged & rows.positives),
            weighted_sum(counts, rows.flagged & ~rows.positives),
        )

    def less(self, part: _Sums) -> _Sums:
        """Return the numbers without those of a part."""
        return _Sums(
            self.positive - part.positive,
            self.negative - part.negative,
            self.hits - part.hits,
            self.false - part.false,
        )

    def rates(self, prefix: str) -> dict[str, FloatArray]:
        """Return recall and false-positive rate."""
        return {
            f"{prefix}{Rate.RECALL}": self.hits / self.positive,
            f"{prefix}{Rate.FALSE_POSITIVE}": self.false / self.negative,
        }


@dataclass(frozen=True, slots=True)
class _Ground:
    """All rows of which it is known whether they mention an identity.

    Attributes:
        positives_above, negatives_above: (R, G) weighted rows that score above each group, rows within it counting half.
    """

    positives_above: FloatArray
    negatives_above: FloatArray
    sums: _Sums

    @classmethod
    def of(cls, ranked: FloatArray, rows: _Rows, ranking: Ranking) -> _Ground:
        hits, both = ranking.cumulated(ranked * rows.positives), ranking.cumulated(ranked)
        return cls(_half_tied(hits), _half_tied(both - hits), _Sums.of(ranked, rows))


@dataclass(frozen=True, slots=True)
class _Mention:
    """The rows that mention an identity.

    Attributes:
        places: (m,) of them in ranked order.
        groups: (m,) group of equal scores that each is in, of all rows.
        ends: (g,) place in `places` of the last of each group.
        own: (m,) which of these g groups each is in.
    """

    places: IntArray
    groups: IntArray
    ends: IntArray
    own: IntArray
    rows: _Rows

    @classmethod
    def of(cls, places: IntArray, groups: IntArray, rows: _Rows) -> _Mention:
        ends = np.append(np.flatnonzero(np.diff(groups)), len(groups) - 1) if len(groups) else groups
        own = np.searchsorted(ends, np.arange(len(places)))
        return cls(places, groups, ends, own, _Rows(rows.positives[places], rows.flagged[places]))

    def figures(self, ranked: FloatArray, ground: _Ground) -> dict[str, FloatArray]:
        """Return areas and rates (R,); an area is how often a positive row scores above a negative one, ties a half."""
        counts = ranked[:, self.places]
        inside = _Sums.of(counts, self.rows)
        outside = ground.sums.less(inside)
        positive = counts * self.rows.positives
        negative = counts - positive
        own_above = self._above(positive)
        other_above = ground.positives_above[:, self.groups] - own_above
        other_below = (
            outside.negative[:, None] - ground.negatives_above[:, self.groups] + self._above(negative)
        )
        return {
            BiasMetric.SUBGROUP: _total(negative, own_above) / (inside.positive * inside.negative),
            BiasMetric.BPSN: _total(negative, other_above) / (outside.positive * inside.negative),
            BiasMetric.BNSP: _total(positive, other_below) / (inside.positive * outside.negative),
            **inside.rates(""),
            **outside.rates(OTHERS),
        }

    def _above(self, counts: FloatArray) -> FloatArray:
        """Return for each row (R, m) how many of these counts (R, m) score above it, those that tie counting half."""
        return _half_tied(np.cumsum(counts, axis=1)[:, self.ends])[:, self.own]


def _half_tied(cumulated: FloatArray) -> FloatArray:
    """Return sums up to the middle of each group, of sums (R, G) up to its end."""
    return cumulated - np.diff(cumulated, axis=1, prepend=0.0) / 2


def _total(counts: FloatArray, values: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("rm,rm->r", counts, values), dtype=np.float64)
