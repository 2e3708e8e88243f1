"""One loaded model that judges inputs: scores, calibration, thresholds, flags. Synchronous; no HTTP here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from modwright import artifact as artifact_folder
from modwright.errors import NotFoundError, nearest
from modwright.evaluation.calibration import TargetCalibration
from modwright.evaluation.decisions import DecidedOn, Decisions
from modwright.evaluation.review import Codes, ReviewBand, Verdict
from modwright.evaluation.thresholds import DEFAULT_NAME, OperatingPoint, flags
from modwright.models.registry import load_classifier
from modwright.schema import BoolArray, Classifier, FloatArray, Input, Schema, Scores, Target
from modwright.serving.stored_decisions import read_calibration, read_operating_points, read_review

DEFAULT_OPERATING_POINT = DEFAULT_NAME


@dataclass(frozen=True, slots=True)
class TargetAnswer:
    """What a model says of one input for one target.

    Attributes:
        scores: label to calibrated probability, in label order, negative labels included.
        flags: the labels that are flagged at the operating point; never a negative one.
        span: character span [from, to) of the last turn: the window that decided.
        review: whether to act, let pass or ask a person; None where the model has no review band. It does not depend
            on the operating point.
        review_by_label: label to its own verdict; a label that says nothing is left out.
    """

    scores: dict[str, float]
    flags: tuple[str, ...]
    span: tuple[int, int]
    review: Verdict | None = None
    review_by_label: dict[str, Verdict] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a model says of one input: an answer per target, the number of windows, the deciding span."""

    targets: dict[str, TargetAnswer]
    windows: int
    span: tuple[int, int]


class Engine:
    """A classifier with its calibration, its operating points and, where it has one, its review band."""

    def __init__(
        self,
        *,
        id: str,
        classifier: Classifier,
        calibration: Mapping[str, TargetCalibration],
        operating_points: Mapping[str, OperatingPoint],
        review: ReviewBand | None = None,
        decided_on: DecidedOn | None = None,
        created_at: int = 0,
    ) -> None:
        self.id = id
        self.created_at = created_at
        self.classifier = classifier
        self.schema: Schema = classifier.schema
        self._calibration = dict(calibration)
        self.operating_points = dict(operating_points)
        self.review = review
        self.decided_on = decided_on

    @classmethod
    def of(cls, id: str, classifier: Classifier, decisions: Decisions) -> Self:
        """Return a classifier with its decisions, before they are an artifact."""
        return cls(
            id=id,
            classifier=classifier,
            calibration=decisions.calibration,
            operating_points=decisions.points,
            review=decisions.review,
            decided_on=decisions.decided_on,
        )

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
        calibration, decided_on = read_calibration(folder, artifact.schema)
        return cls(
            id=artifact.id,
            classifier=load_classifier(folder, artifact, threads=threads, bulk=bulk),
            calibration=calibration,
            operating_points=read_operating_points(folder, artifact.schema),
            review=read_review(folder, artifact.schema),
            decided_on=decided_on,
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
        """Score inputs, flag them and say which a person should see; one judgement each, in order."""
        point = self.operating_point(operating_point)
        if not inputs:
            return []
        scores = self.calibrated(inputs)
        flagged = {
            target.name: flags(target, scores.values[target.name], point.thresholds[target.name])
            for target in self.schema
        }
        default = self.operating_point(DEFAULT_OPERATING_POINT).thresholds
        reviewed = {
            target.name: self.review.decide(target, scores.values[target.name], default[target.name])
            for target in self.schema
            if self.review is not None
        }
        return [self._judgement(n, scores, flagged, reviewed, point) for n in range(len(inputs))]

    def _judgement(
        self,
        n: int,
        scores: Scores,
        flagged: Mapping[str, BoolArray],
        reviewed: Mapping[str, tuple[Codes, Codes]],
        point: OperatingPoint,
    ) -> Judgement:
        answers: dict[str, TargetAnswer] = {}
        best: tuple[float, tuple[int, int]] | None = None
        for target in self.schema:
            values = scores.values[target.name][n]
            decisive, margin = _decisive(target, values, point.thresholds[target.name])
            begin, end = scores.spans[target.name][n, decisive]
            span = (int(begin), int(end))
            on = flagged[target.name][n]
            verdict, by_label = _verdicts(target, n, reviewed.get(target.name))
            answers[target.name] = TargetAnswer(
                scores={label: float(value) for label, value in zip(target.labels, values, strict=True)},
                flags=tuple(label for label, is_on in zip(target.labels, on, strict=True) if is_on),
                span=span,
                review=verdict,
                review_by_label=by_label,
            )
            if best is None or margin > best[0]:
                best = (margin, span)
        assert best is not None
        return Judgement(answers, int(scores.windows[n]), best[1])


def _verdicts(
    target: Target, n: int, reviewed: tuple[Codes, Codes] | None
) -> tuple[Verdict | None, dict[str, Verdict]]:
    """Return the verdict of input n, and those of its labels that say something."""
    if reviewed is None:
        return None, {}
    texts, labels = reviewed
    by_label = zip(target.labels, map(Verdict.of, labels[n]), strict=True)
    return Verdict.of(texts[n]), {label: verdict for label, verdict in by_label if verdict is not None}


def _decisive(target: Target, values: FloatArray, thresholds: Mapping[str, float]) -> tuple[int, float]:
    """Return the label whose window is shown, and by how much its score lies above its threshold."""
    labels = target.flaggable or target.labels
    indices = [target.index(label) for label in labels]
    margins = [float(values[i]) - thresholds.get(target.labels[i], 0.5) for i in indices]
    top = int(np.argmax(margins))
    return indices[top], margins[top]
