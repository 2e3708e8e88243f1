"""The files of an artifact that turn scores into decisions: calibration, operating points, review band."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modwright import artifact as layout
from modwright.errors import ArtifactError, IntegrityError, SchemaError
from modwright.evaluation.calibration import TargetCalibration
from modwright.evaluation.decisions import DecidedOn
from modwright.evaluation.review import ReviewBand
from modwright.evaluation.thresholds import DEFAULT_NAME, OperatingPoint
from modwright.schema import Schema, TargetKind, check_keys
from modwright.serving import stored_before


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn whatever a malformed file causes into ArtifactError."""
    try:
        yield
    except (IntegrityError, SchemaError) as error:
        raise ArtifactError(error.message, where=f"{path}: {error.where}", remedy=error.remedy) from None
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(f"is malformed: {error!r}", where=str(path)) from None


def read_calibration(folder: Path, schema: Schema) -> tuple[dict[str, TargetCalibration], DecidedOn | None]:
    """Read the calibration per target, and the rows that it was fitted on: None where they were not kept.

    Raises:
        ArtifactError: a part is missing or malformed.
    """
    with _readable(folder / layout.CALIBRATION):
        data = layout.read_calibration(folder)
        if layout.format_version(folder) == 1:
            data = stored_before.calibration_of(data, schema)
        check_keys(data, {"targets", "decided_on"}, "calibration")
        check_keys(data["targets"], set(schema.names), "targets")
        calibration = {
            target.name: TargetCalibration.from_json(target, data["targets"][target.name])
            for target in schema
        }
        decided_on = data["decided_on"]
        return calibration, None if decided_on is None else DecidedOn.from_json(decided_on)


def read_operating_points(folder: Path, schema: Schema) -> dict[str, OperatingPoint]:
    """Read the thresholds; every operating point has one for every label that it may flag.

    Raises:
        ArtifactError: a part is missing or malformed.
    """
    with _readable(folder / layout.THRESHOLDS):
        points = {
            name: OperatingPoint.from_json(name, item)
            for name, item in _thresholds(folder)["operating_points"].items()
        }
        if DEFAULT_NAME not in points:
            raise SchemaError(f"there is no operating point '{DEFAULT_NAME}'", where="thresholds")
        for name, point in points.items():
            check_keys(point.thresholds, set(schema.names), f"operating point '{name}'")
            for target in schema:
                multi = target.kind is TargetKind.MULTI_LABEL
                wanted = set(target.flaggable) if multi else set()
                check_keys(point.thresholds[target.name], wanted, f"operating point '{name}', {target.name}")
    return points


def read_review(folder: Path, schema: Schema) -> ReviewBand | None:
    """Read the review band, one for every label that it must judge; None where the artifact has none.

    Raises:
        ArtifactError: a part is missing or malformed.
    """
    with _readable(folder / layout.THRESHOLDS):
        data = _thresholds(folder)["review"]
        if data is None:
            return None
        band = ReviewBand.from_json(data)
        check_keys(band.bands, set(schema.names), "review")
        for target in schema:
            single = target.kind is TargetKind.SINGLE_LABEL
            wanted = set(target.labels if single else target.flaggable)
            check_keys(band.bands[target.name], wanted, f"review, {target.name}")
    return band


def _thresholds(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = layout.read_thresholds(folder)
    if layout.format_version(folder) == 1:
        data = stored_before.thresholds_of(data)
    check_keys(data, {"operating_points", "review"}, "thresholds")
    return data
