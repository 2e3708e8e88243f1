"""What a comparison of two models found, as data: per target and label both figures, the difference, and a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modwright.evaluation.resampling import Interval
from modwright.evaluation.results import MIN_EVIDENCE
from modwright.schema import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Judged:
    """What one model says of N rows, in another's label order.

    Attributes:
        name: what people call it.
        flags: target to (N, L).
        scores: target to (N, L) probabilities; None for a model that only says yes or no.
        covered: target to (L,) the labels it knows.
        failed: (N,) rows it gave no answer for.
        choices: single-label target to (N,) the place of the label it names, -1 for none that we know; None for a model
            whose scores say it.
    """

    name: str
    flags: Mapping[str, BoolArray]
    scores: Mapping[str, FloatArray] | None
    covered: Mapping[str, BoolArray]
    failed: BoolArray
    choices: Mapping[str, IntArray] | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of both models, and the one's less the other's with its paired interval."""

    one: Interval
    other: Interval
    difference: Interval

    @property
    def clear(self) -> bool:
        """Return whether the interval of the difference leaves out zero."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)

    def to_json(self) -> dict[str, Any]:
        """Return all three."""
        return {name: getattr(self, name).to_json() for name in ("one", "other", "difference")}


@dataclass(frozen=True, slots=True)
class McNemar:
    """Rows that only one of two models decides rightly.

    Attributes:
        only_one, only_other: how many.
        p: of the exact two-sided test that both are right equally often; it takes rows for independent.
        holm: the same, adjusted for all labels, or for all targets' decisions, that were tested (Holm 1979).
    """

    only_one: int
    only_other: int
    p: float
    holm: float

    def to_json(self) -> dict[str, float | int]:
        """Return the counts and both p values."""
        return {"only_one": self.only_one, "only_other": self.only_other, "p": self.p, "p_holm": self.holm}


@dataclass(frozen=True, slots=True)
class LabelComparison:
    """Both models on one label.

    Attributes:
        metrics: those that both have.
        mcnemar: None without known rows.
    """

    target: str
    label: str
    positives: int
    negatives: int
    metrics: Mapping[str, Difference]
    mcnemar: McNemar | None

    @property
    def enough(self) -> bool:
        """Return whether there are enough positives and negatives to judge by."""
        return min(self.positives, self.negatives) >= MIN_EVIDENCE

    def to_json(self) -> dict[str, Any]:
        """Return the evidence, every metric of both with the difference, and the test."""
        return {
            "positives": self.positives,
            "negatives": self.negatives,
            "enough": self.enough,
            "metrics": _differences_json(self.metrics),
            "mcnemar": None if self.mcnemar is None else self.mcnemar.to_json(),
        }


@dataclass(frozen=True, slots=True)
class TargetComparison:
    """Both models on one target.

    Attributes:
        labels: those that may be flagged and that both know.
        macro: mean over the labels with enough evidence, each counting the same; empty for fewer than two. A label for
            which a metric is undefined on one side, such as precision where nothing is flagged, counts on neither.
        decision: of "is any label flagged", and of a single-label target of "is it the most probable one", on rows whose
            labels are all known; empty where the other lacks a label.
        mcnemar: of that decision.
    """

    target: str
    labels: Mapping[str, LabelComparison]
    macro: Mapping[str, Difference]
    decision: Mapping[str, Difference]
    mcnemar: McNemar | None

    def to_json(self) -> dict[str, Any]:
        """Return the labels, the macro averages, the decision and its test."""
        return {
            "labels": {name: label.to_json() for name, label in self.labels.items()},
            "macro": _differences_json(self.macro),
            "decision": _differences_json(self.decision),
            "mcnemar": None if self.mcnemar is None else self.mcnemar.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the rows of one split.

    Attributes:
        failed: rows for which the one and the other gave no answer; they count as wrong.
        units: how many things each resample draws.
    """

    one: str
    other: str
    targets: Mapping[str, TargetComparison]
    rows: int
    failed: tuple[int, int]
    units: int
    resamples: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return everything; `one` and `other` name the sides of every difference, which is the one's less the other's."""
        return {
            "one": self.one,
            "other": self.other,
            "rows": self.rows,
            "failed": {"one": self.failed[0], "other": self.failed[1]},
            "targets": {name: target.to_json() for name, target in self.targets.items()},
            "settings": {"resamples": self.resamples, "units": self.units, "seed": self.seed},
        }


def _differences_json(found: Mapping[str, Difference]) -> dict[str, Any]:
    return {name: difference.to_json() for name, difference in found.items()}
