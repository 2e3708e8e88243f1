"""What an evaluation hands to further measurements (slices, bias, robustness, comparisons), and what they give back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from modwright.artifact import Artifact
from modwright.data.dataset import Dataset
from modwright.errors import ModwrightError
from modwright.evaluation.scored import ScoredSplit
from modwright.evaluation.sections import Section
from modwright.serving.engine import Engine

#: Told what is being done, how much of it is done, and how much there is.
ScoringProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Proof:
    """An artifact and the splits it has been judged on.

    Attributes:
        folder: of the artifact.
        engine: the model, ready to score more.
        dataset: all of it, the splits that were not judged too.
        splits: the judged ones by name, scored, in the order of the report.
        fitted_on: names of those whose rows the model was trained on.
        out: where files beside the report may be written; it exists.
        resamples: bootstrap resamples; 0 for values without intervals.
        seed: of whatever is drawn.
    """

    folder: Path
    artifact: Artifact
    engine: Engine
    dataset: Dataset
    splits: Mapping[str, ScoredSplit]
    fitted_on: frozenset[str]
    out: Path
    resamples: int
    seed: int
    progress: ScoringProgress | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a measurement found.

    Attributes:
        key: under which the figures stand in metrics.json and report.json, such as ``slices``.
        figures: JSON-ready, no NaN.
        sections: what the report shows of it, in reading order.
        notes: what a reader of any form must know.
        failures: why a part of it could not be measured; each stands in the notes, too.
    """

    key: str
    figures: Mapping[str, Any]
    sections: Sequence[Section] = ()
    notes: Sequence[str] = ()
    failures: Sequence[ModwrightError] = ()


#: A further measurement: made by a face from its options, called once all splits are scored.
Measurement = Callable[[Proof], Finding]


@runtime_checkable
class Checked(Protocol):
    """A measurement that can say, before anything is scored, that what it asks for is not there."""

    def check(self, dataset: Dataset, splits: Sequence[str]) -> None:
        """Raise a ModwrightError where it cannot be measured on these splits, which will be judged."""
        ...
