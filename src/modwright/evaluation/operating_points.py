"""Operating points as data: thresholds under a name, what they were chosen for, and what they reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from modwright.errors import SchemaError
from modwright.evaluation.objectives import Objective
from modwright.evaluation.resampling import Interval
from modwright.schema import check_keys, checked_number


@dataclass(frozen=True, slots=True)
class Reached:
    """How well a label's threshold is known, and what it reached on the rows it was chosen on.

    Attributes:
        threshold: with the interval of those chosen on resamples of the rows.
        value: what the objective measures (precision, recall, ..., at the stated prevalence), with the interval of
            this very threshold on resamples; undefined where nothing is flagged or nothing is known.
        met: whether a bound holds; None for an objective that takes the best there is.
    """

    threshold: Interval
    value: Interval
    met: bool | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {"threshold": self.threshold.to_json(), "value": self.value.to_json(), "met": self.met}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str) -> Self:
        """Rebuild from `to_json` data; raises SchemaError for other keys or types."""
        check_keys(data, {"threshold", "value", "met"}, where)
        if data["met"] not in (True, False, None):
            raise SchemaError(f"met is {data['met']!r}, expected true, false or null", where=where)
        return cls(_interval(data["threshold"], where), _interval(data["value"], where), data["met"])


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Named thresholds.

    Attributes:
        objective: what they were chosen for, in words.
        thresholds: target to label to the score from which on it is flagged; ``{}`` for single-label targets,
            where the most probable label is flagged; negative labels have none.
        shared: target to the labels whose threshold was drawn towards the one the target's labels share,
            because they have too few positives or negatives for one of their own; none where the aim is a bound.
        aim: the objective as data; None where thresholds were stated, not chosen.
        prevalence: target to label to the deployment prevalence that was stated for the choice.
        found: target to label to what its threshold reached.
    """

    name: str
    objective: str
    thresholds: dict[str, dict[str, float]]
    shared: dict[str, tuple[str, ...]] = field(default_factory=dict)
    aim: Objective | None = None
    prevalence: dict[str, dict[str, float]] = field(default_factory=dict)
    found: dict[str, dict[str, Reached]] = field(default_factory=dict)

    @property
    def unmet(self) -> dict[str, tuple[str, ...]]:
        """Return target to the labels whose bound does not hold at their threshold; targets without such left out."""
        missing = {
            target: tuple(label for label, reached in labels.items() if reached.met is False)
            for target, labels in self.found.items()
        }
        return {target: labels for target, labels in missing.items() if labels}

    def to_json(self) -> dict[str, Any]:
        """Return all but the name as JSON-ready data."""
        return {
            "objective": self.objective,
            "thresholds": {target: dict(values) for target, values in self.thresholds.items()},
            "shared": {target: list(labels) for target, labels in self.shared.items()},
            "aim": None if self.aim is None else self.aim.to_json(),
            "prevalence": {target: dict(values) for target, values in self.prevalence.items()},
            "found": {
                target: {label: reached.to_json() for label, reached in labels.items()}
                for target, labels in self.found.items()
            },
        }

    @classmethod
    def from_json(cls, name: str, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json` data.

        Raises:
            SchemaError: unknown or missing keys, or a threshold that is not a finite number.
        """
        where = f"operating point '{name}'"
        check_keys(data, {"objective", "thresholds", "shared", "aim", "prevalence", "found"}, where)
        for part in ("thresholds", "shared", "prevalence", "found"):
            _mapping(data[part], where, part)
        numbers = {
            part: {target: _checked(values, f"{where}, {target}") for target, values in data[part].items()}
            for part in ("thresholds", "prevalence")
        }
        return cls(
            name,
            str(data["objective"]),
            numbers["thresholds"],
            {target: tuple(labels) for target, labels in data["shared"].items()},
            None if data["aim"] is None else Objective.from_json(_mapping(data["aim"], where, "aim"), where),
            numbers["prevalence"],
            {target: _found(labels, f"{where}, {target}") for target, labels in data["found"].items()},
        )


def _found(labels: Any, where: str) -> dict[str, Reached]:
    return {
        label: Reached.from_json(_mapping(item, where, label), f"{where}, {label}")
        for label, item in _mapping(labels, where, "found").items()
    }


def _mapping(value: Any, where: str, part: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SchemaError(f"{part} is {value!r}, expected an object", where=where)
    return value


def _checked(values: Any, where: str) -> dict[str, float]:
    if not isinstance(values, Mapping):
        raise SchemaError(f"found {values!r}, expected an object of label to threshold", where=where)
    return {label: checked_number(value, f"threshold of '{label}'", where) for label, value in values.items()}


def _interval(data: Any, where: str) -> Interval:
    return Interval.from_json(_mapping(data, where, "interval"), where)
