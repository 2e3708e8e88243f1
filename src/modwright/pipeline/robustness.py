"""Robustness as a further measurement of an evaluation: disguises, other scripts, functional tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modwright.errors import UsageError
from modwright.evaluation import robustness_report as report
from modwright.evaluation.functional import Case, measure_functional, read_cases
from modwright.evaluation.other_scripts import measure_false_alarms
from modwright.evaluation.perturbations import chosen
from modwright.evaluation.robustness import MOST_ROWS, Robustness, measure_robustness
from modwright.pipeline.proof import Finding, Proof
from modwright.schema import FloatArray, Input
from modwright.serving.engine import DEFAULT_OPERATING_POINT, Engine

#: Inputs scored at once.
_CHUNK = 256


@dataclass(frozen=True, slots=True)
class MeasureRobustness:
    """What disguises do to the model on every judged split, and what it says of other scripts and of functional tests.

    Attributes:
        perturbations: names, all without any.
        functional: files of cases by name.
        label: the one that functional tests ask for; empty for any.
        most_rows: of a split that are perturbed.

    Raises:
        UsageError: an unknown perturbation, or two files of one name.
    """

    perturbations: tuple[str, ...] = ()
    functional: tuple[tuple[str, tuple[Case, ...]], ...] = ()
    label: str = ""
    most_rows: int = MOST_ROWS

    @classmethod
    def of(
        cls,
        perturbations: Sequence[str] = (),
        files: Sequence[Path] = (),
        label: str = "",
        most_rows: int = MOST_ROWS,
    ) -> MeasureRobustness:
        """Read the files of functional tests; raises DataError as `read_cases` does."""
        functional = tuple((path.name, read_cases(path)) for path in files)
        return cls(tuple(perturbations), functional, label, most_rows)

    def __post_init__(self) -> None:
        chosen(self.perturbations)
        names = [name for name, _ in self.functional]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"two files are called '{name}'", where="--functional", remedy="rename one")
        if self.label and not names:
            raise UsageError("names a label, and there are no functional tests", where="--functional-label")

    def __call__(self, proof: Proof) -> Finding:
        """Measure every judged split."""
        scorer = _Scorer(proof.engine)
        point = proof.engine.operating_point(DEFAULT_OPERATING_POINT)
        schema = proof.engine.schema
        functional = [
            measure_functional(name, cases, schema, point, scorer, label=self.label)
            for name, cases in self.functional
        ]
        found = {name: self._split(proof, name, scorer) for name in proof.splits}
        scripts = measure_false_alarms(schema, point, scorer)
        return Finding(
            key=report.KEY,
            figures=report.robustness_json(found, scripts, functional, proof.seed),
            sections=(report.robustness_section(found, scripts, functional),),
        )

    def _split(self, proof: Proof, name: str, scorer: _Scorer) -> Robustness:
        def told(done: int, total: int) -> None:
            if proof.progress is not None:
                proof.progress(f"{name}, disguised", done, total)

        return measure_robustness(
            proof.splits[name],
            scorer,
            chosen(self.perturbations),
            resamples=proof.resamples,
            seed=proof.seed,
            most_rows=self.most_rows,
            progress=told,
        )


@dataclass(frozen=True, slots=True)
class _Scorer:
    """Calibrated scores of a model, computed in chunks."""

    engine: Engine

    def __call__(self, inputs: Sequence[Input]) -> Mapping[str, FloatArray]:
        parts = [
            self.engine.calibrated(inputs[begin : begin + _CHUNK]).values
            for begin in range(0, max(1, len(inputs)), _CHUNK)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
