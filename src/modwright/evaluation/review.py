"""The review band: which texts are acted on, which pass, and which a person sees, with the error rates promised.

Per label two cuts on the calibrated score: below `low` a text passes, from `high` on it is acted on, between them a
person decides. What is promised is split-conformal and per class (Mondrian): of the texts that have the label at most a
share `misses` passes unseen, of those without it at most a share `wrong_actions` is acted on unseen. Because each
promise speaks of one kind of text, it holds at any prevalence. A single-label target with negative labels has the two cuts
on the probability that none of those holds, kept for each of its labels; one without has a floor per label, and a text is
decided where no label but the most probable one reaches its floor.

Conditions: the rows it was fitted on are drawn like the texts to come (their groups, where rows belong together), and
had no part in fitting model or calibration. Rows scored out of fold meet the second only nearly. The promise is an
average over such draws, for each label by itself; a text that several labels judge can be wrong by any of them.
Vovk, Gammerman and Shafer 2005, "Algorithmic learning in a random world" (Mondrian conformal prediction); Angelopoulos
et al. 2022, "Conformal risk control" (the same bound for these losses); Lee, Barber and Willett 2023, "Distribution-free
inference with hierarchical data" (groups).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from modwright.errors import SchemaError, UsageError
from modwright.evaluation.cuts import NEVER
from modwright.evaluation.resampling import Interval
from modwright.evaluation.verdicts import (
    ACT,
    LEFT_OUT,
    PASS,
    REVIEW,
    Codes,
    TooFew,
    Verdict,
    between,
    decide_action,
    decide_label,
    gravest,
)
from modwright.schema import (
    BoolArray,
    FloatArray,
    Target,
    TargetKind,
    check_keys,
    checked_count,
    checked_number,
)

__all__ = [
    "ACT",
    "LEFT_OUT",
    "PASS",
    "REVIEW",
    "Codes",
    "Expected",
    "LabelBand",
    "Promise",
    "ReviewBand",
    "TooFew",
    "Verdict",
    "asks_for_action",
]


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised for every label, each a share in 0..1, both ends excluded.

    Attributes:
        misses: at most this share of the texts with the label passes unseen.
        wrong_actions: at most this share of the texts without the label is acted on unseen.

    Raises:
        UsageError: a share out of range.
    """

    misses: float
    wrong_actions: float
    too_few: TooFew = TooFew.LEAVE_OUT

    def __post_init__(self) -> None:
        for name in ("misses", "wrong_actions"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise UsageError(
                    f"{name} is {value!r}, expected above 0 and below 1",
                    where="review",
                    remedy="such as 0.05",
                )

    def to_json(self) -> dict[str, Any]:
        """Return the promise as JSON-ready data."""
        return {"misses": self.misses, "wrong_actions": self.wrong_actions, "too_few": str(self.too_few)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json` data; raises SchemaError for other keys or values."""
        check_keys(data, {"misses", "wrong_actions", "too_few"}, "review.promise")
        try:
            misses, wrong_actions = (
                checked_number(data[name], name, "review.promise") for name in ("misses", "wrong_actions")
            )
            return cls(misses, wrong_actions, TooFew(data["too_few"]))
        except (UsageError, ValueError) as error:
            raise SchemaError(f"is malformed: {error}", where="review.promise") from None


@dataclass(frozen=True, slots=True)
class Expected:
    """What a band did on the rows it was fitted on, weighted to the deployment prevalence where one was stated.

    Attributes:
        misses: of the texts with the label, the share that passed. Of a negative label of a single-label target the share
            that was acted on, and where there are no negative ones the share that was decided otherwise.
        wrong_actions: of the texts without it, the share that was acted on (single-label: decided as this label).
        load: of all texts, the share that goes to a person.
        load_with, load_without: of the texts with and without the label, the share that goes to a person; None without
            such texts. The load at another prevalence is their mean, weighted by it.
    """

    misses: Interval
    wrong_actions: Interval
    load: Interval
    load_with: float | None
    load_without: float | None

    def load_at(self, prevalence: float) -> float | None:
        """Return the share that goes to a person where a share `prevalence` of the texts has the label."""
        parts = ((prevalence, self.load_with), (1 - prevalence, self.load_without))
        if any(share and load is None for share, load in parts):
            return None
        return sum(share * load for share, load in parts if load is not None)

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON-ready data."""
        intervals = {name: getattr(self, name).to_json() for name in ("misses", "wrong_actions", "load")}
        return {**intervals, "load_with": self.load_with, "load_without": self.load_without}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str) -> Self:
        """Rebuild from `to_json` data; raises SchemaError for other keys or types."""
        check_keys(data, {"misses", "wrong_actions", "load", "load_with", "load_without"}, where)
        misses, wrong, load = (
            Interval.from_json(data[name], where) for name in ("misses", "wrong_actions", "load")
        )
        shares = (
            None if data[name] is None else checked_number(data[name], name, where)
            for name in ("load_with", "load_without")
        )
        return cls(misses, wrong, load, *shares)


@dataclass(frozen=True, slots=True)
class LabelBand:
    """The band of one label.

    Attributes:
        low: a lower score passes; 0 where no pass can be promised. Of a single-label target without negative labels the
            floor, below which the label is ruled out.
        high: from this score on it is acted on; above 1 where no action can be promised. There the same as `low`.
        note: why something cannot be promised; empty where all is.
        positives, negatives: rows (groups of rows, where they belong together) that it rests on.
        expected: None where no row is known.
    """

    low: float
    high: float
    note: str
    positives: int
    negatives: int
    expected: Expected | None

    @property
    def promised(self) -> bool:
        """Return whether both sides are promised."""
        return not self.note

    def to_json(self) -> dict[str, Any]:
        """Return the band as JSON-ready data."""
        return {
            "low": self.low,
            "high": self.high,
            "note": self.note,
            "positives": self.positives,
            "negatives": self.negatives,
            "expected": None if self.expected is None else self.expected.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str) -> Self:
        """Rebuild from `to_json` data; raises SchemaError for other keys or a cut that is not a finite number."""
        check_keys(data, {"low", "high", "note", "positives", "negatives", "expected"}, where)
        low, high = (checked_number(data[name], name, where) for name in ("low", "high"))
        if low > high:
            raise SchemaError(f"low {low} is above high {high}", where=where)
        expected = data["expected"]
        return cls(
            low,
            high,
            str(data["note"]),
            checked_count(data["positives"], "positives", where),
            checked_count(data["negatives"], "negatives", where),
            None if expected is None else Expected.from_json(expected, where),
        )


@dataclass(frozen=True, slots=True)
class ReviewBand:
    """The bands of all targets.

    Attributes:
        bands: target to label to its band: the flaggable labels of a multi-label target, all of a single-label one.
        expected: target to what the target's verdict did; None where no row is known whole.
        prevalence: target to label to the stated deployment prevalence that `expected` and each band's are weighted to.
    """

    promise: Promise
    bands: dict[str, dict[str, LabelBand]]
    expected: dict[str, Expected | None]
    prevalence: dict[str, dict[str, float]]

    def decide(
        self, target: Target, scores: FloatArray, flagged_from: Mapping[str, float]
    ) -> tuple[Codes, Codes]:
        """Return the verdict of every text, (N,), and of every label, (N, L), as codes, for scores (N, L).

        A text's verdict is the gravest of its labels' (act, review, pass); where no label can say anything, a person
        decides. A label that says nothing, as negative ones of a multi-label target do, is `LEFT_OUT`; of a
        single-label target only the label that a text is decided as says something.

        Args:
            flagged_from: label to its threshold at the operating point `default`. A label with too few rows for a promise
                is left out below it, from it on a person decides: no text passes that is flagged for such a label. Of a
                single-label target the most probable label is flagged, and there are none.
        """
        bands = self.bands[target.name]
        silent = self._silent(target)
        if target.kind is TargetKind.SINGLE_LABEL:
            if asks_for_action(target):
                any_band = bands[target.labels[0]]
                return decide_action(target, scores, any_band.low, any_band.high, silent)
            floors = np.array([bands[label].low for label in target.labels])
            return decide_label(scores, floors, np.array([bands[label].promised for label in target.labels]))
        labels = np.full(scores.shape, LEFT_OUT, dtype=np.int8)
        for label, band in bands.items():
            column = target.index(label)
            codes = between(scores[:, column], band.low, band.high)
            if silent[column]:
                unflagged = scores[:, column] < flagged_from.get(label, NEVER)
                codes = np.where((codes == REVIEW) & unflagged, LEFT_OUT, codes)
            labels[:, column] = codes
        return gravest(labels), labels

    def _silent(self, target: Target) -> BoolArray:
        """Return which labels (L,) say nothing where they promise nothing."""
        bands, leave_out = self.bands[target.name], self.promise.too_few is TooFew.LEAVE_OUT
        return np.array(
            [leave_out and label in bands and not bands[label].promised for label in target.labels]
        )

    def to_json(self) -> dict[str, Any]:
        """Return the bands as JSON-ready data: what stands under `review` in thresholds.json."""
        return {
            "promise": self.promise.to_json(),
            "prevalence": {target: dict(labels) for target, labels in self.prevalence.items()},
            "bands": {
                target: {label: band.to_json() for label, band in labels.items()}
                for target, labels in self.bands.items()
            },
            "expected": {
                target: None if found is None else found.to_json() for target, found in self.expected.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json` data; raises SchemaError for other keys or values."""
        check_keys(data, {"promise", "prevalence", "bands", "expected"}, "review")
        bands = {
            target: {
                label: LabelBand.from_json(band, f"review, {target}/{label}")
                for label, band in labels.items()
            }
            for target, labels in data["bands"].items()
        }
        expected = {
            target: None if found is None else Expected.from_json(found, f"review, {target}")
            for target, found in data["expected"].items()
        }
        prevalence = {
            target: {
                label: checked_number(value, f"prevalence of '{label}'", "review")
                for label, value in labels.items()
            }
            for target, labels in data["prevalence"].items()
        }
        return cls(Promise.from_json(data["promise"]), bands, expected, prevalence)


def asks_for_action(target: Target) -> bool:
    """Return whether a single-label target has labels to act on and labels to let pass."""
    return bool(target.negative_labels and target.flaggable)
