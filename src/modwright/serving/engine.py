"""One loaded model that judges inputs: scores, calibration, thresholds, flags. Synchronous; no HTTP here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from modwright import artifact as artifact_folder
from modwright.errors import ArtifactError, IntegrityError, NotFoundError, SchemaError, nearest
from modwright.evaluation.calibration import TargetCalibration
from modwright.evaluation.thresholds import OperatingPoint, flags
from modwright.models.registry import load_classifier
from modwright.schema import (
    BoolArray,
    Classifier,
    FloatArray,
    Input,
    Schema,
    Scores,
    Target,
    TargetKind,
    check_keys,
)

DEFAULT_OPERATING_POINT = "default"


@dataclass(frozen=True, slots=True)
class TargetAnswer:
    """What a model says of one input for one target.

    Attributes:
        scores: label to calibrated probability, in label order, negative labels included.
        flags: the labels that are flagged at the operating point; never a negative one.
        span: character span [from, to) of the last turn: the window that decided.
    """

    scores: dict[str, float]
    flags: tuple[str, ...]
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a model says of one input: an answer per target, the number of windows, the deciding span."""

    targets: dict[str, TargetAnswer]
    windows: int
    span: tuple[int, int]


class Engine:
    """A classifier with its calibration and operating points."""

    def __init__(
        self,
        *,
        id: str,
        classifier: Classifier,
        calibration: Mapping[str, TargetCalibration],
        operating_points: Mapping[str, OperatingPoint],
        created_at: int = 0,
    ) -> None:
        self.id = id
        self.created_at = created_at
        self.classifier = classifier
        self.schema: Schema = classifier.schema
        self._calibration = dict(calibration)
        self.operating_points = dict(operating_points)

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        artifact: artifact_folder.Artifact | None = None,
        threads: int = 0,
        bulk: bool = False,
    ) -> Self:
        """Load and verify an artifact folder.

        Args:
            folder: the artifact.
            artifact: what `read_artifact` has just verified in this very folder; None reads and verifies it.
            threads: of the model; 0 takes every usable core.
            bulk: for files of texts: the threads work on several batches at once instead of sharing one.

        Raises:
            NotFoundError: there is no artifact.
            ArtifactError: a part of it is missing, changed or malformed.
        """
        artifact = artifact or artifact_folder.read_artifact(folder)
        return cls(
            id=artifact.id,
            classifier=load_classifier(folder, artifact, threads=threads, bulk=bulk),
            calibration=_calibration(folder, artifact.schema),
            operating_points=_operating_points(folder, artifact.schema),
        )

    def operating_point(self, name: str) -> OperatingPoint:
        """Return the thresholds saved under a name; raises NotFoundError."""
        try:
            return self.operating_points[name]
        except KeyError:
            raise NotFoundError(
                f"unknown operating point '{name}'",
                where=f"model {self.id}",
                remedy=nearest(name, self.operating_points),
            ) from None

    def calibrated(self, inputs: Sequence[Input]) -> Scores:
        """Score whole documents, calibrated: values target to (N, L)."""
        raw = self.classifier.predict_proba(inputs)
        return Scores(self.calibrate(raw.values), raw.windows, raw.spans)

    def calibrate(self, values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """Return the classifier's scores, target to (N, L), as calibrated ones."""
        return {name: self._calibration[name].apply(scores) for name, scores in values.items()}

    def judge(
        self, inputs: Sequence[Input], operating_point: str = DEFAULT_OPERATING_POINT
    ) -> list[Judgement]:
        """Score and flag inputs; one judgement each, in order."""
        point = self.operating_point(operating_point)
        if not inputs:
            return []
        scores = self.calibrated(inputs)
        flagged = {
            target.name: flags(target, scores.values[target.name], point.thresholds[target.name])
            for target in self.schema
        }
        return [self._judgement(n, scores, flagged, point) for n in range(len(inputs))]

    def _judgement(
        self, n: int, scores: Scores, flagged: Mapping[str, BoolArray], point: OperatingPoint
    ) -> Judgement:
        answers: dict[str, TargetAnswer] = {}
        best: tuple[float, tuple[int, int]] | None = None
        for target in self.schema:
            values = scores.values[target.name][n]
            decisive, margin = _decisive(target, values, point.thresholds[target.name])
            begin, end = scores.spans[target.name][n, decisive]
            span = (int(begin), int(end))
            answers[target.name] = TargetAnswer(
                scores={label: float(value) for label, value in zip(target.labels, values, strict=True)},
                flags=tuple(
                    label for label, on in zip(target.labels, flagged[target.name][n], strict=True) if on
                ),
                span=span,
            )
            if best is None or margin > best[0]:
                best = (margin, span)
        assert best is not None
        return Judgement(answers, int(scores.windows[n]), best[1])


def _decisive(target: Target, values: FloatArray, thresholds: Mapping[str, float]) -> tuple[int, float]:
    """Return the label whose window is shown, and by how much its score lies above its threshold."""
    labels = target.flaggable or target.labels
    indices = [target.index(label) for label in labels]
    margins = [float(values[i]) - thresholds.get(target.labels[i], 0.5) for i in indices]
    top = int(np.argmax(margins))
    return indices[top], margins[top]


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn whatever a malformed file causes into ArtifactError."""
    try:
        yield
    except (IntegrityError, SchemaError) as error:
        raise ArtifactError(error.message, where=f"{path}: {error.where}", remedy=error.remedy) from None
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(f"is malformed: {error!r}", where=str(path)) from None


def _calibration(folder: Path, schema: Schema) -> dict[str, TargetCalibration]:
    with _readable(folder / artifact_folder.CALIBRATION):
        data = artifact_folder.read_calibration(folder)
        check_keys(data, {"targets"}, "calibration")
        check_keys(data["targets"], set(schema.names), "targets")
        return {
            target.name: TargetCalibration.from_json(target, data["targets"][target.name])
            for target in schema
        }


def _operating_points(folder: Path, schema: Schema) -> dict[str, OperatingPoint]:
    """Read the thresholds; every operating point has one for every label that it may flag."""
    with _readable(folder / artifact_folder.THRESHOLDS):
        data = artifact_folder.read_thresholds(folder)
        check_keys(data, {"operating_points"}, "thresholds")
        points = {
            name: OperatingPoint.from_json(name, item) for name, item in data["operating_points"].items()
        }
        if DEFAULT_OPERATING_POINT not in points:
            raise SchemaError(f"there is no operating point '{DEFAULT_OPERATING_POINT}'", where="thresholds")
        for name, point in points.items():
            check_keys(point.thresholds, set(schema.names), f"operating point '{name}'")
            for target in schema:
                multi = target.kind is TargetKind.MULTI_LABEL
                wanted = set(target.flaggable) if multi else set()
                check_keys(point.thresholds[target.name], wanted, f"operating point '{name}', {target.name}")
    return points
